//! Finding, tagging and listing.

use gantry_image::{Error, ListFilter, tag_reference};
use gantry_types::ErrorKind;

use crate::archives::{docker_archive, oci_layout, tar};
use crate::fixture::{Fixture, require_root};

#[test]
fn images_are_found_by_name_id_and_prefix() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let id = fixture.import(&tar(&[("a", b"1")]), "user/app:1");
    let hex = id.0.hex();
    for name in [
        "user/app:1",
        "docker.io/user/app:1",
        &hex,
        &hex[..12],
        &hex[..1],
        &format!("sha256:{hex}"),
        &format!("sha256:{}", &hex[..7]),
    ] {
        assert_eq!(fixture.images.resolve(name).unwrap().id, id, "{name}");
    }
    for (name, text) in [
        ("nosuch", "No such image: nosuch:latest"),
        ("user/app", "No such image: user/app:latest"),
        ("sha256:1234g", "No such image: sha256:1234g"),
        (
            &"a".repeat(64),
            &format!("No such image: sha256:{}", "a".repeat(64)),
        ),
        (
            &format!("a:b@sha256:{}", "a".repeat(64)),
            &format!("No such image: a:b@sha256:{}", "a".repeat(64)),
        ),
    ] {
        let error = fixture.images.resolve(name).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (text, ErrorKind::NotFound)
        );
    }
    assert!(matches!(
        fixture.images.resolve("a//b"),
        Err(Error::Reference(_))
    ));
}

#[test]
fn a_short_prefix_is_ambiguous() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let ids: Vec<String> = (0..17)
        .map(|n: u32| {
            fixture
                .import(&tar(&[("a", n.to_string().as_bytes())]), "")
                .0
                .hex()
        })
        .collect();
    let shared = |hex: &String| ids.iter().filter(|id| id[..1] == hex[..1]).count() > 1;
    let twice = ids.iter().find(|hex| shared(hex)).unwrap();
    let found = fixture.images.resolve(&twice[..1]);
    assert!(matches!(found, Err(Error::Ambiguous(_))), "{found:?}");
}

#[test]
fn a_manifest_digest_stands_for_its_image() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layers = [tar(&[("a", b"1")])];
    let format = gantry_archive::compression::Compression::Gzip;
    let parts = oci_layout(&layers, format, Some("x:1"));
    let (ids, _) = fixture.load(&parts.tar()).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&parts.0.last().unwrap().1).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    for name in [format!("x@{digest}"), format!("x:7@{digest}")] {
        assert_eq!(fixture.images.resolve(&name).unwrap().id, ids[0]);
    }
    assert!(fixture.images.resolve(&format!("y@{digest}")).is_err());
}

#[test]
fn tags_move_and_some_are_refused() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let first = fixture.import(&tar(&[("a", b"1")]), "a");
    let second = fixture.import(&tar(&[("a", b"2")]), "b");
    let tagged = fixture.images.tag("b", &"a".parse().unwrap()).unwrap();
    assert_eq!((tagged.id, tagged.moved), (second, Some(first)));
    let tagged = fixture.images.tag("b", &"a".parse().unwrap()).unwrap();
    assert_eq!(tagged.moved, None);
    assert_eq!(
        fixture.images.get(second).unwrap().repo_tags(),
        ["a:latest", "b:latest"]
    );
    assert!(fixture.images.get(first).unwrap().references.is_empty());
    for (repo, tag, text) in [
        (
            "sha256",
            "x",
            "refusing to create an ambiguous tag using digest algorithm as name",
        ),
        ("a", "-x", "invalid tag format"),
        (
            &format!("a@sha256:{}", "a".repeat(64)),
            "",
            "cannot import digest reference",
        ),
    ] {
        assert_eq!(tag_reference(repo, tag).unwrap_err().to_string(), text);
    }
    assert_eq!(
        tag_reference("abc:1", "2").unwrap().unwrap().familiar(),
        "abc:2"
    );
    assert_eq!(tag_reference("", "2").unwrap(), None);
}

#[test]
fn lists_are_filtered() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layers = [tar(&[("a", b"1")])];
    fixture
        .load(&docker_archive(&layers, &["old:1", "old:2"]).tar())
        .unwrap();
    fixture.import(&tar(&[("a", b"2")]), "user/new:1");
    fixture.import(&tar(&[("a", b"3")]), "");
    let tags = |filter: ListFilter| -> Vec<Vec<String>> {
        let list = fixture.images.list(&filter).unwrap();
        list.into_iter().map(|image| image.repo_tags).collect()
    };
    let all = tags(ListFilter::default());
    assert_eq!(all, [vec![], vec!["user/new:1"], vec!["old:1", "old:2"]]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let filter = |change: &dyn Fn(&mut ListFilter)| {
        let mut filter = ListFilter::default();
        change(&mut filter);
        tags(filter)
    };
    assert_eq!(filter(&|f| f.dangling = Some(true)), [Vec::<String>::new()]);
    assert_eq!(filter(&|f| f.dangling = Some(false)).len(), 2);
    assert_eq!(filter(&|f| f.references = names(&["old:2"])), [["old:2"]]);
    assert_eq!(
        filter(&|f| f.references = names(&["*/*", "nosuch"])),
        [["user/new:1"]]
    );
    assert_eq!(
        filter(&|f| f.labels = names(&["a=b"])),
        [["old:1", "old:2"]]
    );
    assert_eq!(filter(&|f| f.labels = names(&["a=c"])).len(), 0);
    assert_eq!(
        filter(&|f| f.before = names(&["user/new:1"])),
        [["old:1", "old:2"]]
    );
    assert_eq!(filter(&|f| f.since = names(&["old:1"])).len(), 2);
    assert_eq!(filter(&|f| f.until = Some(0)).len(), 0);
    let unknown = ListFilter {
        since: names(&["nosuch"]),
        ..ListFilter::default()
    };
    let error = fixture.images.list(&unknown).unwrap_err().to_string();
    assert_eq!(error, "No such image: nosuch:latest");
}
