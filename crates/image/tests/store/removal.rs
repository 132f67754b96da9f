//! `rmi` and `prune`, compared with dockerd 28.5's words.

use gantry_image::{ContainerUse, Error, PruneFilter, RemoveOptions, Removed};
use gantry_types::ImageId;

use crate::archives::{docker_archive, tar};
use crate::fixture::{Fixture, require_root};

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    noprune: false,
};

fn nobody(_: ImageId) -> Result<Vec<ContainerUse>, Error> {
    Ok(Vec::new())
}

fn user(running: bool) -> impl Fn(ImageId) -> Result<Vec<ContainerUse>, Error> {
    move |_| {
        Ok(vec![ContainerUse {
            id: "1dd38aa7f7807222102b3f15c1b61cc6fa5847a455f230f8cc1cef6a65667843".to_owned(),
            running,
        }])
    }
}

fn text(removed: &[Removed]) -> Vec<String> {
    removed
        .iter()
        .map(|step| match step {
            Removed::Untagged { name, .. } => format!("Untagged: {name}"),
            Removed::Deleted(id) => format!("Deleted: {id}"),
            Removed::DeletedLayer(chain) => format!("Deleted: {chain}"),
        })
        .collect()
}

fn refused(result: Result<Vec<Removed>, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), gantry_types::ErrorKind::Conflict);
    error.to_string()
}

#[test]
fn the_last_name_takes_the_image_with_it() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layers = [tar(&[("a", b"1")]), tar(&[("b", b"2")])];
    fixture
        .load(&docker_archive(&layers, &["bb:1", "bb:2", "other/bb:latest"]).tar())
        .unwrap();
    let image = fixture.images.resolve("bb:1").unwrap();
    let short = &image.id.0.hex()[..12];
    let remove = |name: &str, options| fixture.images.remove(name, options, &nobody);
    assert_eq!(
        refused(remove(short, RemoveOptions::default())),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in \
             multiple repositories"
        )
    );
    assert_eq!(
        text(&remove("bb:2", RemoveOptions::default()).unwrap()),
        ["Untagged: bb:2"]
    );
    let other = remove("other/bb", RemoveOptions::default()).unwrap();
    assert_eq!(text(&other), ["Untagged: other/bb:latest"]);
    let chain = gantry_types::ChainId::chain(&image.diff_ids);
    let expected = [
        "Untagged: bb:1".to_owned(),
        format!("Deleted: {}", image.id),
        format!("Deleted: {}", chain[1]),
        format!("Deleted: {}", chain[0]),
    ];
    assert_eq!(
        text(&remove(short, RemoveOptions::default()).unwrap()),
        expected
    );
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn containers_keep_their_image() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let id = fixture.import(&tar(&[("a", b"1")]), "bb:1");
    let hex = id.0.hex();
    let short = &hex[..12];
    let plain = RemoveOptions::default();
    let images = &fixture.images;
    assert_eq!(
        refused(images.remove("bb:1", plain, &user(true))),
        format!(
            "conflict: unable to remove repository reference \"bb:1\" (must force) - container \
             1dd38aa7f780 is using its referenced image {short}"
        )
    );
    let running = format!(
        "conflict: unable to delete {short} (cannot be forced) - image is being used by running \
         container 1dd38aa7f780"
    );
    assert_eq!(refused(images.remove(short, plain, &user(true))), running);
    assert_eq!(refused(images.remove(short, FORCE, &user(true))), running);
    assert_eq!(
        refused(images.remove(short, plain, &user(false))),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by \
             stopped container 1dd38aa7f780"
        )
    );
    let untagged = images.remove("bb:1", FORCE, &user(true)).unwrap();
    assert_eq!(text(&untagged), ["Untagged: bb:1"]);
    assert_eq!(refused(images.remove(&hex, FORCE, &user(true))), running);
    // A container's file system keeps the layers of an image that is gone.
    let image = images.get(id).unwrap();
    fixture.prepare(&image, "container").unwrap();
    let gone = images.remove(&hex, FORCE, &user(false)).unwrap();
    assert_eq!(text(&gone), [format!("Deleted: {id}")]);
    assert_eq!(fixture.snapshots.list().len(), 2);
    fixture.snapshots.remove("container").unwrap();
    assert_eq!(images.collect().unwrap().len(), 1);
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn a_container_that_comes_meanwhile_is_seen() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let id = fixture.import(&tar(&[("a", b"1")]), "bb:1");
    let arrives = |image: ImageId| {
        let row = gantry_metadata::containers::ContainerRow {
            id: "c".repeat(64),
            name: "late".to_owned(),
            image_id: Some(image.to_string()),
            created_at: 0,
            record: "{}".to_owned(),
            state: "{}".to_owned(),
        };
        fixture
            .database
            .write(|tx| gantry_metadata::containers::insert(tx, &row))
            .unwrap();
        Ok(Vec::new())
    };
    let error = refused(
        fixture
            .images
            .remove("bb:1", RemoveOptions::default(), &arrives),
    );
    assert!(error.contains("container cccccccccccc is using"), "{error}");
    assert_eq!(fixture.images.get(id).unwrap().repo_tags(), ["bb:1"]);
}

#[test]
fn shared_layers_stay_until_the_last_image_goes() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let layers = [tar(&[("a", b"1")]), tar(&[("b", b"2")])];
    fixture
        .load(&docker_archive(&layers, &["two:1"]).tar())
        .unwrap();
    fixture
        .load(&docker_archive(&layers[..1], &["one:1"]).tar())
        .unwrap();
    let removed = fixture.images.remove("two:1", FORCE, &nobody).unwrap();
    assert_eq!(removed.len(), 3);
    fixture.assert_holds(1, 1, 1);
    fixture.images.remove("one:1", FORCE, &nobody).unwrap();
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn parents_without_name_go_with_their_last_child() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let parent = fixture.import(&tar(&[("a", b"1")]), "");
    let child = fixture.import(&tar(&[("a", b"2")]), "child");
    let link = || {
        fixture
            .database
            .write(|tx| gantry_metadata::images::set_parent(tx, child, Some(parent)))
            .unwrap();
    };
    link();
    assert_eq!(fixture.images.list(&Default::default()).unwrap().len(), 1);
    let hex = parent.0.hex();
    assert_eq!(
        refused(fixture.images.remove(&hex, FORCE, &nobody)),
        format!(
            "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
            &hex[..12]
        )
    );
    assert_eq!(
        fixture.images.descend_from(&[hex]).unwrap(),
        [parent, child]
    );
    assert_eq!(fixture.images.history("child").unwrap()[0].id, Some(child));
    fixture
        .images
        .remove("child", RemoveOptions::default(), &nobody)
        .unwrap();
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn a_lease_keeps_an_image() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    let id = fixture.import(&tar(&[("a", b"1")]), "x");
    let lease = fixture.images.lease("test", id).unwrap();
    assert!(refused(fixture.images.remove(&id.0.hex(), FORCE, &nobody)).contains("operation"));
    drop(lease);
    fixture.images.remove("x", FORCE, &nobody).unwrap();
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn prune_takes_what_nobody_uses() {
    require_root!();
    let (_root, fixture) = Fixture::new();
    fixture.import(&tar(&[("a", b"1")]), "");
    let used = fixture.import(&tar(&[("a", b"22")]), "used");
    fixture.import(&tar(&[("a", b"333")]), "unused");
    let users = |id: ImageId| {
        if id == used {
            user(false)(id)
        } else {
            Ok(Vec::new())
        }
    };
    let young = PruneFilter {
        dangling: true,
        until: Some(0),
        ..PruneFilter::default()
    };
    assert_eq!(fixture.images.prune(&young, &users).unwrap().removed, []);
    let dangling = PruneFilter {
        dangling: true,
        ..PruneFilter::default()
    };
    let pruned = fixture.images.prune(&dangling, &users).unwrap();
    assert_eq!((pruned.removed.len(), pruned.reclaimed % 4096), (2, 0));
    assert!(pruned.reclaimed >= 3 * 4096, "a layer and a blob");
    let labelled = PruneFilter {
        labels: vec!["x".to_owned()],
        ..PruneFilter::default()
    };
    assert_eq!(fixture.images.prune(&labelled, &users).unwrap().removed, []);
    let all = fixture
        .images
        .prune(&PruneFilter::default(), &users)
        .unwrap();
    assert_eq!(text(&all.removed)[0], "Untagged: unused:latest");
    assert_eq!(all.reclaimed % 4096, 0);
    assert!(all.reclaimed >= 3 * 4096);
    fixture.assert_holds(1, 1, 1);
}
