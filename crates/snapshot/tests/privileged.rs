//! The drivers against the conformance suite, on whatever the temporary
//! directory is. Needs root; mounts nothing anywhere.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::sync::Arc;

use gantry_metadata::Database;
use gantry_snapshot::{DriverKind, MemoryRecords, MetadataRecords, conformance, select};

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

#[test]
fn overlay_conforms() {
    if !is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    if select(Some("overlay"), scratch.path()).is_err() {
        eprintln!("SKIPPED: no overlay on {}", scratch.path().display());
        return;
    }
    conformance::run(scratch.path(), &|root, records| {
        DriverKind::Overlay.open(root, records)
    });
}

#[test]
fn vfs_conforms() {
    if !is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    conformance::run(scratch.path(), &|root, records| {
        DriverKind::Vfs.open(root, records)
    });
}

#[test]
fn metadata_records_survive_a_restart() {
    if !is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("metadata.db");
    let open = || {
        let database = Arc::new(Database::open(&file).unwrap());
        let records = Arc::new(MetadataRecords::new(database, "vfs"));
        DriverKind::Vfs.open(scratch.path(), records).unwrap()
    };
    let driver = open();
    driver.create("a", None).unwrap();
    let error = driver.create("a", None).unwrap_err();
    assert_eq!(error.kind(), gantry_types::ErrorKind::AlreadyExists);
    driver.commit("a", "base", None).unwrap();
    driver.create("b", Some("base")).unwrap();
    driver.create("gone", Some("base")).unwrap();
    driver.remove("gone").unwrap();
    let list = driver.list();
    drop(driver);
    let driver = open();
    assert_eq!(driver.list(), list);
    assert!(driver.remove("base").is_err());
    driver.remove("b").unwrap();
    driver.remove("base").unwrap();
    drop(driver);
    assert!(open().list().is_empty());
}

/// The hot path of `docker create`, without records.
#[test]
fn creating_on_top_of_an_image_is_cheap() {
    if !is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let Ok(DriverKind::Overlay) = select(None, scratch.path()) else {
        eprintln!("SKIPPED: no overlay");
        return;
    };
    let records = Arc::new(MemoryRecords::new());
    let driver = DriverKind::Overlay.open(scratch.path(), records).unwrap();
    driver.create("layer", None).unwrap();
    driver.commit("layer", "image", None).unwrap();
    let start = std::time::Instant::now();
    for number in 0..100 {
        let key = number.to_string();
        driver.create(&key, Some("image")).unwrap();
        driver.mounts(&key).unwrap();
    }
    let each = start.elapsed() / 100;
    eprintln!("create and mounts: {each:?}");
    assert!(each < std::time::Duration::from_millis(20));
}
