//! `save`: what is in the archive, and that it comes back the same.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_archive::compression::Compression;
use gantry_archive::tar::{Pieces, Reader};
use gantry_image::{Error, SaveOptions};
use gantry_types::{Digest, Platform};
use serde_json::{Value, json};

use crate::archives::{docker_archive, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

fn layers() -> Vec<Vec<u8>> {
    vec![tar(&[("a", b"1")]), tar(&[("b", b"22")])]
}

impl Fixture {
    fn save(&self, names: &[&str]) -> Result<Vec<u8>, Error> {
        let saving = self.images.save(&SaveOptions {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            platform: None,
        })?;
        let mut bytes = Vec::new();
        let pieces = Pieces::new(1000, |piece: Vec<u8>| {
            bytes.extend(piece);
            Ok(())
        });
        saving.write(pieces)?.finish().unwrap();
        Ok(bytes)
    }
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut reader = Reader::new(archive);
    let mut files = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut bytes = Vec::new();
        reader.data().read_to_end(&mut bytes).unwrap();
        files.insert(String::from_utf8(entry.path).unwrap(), bytes);
    }
    files
}

fn parsed(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap()
}

#[test]
fn what_is_saved_comes_back_with_the_same_digests() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layout = oci_layout(&layers(), Compression::Gzip, Some("a.io/b/c:1"));
    let (ids, _) = fixture.load(&layout.tar()).unwrap();
    let saved = fixture.save(&["a.io/b/c:1"]).unwrap();
    assert_eq!(saved, fixture.save(&["a.io/b/c"]).unwrap());
    let came = files(&layout.tar());
    let left = files(&saved);
    for (name, bytes) in came.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        assert_eq!(left.get(name), Some(bytes), "{name}");
    }
    for (name, bytes) in left.iter().filter(|(name, _)| name.len() > 64) {
        assert!(name.ends_with(&Digest::of(bytes).hex()), "{name}");
    }
    let (_root, other) = Fixture::new();
    assert_eq!(other.load(&saved).unwrap().0, ids);
    assert_eq!(other.save(&["a.io/b/c"]).unwrap(), saved);
}

#[test]
fn documents_name_images_as_dockers_do() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let names = ["one:1", "one:2", "x.io/two:1"];
    let (ids, _) = fixture
        .load(&docker_archive(&layers(), &names).tar())
        .unwrap();
    let single = fixture.import(&tar(&[("a", b"1")]), "three");
    let id = ids[0].to_string();
    let saved = fixture
        .save(&["three", "one", "x.io/two:1", &id, "one:2"])
        .unwrap();
    let left = files(&saved);
    let order: Vec<&String> = left
        .keys()
        .filter(|name| !name.starts_with("blobs/sha256/"))
        .collect();
    assert_eq!(
        order,
        [
            "blobs/",
            "index.json",
            "manifest.json",
            "oci-layout",
            "repositories"
        ]
    );
    assert_eq!(left["oci-layout"], br#"{"imageLayoutVersion": "1.0.0"}"#);
    let items = parsed(&left, "manifest.json");
    assert_eq!(items[0]["RepoTags"], json!(["three:latest"]));
    assert_eq!(items[1]["RepoTags"], json!(names));
    let config = format!("blobs/sha256/{}", single.0.hex());
    assert_eq!(items[0]["Config"], json!(config));
    let names: Vec<Value> = parsed(&left, "index.json")["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|named| named["annotations"].clone())
        .collect();
    let named = |full: &str, tag: &str| json!({"io.containerd.image.name": full, "org.opencontainers.image.ref.name": tag});
    assert_eq!(
        names,
        [
            named("docker.io/library/three:latest", "latest"),
            named("docker.io/library/one:1", "1"),
            named("docker.io/library/one:2", "2"),
            named("x.io/two:1", "1"),
        ]
    );
    let top = |item: usize| {
        let layers = items[item]["Layers"].as_array().unwrap();
        let last = layers.last().unwrap().as_str().unwrap();
        last.strip_prefix("blobs/sha256/").unwrap().to_owned()
    };
    assert_eq!(
        parsed(&left, "repositories"),
        json!({"three": {"latest": top(0)}, "one": {"1": top(1), "2": top(1)}, "x.io/two": {"1": top(1)}})
    );
    // By id it has no name, but is there.
    let left = files(&fixture.save(&[&id, &single.to_string()]).unwrap());
    assert_eq!(parsed(&left, "manifest.json")[0]["RepoTags"], Value::Null);
    let index = parsed(&left, "index.json");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert!(!left.contains_key("repositories"));
}

#[test]
fn what_is_not_there_is_refused_in_dockers_words() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let id = fixture.import(&tar(&[("a", b"1")]), "one:1").to_string();
    let missing = format!("sha256:{}", "0".repeat(64));
    for (name, text) in [
        ("ghost", "No such image: ghost".to_owned()),
        ("one:2", "reference does not exist".to_owned()),
        (
            &format!("one@{missing}"),
            "reference does not exist".to_owned(),
        ),
        (&missing, format!("No such image: {missing}")),
        ("", "invalid reference format".to_owned()),
        ("../etc", "invalid reference format".to_owned()),
    ] {
        let error = fixture.save(&["one", name]).unwrap_err();
        assert_eq!(error.to_string(), text, "{name}");
    }
    let short = &id["sha256:".len()..][..12];
    for name in [
        &id[..],
        &id["sha256:".len()..],
        short,
        &id[..20],
        "one",
        "one:1",
    ] {
        fixture.save(&[name]).unwrap();
    }
    let platform: Platform = "linux/riscv64".parse().unwrap();
    let wrong = fixture.images.save(&SaveOptions {
        names: vec!["one".to_owned()],
        platform: Some(platform),
    });
    assert_eq!(
        wrong.err().unwrap().to_string(),
        "no suitable export target found for platform linux/riscv64"
    );
}

#[test]
fn a_blob_that_lost_bytes_is_not_saved() {
    require_root!();
    let (root, fixture) = Fixture::new();
    fixture.import(&tar(&[("a", b"1")]), "one:1");
    let saving = fixture
        .images
        .save(&SaveOptions {
            names: vec!["one".to_owned()],
            platform: None,
        })
        .unwrap();
    for digest in fixture.content.list().unwrap() {
        let path = root.path().join("content/blobs/sha256").join(digest.hex());
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(3)
            .unwrap();
    }
    let wrote = saving.write(Vec::new());
    assert!(matches!(wrote, Err(Error::Damaged { .. })));
}
