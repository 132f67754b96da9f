//! What the attributes of an exporter say of the form of an image, in BuildKit's words.

use std::collections::BTreeMap;

use gantry_archive::compression::Compression;
use gantry_image::{Packing, Style};
use gantry_types::{Platform, Reference};

use super::Exporter;
use crate::status::Status;
use crate::truth::flag;

/// What only tells the client something.
const IDLE: &[&str] = &[
    "dest",
    "context",
    "buildinfo-attrs",
    "prefer-image-digest",
    "platform-split",
];

/// Whether no file of a new layer may be later than `SOURCE_DATE_EPOCH`.
pub(super) const REWRITE: &str = "rewrite-timestamp";

/// An image as it is wanted, and where.
#[derive(Debug, Default, Clone)]
pub(super) struct Form {
    /// Names in full, and as they were given.
    pub(super) names: Vec<(Reference, String)>,
    pub(super) style: Style,
    /// Whether Docker's documents were asked for, or OCI's; nothing when neither.
    oci: Option<bool>,
    pub(super) push: bool,
    pub(super) by_digest: bool,
    pub(super) insecure: bool,
    pub(super) store: bool,
    pub(super) unpack: bool,
    /// Whether digests become names, too.
    pub(super) canonical: bool,
    dangling: Option<String>,
    dangling_only: bool,
    /// Whether attestations go along that are wanted within images only.
    pub(super) inline: bool,
    /// Whether an archive is sent, not its files one by one.
    pub(super) tar: bool,
}

impl Form {
    /// # Errors
    /// For values that make no sense, and `Unimplemented` for what is not there.
    pub(super) fn of(exporter: &Exporter) -> Result<Self, Status> {
        let image = matches!(exporter.kind.as_str(), "image" | "moby");
        let mut form = Self {
            store: true,
            tar: true,
            inline: image,
            ..Self::default()
        };
        for (key, value) in &exporter.attributes {
            let known = form.common(key, value)?
                || image && form.of_image(key, value)?
                || !image && key == "tar" && flag(key, value, &mut form.tar)?
                || IDLE.contains(&key.as_str());
            if !known {
                return Err(Status::unsupported(format!(
                    "attribute {key} of exporter {} is not supported",
                    exporter.kind
                )));
            }
        }
        let zstd = form.style.packing.format == Some(Compression::Zstd);
        let oci = form.oci.unwrap_or(exporter.kind != "docker");
        form.style.docker_types = !oci && !zstd && !form.style.artifacts;
        form.style.names = form.names.iter().map(|(name, _)| name.clone()).collect();
        Ok(form)
    }

    /// What all image exporters understand; whether this is such a thing.
    fn common(&mut self, key: &str, value: &str) -> Result<bool, Status> {
        let style = &mut self.style;
        match key {
            "name" => self.names = names(value)?,
            "oci-mediatypes" => {
                let mut oci = true;
                flag(key, value, &mut oci)?;
                self.oci = Some(oci);
            }
            "oci-artifact" => return flag(key, value, &mut style.artifacts),
            "attestation-inline" => return flag(key, value, &mut self.inline),
            "compression" => style.packing.format = Some(compression(value)?),
            "compression-level" => {
                let level = value.parse().map_err(|_| {
                    Status::invalid(format!("non-integer value {value} specified for {key}"))
                })?;
                style.packing.level = Some(level);
            }
            "force-compression" => return flag(key, value, &mut style.force),
            // The layers were made so (see `Exporter::rewrites_times`).
            REWRITE => return flag(key, value, &mut false),
            key if key.starts_with("annotation") => return self.annotation(key, value),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What is only about images that are kept or pushed.
    fn of_image(&mut self, key: &str, value: &str) -> Result<bool, Status> {
        match key {
            "push" => flag(key, value, &mut self.push),
            "push-by-digest" => flag(key, value, &mut self.by_digest),
            "registry.insecure" => flag(key, value, &mut self.insecure),
            "store" => flag(key, value, &mut self.store),
            "unpack" => flag(key, value, &mut self.unpack),
            "name-canonical" => flag(key, value, &mut self.canonical),
            "dangling-name-prefix" => {
                self.dangling = Some(value.to_owned()).filter(|prefix| !prefix.is_empty());
                Ok(true)
            }
            "danging-name-empty-only" | "dangling-name-empty-only" => {
                flag(key, value, &mut self.dangling_only)
            }
            _ => Ok(false),
        }
    }

    /// `annotation[-OF][[PLATFORM]].NAME`.
    fn annotation(&mut self, key: &str, value: &str) -> Result<bool, Status> {
        let invalid = || Status::invalid(format!("invalid annotation {key}"));
        let (head, name) = key.split_once('.').ok_or_else(invalid)?;
        let (of, platform) = match head.split_once('[') {
            None => (head, None),
            Some((of, platform)) => {
                let platform = platform.strip_suffix(']').ok_or_else(invalid)?;
                let platform: Platform = platform.parse().map_err(|_| invalid())?;
                (of, Some(platform))
            }
        };
        let words = &mut self.style.annotations;
        let (name, value) = (name.to_owned(), value.to_owned());
        match of {
            "annotation" | "annotation-manifest" => words.manifest.push((platform, name, value)),
            "annotation-manifest-descriptor" => {
                words.manifest_descriptor.push((platform, name, value));
            }
            "annotation-index" => drop(words.index.insert(name, value)),
            "annotation-index-descriptor" => drop(words.index_descriptor.insert(name, value)),
            _ => return Err(invalid()),
        }
        Ok(true)
    }

    /// The prefix of a name that the image has for its digest only.
    pub(super) fn dangling(&self) -> Option<&str> {
        let wanted = !self.dangling_only || self.names.is_empty();
        self.dangling.as_deref().filter(|_| wanted)
    }

    /// The names as they are told of.
    pub(super) fn shown(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(|(_, shown)| shown.as_str()).collect();
        names.join(",")
    }

    /// The names in full.
    pub(super) fn references(&self) -> Vec<Reference> {
        self.style.names.clone()
    }
}

fn compression(value: &str) -> Result<Compression, Status> {
    match value {
        "uncompressed" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        "estargz" => Err(Status::unsupported("compression estargz is not supported")),
        other => Err(Status::invalid(format!(
            "unsupported compression type {other}"
        ))),
    }
}

fn names(names: &str) -> Result<Vec<(Reference, String)>, Status> {
    let names = names.split(',').filter(|name| !name.is_empty());
    let reference = |name: &str| {
        let parsed = name.parse::<Reference>();
        let parsed =
            parsed.map_err(|error| Status::invalid(format!("failed to parse {name}: {error}")))?;
        let shown = parsed.to_string();
        Ok((parsed.or_latest(), shown))
    };
    names.map(reference).collect()
}

/// How layers of a cache are to be packed.
///
/// # Errors
/// For values that make no sense.
pub(crate) fn packing(attributes: &BTreeMap<String, String>) -> Result<Packing, Status> {
    let mut form = Form::default();
    for key in ["compression", "compression-level", "force-compression"] {
        if let Some(value) = attributes.get(key) {
            form.common(key, value)?;
        }
    }
    Ok(form.style.packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: &str, attributes: &[(&str, &str)]) -> Result<Form, Status> {
        let attributes = attributes.iter();
        Form::of(&Exporter {
            kind: kind.to_owned(),
            attributes: attributes
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        })
    }

    #[test]
    fn what_buildkit_understands_is_understood() {
        let form = form(
            "image",
            &[
                ("name", "a,b/c:1"),
                ("push", "true"),
                ("compression", "zstd"),
                ("compression-level", "9"),
                ("force-compression", ""),
                ("annotation.x.y", "1"),
                ("annotation-manifest[linux/amd64].z", "2"),
                ("annotation-index.w", "3"),
                ("dangling-name-prefix", "moby-dangling"),
            ],
        )
        .unwrap();
        assert_eq!(form.shown(), "docker.io/library/a,docker.io/b/c:1");
        assert!(form.push && form.style.force && !form.style.docker_types);
        assert_eq!(form.style.packing.level, Some(9));
        assert_eq!(form.style.annotations.manifest.len(), 2);
        assert_eq!(form.style.annotations.index["w"], "3");
        assert_eq!(form.dangling(), Some("moby-dangling"));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(form("docker", &[]).unwrap().style.docker_types);
        assert!(
            !form("docker", &[("compression", "zstd")])
                .unwrap()
                .style
                .docker_types
        );
        for (kind, key, value) in [
            ("oci", "push", "true"),
            ("image", "push", "maybe"),
            ("image", "tar", "true"),
            ("image", "compression", "estargz"),
            ("image", "compression", "x"),
            ("image", "compression-level", "x"),
            ("image", "rewrite-timestamp", "maybe"),
            ("image", "annotation-other.x", "y"),
            ("image", "name", "UPPER"),
        ] {
            assert!(form(kind, &[(key, value)]).is_err(), "{kind} {key} {value}");
        }
    }
}
