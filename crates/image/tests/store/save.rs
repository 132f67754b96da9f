//! `save`: what is in the archive, and that it comes back the same.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_archive::compression::Compression;
use gantry_archive::tar::{Pieces, Reader, Writer};
use gantry_image::{Error, Format, SaveOptions};
use gantry_types::{Digest, Platform};
use serde_json::{Value, json};

use crate::archives::{config, docker_archive, file, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

fn layers() -> Vec<Vec<u8>> {
    vec![tar(&[("a", b"1")]), tar(&[("b", b"22")])]
}

impl Fixture {
    fn save(&self, names: &[&str]) -> Result<Vec<u8>, Error> {
        self.save_as(names, Format::Current)
    }

    fn save_as(&self, names: &[&str], format: Format) -> Result<Vec<u8>, Error> {
        let saving = self.images.save(&SaveOptions {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            platform: None,
            format,
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
        ..SaveOptions::default()
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
            ..SaveOptions::default()
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

/// The same archive as a reader before 1.10 sees it.
fn only_v1(archive: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, bytes) in files(archive) {
        if !name.ends_with(".json") && !name.ends_with('/') {
            writer
                .append(&file(&name, bytes.len()), &bytes[..])
                .unwrap();
        }
    }
    writer.finish().unwrap()
}

#[test]
fn the_layout_before_1_10_is_written_and_read() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let archive = docker_archive(&layers(), &["one:1", "x.io/two:2"]);
    let (ids, _) = fixture.load(&archive.tar()).unwrap();
    let saved = fixture
        .save_as(&["one", "x.io/two"], Format::DockerV1)
        .unwrap();
    let left = files(&saved);
    let item = &parsed(&left, "manifest.json")[0];
    for (path, layer) in item["Layers"].as_array().unwrap().iter().zip(layers()) {
        let path = path.as_str().unwrap();
        assert_eq!(left[path], layer);
        let directory = path.strip_suffix("layer.tar").unwrap();
        assert_eq!(left[&format!("{directory}VERSION")], b"1.0");
        let id = parsed(&left, &format!("{directory}json"))["id"].clone();
        assert_eq!(format!("{}/", id.as_str().unwrap()), directory);
    }
    // Who knows the newer document finds the very same image.
    let (_root, newer) = Fixture::new();
    assert_eq!(newer.load(&saved).unwrap().0, ids);
    // Who does not finds the same layers, each of them an image.
    let (_root, older) = Fixture::new();
    let (found, text) = older.load(&only_v1(&saved)).unwrap();
    assert_eq!(text, "Loaded image: one:1\nLoaded image: x.io/two:2\n");
    assert_eq!(found.len(), 2);
    let (image, parent) = (older.images.resolve("one:1").unwrap(), found[0]);
    assert_eq!(
        image.diff_ids,
        fixture.images.resolve("one:1").unwrap().diff_ids
    );
    assert_eq!(image.parent, Some(parent));
    assert_eq!(older.images.get(parent).unwrap().diff_ids.len(), 1);
    let steps = older.images.history("one:1").unwrap();
    let wanted = fixture.images.history("one:1").unwrap();
    assert_eq!(
        steps
            .iter()
            .map(|step| (&step.created_by, step.size))
            .collect::<Vec<_>>(),
        wanted
            .iter()
            .map(|step| (&step.created_by, step.size))
            .collect::<Vec<_>>()
    );
    assert_eq!(steps[1].id, Some(parent));
    // The image of the layer below can be named: `tag` rolls back to it.
    let earlier = gantry_image::tag_reference("one", "earlier")
        .unwrap()
        .unwrap();
    older
        .images
        .tag(&steps[1].id.unwrap().to_string(), &earlier)
        .unwrap();
    assert_eq!(older.images.resolve("one:earlier").unwrap().id, parent);
}

#[test]
fn a_wrong_archive_before_1_10_leaves_nothing() {
    require_root!();
    let id = |n: u8| n.to_string().repeat(64);
    let layer = tar(&[("a", b"1")]);
    let good = |n: u8, parent: Option<u8>| {
        let parent = parent.map(id).unwrap_or_default();
        let text = json!({"id": id(n), "parent": parent, "os": "linux", "architecture": "amd64"});
        vec![
            (format!("{}/json", id(n)), text.to_string().into_bytes()),
            (format!("{}/layer.tar", id(n)), layer.clone()),
        ]
    };
    let names = |n: u8| {
        let text = json!({"one": {"1": id(n)}}).to_string();
        vec![("repositories".to_owned(), text.into_bytes())]
    };
    for (parts, text) in [
        (vec![good(1, None), names(2)], "invalid target ID"),
        (vec![good(1, Some(2)), names(1)], "not in the archive"),
        (vec![good(1, Some(1)), names(1)], "max depth exceeded"),
        (
            vec![good(1, Some(2)), good(2, Some(1)), names(1)],
            "max depth exceeded",
        ),
        (
            vec![
                good(1, None),
                vec![("repositories".to_owned(), b"[]".to_vec())],
            ],
            "repositories",
        ),
        (
            vec![
                good(1, None),
                vec![(format!("{}/json", id(2)), b"{}".to_vec())],
                names(1),
            ],
            "layer.tar: not in the archive",
        ),
    ] {
        let (_root, fixture) = Fixture::new();
        let mut writer = Writer::new(Vec::new());
        for (name, bytes) in parts.concat() {
            writer
                .append(&file(&name, bytes.len()), &bytes[..])
                .unwrap();
        }
        let error = fixture.load(&writer.finish().unwrap()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        fixture.assert_holds(0, 0, 0);
    }
}

#[test]
fn of_several_images_with_a_wrong_one_nothing_is_left() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    fixture.import(&tar(&[("old", b"1")]), "one:1");
    let before = fixture.images.resolve("one:1").unwrap();
    let mut archive = docker_archive(&layers(), &["one:1"]);
    let other = [layers()[0].clone(), tar(&[("c", b"3")])];
    archive.add("other.json", config(&other));
    let items = archive
        .0
        .iter_mut()
        .find(|(name, _)| name == "manifest.json");
    let items = items.unwrap();
    let good = serde_json::from_slice::<Value>(&items.1).unwrap()[0].clone();
    // The layer of the second image is not what its configuration says.
    let wrong = json!({"Config": "other.json", "RepoTags": ["two:1"], "Layers": good["Layers"]});
    items.1 = json!([good, wrong]).to_string().into_bytes();
    let error = fixture.load(&archive.tar()).unwrap_err().to_string();
    assert!(error.contains("invalid diffID"), "{error}");
    assert_eq!(fixture.images.resolve("one:1").unwrap(), before);
    fixture.assert_holds(1, 1, 1);
}
