//! The database as a whole: opening, transactions, tables.

#![allow(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

use std::sync::Arc;
use std::time::Instant;

use gantry_metadata::containers::ContainerRow;
use gantry_metadata::endpoints::EndpointRow;
use gantry_metadata::networks::NetworkRow;
use gantry_metadata::snapshots::Kind;
use gantry_metadata::{
    Database, Error, blobs, containers, endpoints, images, layers, leases, networks, references,
    snapshots,
};
use gantry_types::{ChainId, DiffId, Digest, ErrorKind, ImageId};

fn new() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("metadata.db")).unwrap();
    (dir, database)
}

fn container(id: &str, name: &str) -> ContainerRow {
    ContainerRow {
        id: id.to_owned(),
        name: name.to_owned(),
        image_id: Some("sha256:x".to_owned()),
        created_at: gantry_metadata::now(),
        record: "{}".to_owned(),
        state: "{}".to_owned(),
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (dir, database) = new();
    let path = database.path().to_owned();
    drop(database);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let error = Database::open(&path).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 99"), "{error}");
    let raw = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = raw
        .pragma_query_value(None, "user_version", |r| r.get(0))
        .unwrap();
    assert_eq!(version, 99);
    drop(dir);
}

#[test]
fn what_is_not_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(raw);
    assert!(matches!(Database::open(&path), Err(Error::Foreign { .. })));
    std::fs::write(
        &path,
        "this is no database, and long enough to be read as a header".repeat(20),
    )
    .unwrap();
    assert!(matches!(Database::open(&path), Err(Error::Damage { .. })));
    let missing = dir.path().join("no/such/dir/x.db");
    assert!(matches!(Database::open(missing), Err(Error::Open { .. })));
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let (_dir, database) = new();
    let result: Result<(), Error> = database.write(|tx| {
        containers::insert(tx, &container("a", "x"))?;
        containers::insert(tx, &container("b", "x"))
    });
    assert!(matches!(
        result,
        Err(Error::Exists {
            table: "containers",
            ..
        })
    ));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        database.write::<(), Error>(|tx| {
            containers::insert(tx, &container("a", "x"))?;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(database.read(containers::list).unwrap(), []);
    database
        .write(|tx| containers::insert(tx, &container("a", "x")))
        .unwrap();
}

#[test]
fn records_outlive_the_process() {
    let (dir, database) = new();
    database
        .write(|tx| containers::insert(tx, &container("a", "x")))
        .unwrap();
    database
        .write_durable(|tx| containers::set_state(tx, "a", "[]"))
        .unwrap();
    drop(database);
    let database = Database::open(dir.path().join("metadata.db")).unwrap();
    let row = database
        .read(|view| containers::by_name(view, "x"))
        .unwrap()
        .unwrap();
    assert_eq!(row.state, "[]");
}

#[test]
fn containers_are_found_by_id_prefix_name_and_image() {
    let (_dir, database) = new();
    database
        .write(|tx| {
            for (id, name) in [("abc1", "x"), ("abd2", "y"), ("f", "z")] {
                containers::insert(tx, &container(id, name))?;
            }
            containers::rename(tx, "f", "w")
        })
        .unwrap();
    database
        .read::<(), Error>(|view| {
            assert_eq!(containers::by_prefix(view, "ab")?.len(), 2);
            assert_eq!(containers::by_prefix(view, "abd")?.len(), 1);
            assert_eq!(containers::by_prefix(view, "f")?.len(), 1);
            assert_eq!(containers::by_prefix(view, "e")?.len(), 0);
            assert_eq!(containers::by_image(view, "sha256:x")?.len(), 3);
            assert_eq!(containers::by_name(view, "z")?, None);
            assert_eq!(containers::get(view, "f")?.unwrap().name, "w");
            Ok(())
        })
        .unwrap();
    let taken = database.write(|tx| containers::rename(tx, "f", "x"));
    assert!(matches!(taken, Err(Error::Exists { .. })));
    assert!(database.write(|tx| containers::delete(tx, "f")).unwrap());
    assert!(!database.write(|tx| containers::delete(tx, "f")).unwrap());
}

#[test]
fn an_address_is_given_once() {
    let (_dir, database) = new();
    let network = NetworkRow {
        id: "n".to_owned(),
        name: "bridge".to_owned(),
        driver: "bridge".to_owned(),
        created_at: 1,
        record: "{}".to_owned(),
    };
    let endpoint = |container: &str, ip: &str| EndpointRow {
        network: "n".to_owned(),
        container: container.to_owned(),
        ip: Some(ip.to_owned()),
        mac: None,
        record: "{}".to_owned(),
    };
    database
        .write(|tx| {
            networks::insert(tx, &network)?;
            endpoints::insert(tx, &endpoint("a", "10.0.0.2"))
        })
        .unwrap();
    let taken = database.write(|tx| endpoints::insert(tx, &endpoint("b", "10.0.0.2")));
    assert!(matches!(taken, Err(Error::Exists { key, .. }) if key == "10.0.0.2"));
    assert!(
        database.write(|tx| networks::delete(tx, "n")).is_err(),
        "it has endpoints"
    );
    assert!(
        database
            .write(|tx| endpoints::rename(tx, "n", "a", "c"))
            .unwrap()
    );
    let found = database
        .read(|view| endpoints::by_container(view, "c"))
        .unwrap();
    assert_eq!(found, [endpoint("c", "10.0.0.2")]);
    assert_eq!(
        database.write(|tx| endpoints::delete_all(tx, "c")).unwrap(),
        1
    );
    assert!(database.write(|tx| networks::delete(tx, "n")).unwrap());
}

#[test]
fn snapshot_numbers_are_never_given_twice() {
    let (_dir, database) = new();
    let insert = |name: &str, parent: Option<&str>| {
        database
            .write(|tx| snapshots::insert(tx, "overlay", name, Kind::Active, parent))
            .unwrap()
    };
    let first = insert("a", None);
    assert!(
        database
            .write(|tx| snapshots::delete(tx, "overlay", "a"))
            .unwrap()
    );
    assert!(insert("a", None) > first);
    let commit = |name: &str, to: &str| {
        database.write(|tx| snapshots::commit(tx, "overlay", name, to, None, 5, 1))
    };
    assert!(commit("a", "layer").unwrap());
    assert!(!commit("layer", "again").unwrap(), "committed for good");
    insert("b", Some("layer"));
    assert!(matches!(commit("b", "layer"), Err(Error::Exists { .. })));
    database
        .read::<(), Error>(|view| {
            assert!(snapshots::has_children(view, "overlay", "layer")?);
            assert!(!snapshots::has_children(view, "vfs", "layer")?);
            let chain = snapshots::chain(view, "overlay", "b")?;
            assert_eq!(chain.len(), 2);
            assert_eq!((chain[1].name.as_str(), chain[1].size), ("layer", 5));
            Ok(())
        })
        .unwrap();
}

#[test]
fn blobs_go_when_nothing_needs_them() {
    let (_dir, database) = new();
    let [layer, manifest, leased, free] = [b"l", b"m", b"h", b"f"].map(|b| Digest::of(b));
    let diff_id = DiffId(Digest::of(b"diff"));
    let config = b"{}".to_vec();
    let id = ImageId(Digest::of(&config));
    let row = images::ImageRow {
        id,
        config,
        manifest: Some(manifest),
        parent: None,
        top: ChainId::chain(&[diff_id]).last().copied(),
        size: 7,
        created_at: 1,
        tagged_at: None,
    };
    database
        .write_durable::<_, Error>(|tx| {
            for digest in [layer, manifest, leased, free] {
                blobs::insert(tx, digest, 1)?;
            }
            let layer = layers::LayerRow {
                diff_id,
                blob: layer,
                media_type: "x".to_owned(),
                size: 7,
                blob_size: 1,
            };
            layers::insert(tx, &layer)?;
            assert!(images::insert(tx, &row, &[diff_id])?);
            assert!(!images::insert(tx, &row, &[diff_id])?);
            leases::insert(tx, "l", "test")?;
            leases::hold(tx, "l", leases::Kind::Blob, &leased.to_string())
        })
        .unwrap();
    let collect = || -> Vec<Digest> {
        let rows = database.write(blobs::delete_unreferenced).unwrap();
        rows.into_iter().map(|row| row.digest).collect()
    };
    assert_eq!(collect(), [free]);
    assert_eq!(database.write(leases::clear).unwrap(), 1);
    assert_eq!(collect(), [leased]);
    let name = "a:1".parse().unwrap();
    database.write(|tx| references::set(tx, &name, id)).unwrap();
    assert!(
        database.write(|tx| images::delete(tx, id)).is_err(),
        "it has a name"
    );
    database
        .write(|tx| {
            references::delete(tx, &name)?;
            images::delete(tx, id)
        })
        .unwrap();
    let mut both = collect();
    both.sort();
    let mut expected = [layer, manifest];
    expected.sort();
    assert_eq!(both, expected);
    assert_eq!(
        database
            .read(|view| layers::by_diff_id(view, diff_id))
            .unwrap(),
        []
    );
}

#[test]
fn many_threads_read_and_write() {
    let (_dir, database) = new();
    let database = Arc::new(database);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let database = Arc::clone(&database);
            scope.spawn(move || {
                for n in 0..100 {
                    let id = format!("{thread}-{n}");
                    database
                        .write(|tx| containers::insert(tx, &container(&id, &id)))
                        .unwrap();
                    assert!(
                        database
                            .read(|view| containers::get(view, &id))
                            .unwrap()
                            .is_some()
                    );
                }
            });
        }
    });
    assert_eq!(database.read(containers::list).unwrap().len(), 400);
}

#[test]
fn a_state_change_is_quick() {
    let (_dir, database) = new();
    database
        .write(|tx| containers::insert(tx, &container("a", "x")))
        .unwrap();
    let state = "x".repeat(500);
    let begin = Instant::now();
    for _ in 0..200 {
        database
            .write(|tx| containers::set_state(tx, "a", &state))
            .unwrap();
    }
    let each = begin.elapsed() / 200;
    // About 30 µs when the machine is idle; generous, as it seldom is in tests.
    assert!(each.as_millis() < 20, "{each:?}");
    println!("one state change: {each:?}");
}
