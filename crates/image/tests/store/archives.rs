//! Archives of all forms, built from layers given as lists of files.

use std::io::Write;

use gantry_archive::compression::{Compression, Encoder};
use gantry_archive::tar::{Entry, Kind, Writer};
use gantry_types::Digest;
use serde_json::{Value, json};

pub(crate) type Files<'f> = &'f [(&'f str, &'f [u8])];

/// A tar archive of regular files.
pub(crate) fn tar(files: Files<'_>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, data) in files {
        writer.append(&file(name, data.len()), *data).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn file(name: &str, size: usize) -> Entry {
    let mut entry = Entry::new(name, Kind::File);
    entry.mode = 0o644;
    entry.size = size as u64;
    entry
}

pub(crate) fn link(name: &str, kind: Kind, target: &str) -> Entry {
    let mut entry = Entry::new(name, kind);
    entry.link = target.as_bytes().to_vec();
    entry
}

pub(crate) fn compress(bytes: &[u8], format: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), format).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| Digest::of(layer).to_string())
        .collect();
    let history: Vec<Value> = (0..layers.len())
        .map(|n| json!({"created": "2024-01-01T00:00:00Z", "created_by": format!("step {n}")}))
        .collect();
    let document = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
    });
    serde_json::to_vec(&document).unwrap()
}

/// Names and contents of an archive to be.
#[derive(Default, Clone)]
pub(crate) struct Parts(pub(crate) Vec<(String, Vec<u8>)>);

impl Parts {
    pub(crate) fn add(&mut self, name: impl Into<String>, data: impl Into<Vec<u8>>) {
        self.0.push((name.into(), data.into()));
    }

    /// Adds the bytes under their digest, and describes them.
    pub(crate) fn blob(&mut self, media_type: &str, data: &[u8]) -> Value {
        let digest = Digest::of(data);
        let name = format!("blobs/sha256/{}", digest.hex());
        if self.0.iter().all(|(other, _)| *other != name) {
            self.add(name, data);
        }
        json!({"mediaType": media_type, "digest": digest, "size": data.len()})
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (name, data) in &self.0 {
            writer
                .append(&file(name, data.len()), data.as_slice())
                .unwrap();
        }
        writer.finish().unwrap()
    }
}

/// The form of Docker before 25: `<id>/layer.tar`, the manifest last.
pub(crate) fn docker_archive(layers: &[Vec<u8>], tags: &[&str]) -> Parts {
    let mut parts = Parts::default();
    let mut paths = Vec::new();
    for (n, layer) in layers.iter().enumerate() {
        let path = format!("{n:064}/layer.tar");
        parts.add(path.clone(), layer.clone());
        paths.push(path);
    }
    let config = config(layers);
    let name = format!("{}.json", Digest::of(&config).hex());
    parts.add(name.clone(), config);
    let manifest = json!([{"Config": name, "RepoTags": tags, "Layers": paths}]);
    parts.add("manifest.json", manifest.to_string());
    parts
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Adds an image in OCI's form and describes its manifest.
pub(crate) fn oci_image(parts: &mut Parts, layers: &[Vec<u8>], format: Compression) -> Value {
    let config = parts.blob(CONFIG, &config(layers));
    let suffix = match format {
        Compression::Gzip => "+gzip",
        Compression::Zstd => "+zstd",
        _ => "",
    };
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| parts.blob(&format!("{LAYER}{suffix}"), &compress(layer, format)))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers
    });
    parts.blob(MANIFEST, manifest.to_string().as_bytes())
}

pub(crate) fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

/// An OCI layout of one image, named if a name is given.
pub(crate) fn oci_layout(layers: &[Vec<u8>], format: Compression, name: Option<&str>) -> Parts {
    let mut parts = Parts::default();
    let mut manifest = oci_image(&mut parts, layers, format);
    if let Some(name) = name {
        manifest["annotations"] = json!({"io.containerd.image.name": name});
    }
    parts.add("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    parts.add("index.json", index(&[manifest]).to_string());
    parts
}

/// An OCI layout whose index holds an index for several platforms.
pub(crate) fn multi_platform(images: &[(&str, Vec<Vec<u8>>)]) -> Parts {
    let mut parts = Parts::default();
    let mut manifests = Vec::new();
    for (architecture, layers) in images {
        let mut manifest = oci_image(&mut parts, layers, Compression::Gzip);
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(manifest);
    }
    let inner = parts.blob(INDEX, index(&manifests).to_string().as_bytes());
    parts.add("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    parts.add("index.json", index(&[inner]).to_string());
    parts
}
