//! The drivers against the conformance suite, on whatever the temporary
//! directory is. Needs root; mounts nothing anywhere.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use gantry_metadata::Database;
use gantry_snapshot::{
    DriverKind, MemoryRecords, MetadataRecords, SnapshotDriver, conformance, select,
};

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

/// Set for the process that is to be killed: where it works.
const VICTIM: &str = "GANTRY_SNAPSHOT_VICTIM";

fn open_overlay(root: &Path) -> Arc<dyn SnapshotDriver> {
    let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
    let records = Arc::new(MetadataRecords::new(database, "overlay"));
    DriverKind::Overlay
        .open(&root.join("snapshots"), records)
        .unwrap()
}

/// Not a test by itself: what the killed process does.
#[test]
fn victim() {
    let Some(root) = std::env::var_os(VICTIM) else {
        return;
    };
    let root = Path::new(&root);
    let driver = open_overlay(root);
    for number in 0.. {
        let (key, name) = (format!("key {number}"), format!("name {number}"));
        driver.create(&key, None).unwrap();
        let target = driver.unpack_target(&key).unwrap().directory;
        for file in 0..20 {
            std::fs::write(target.join(file.to_string()), "x").unwrap();
        }
        driver.commit(&key, &name, None).unwrap();
        // Said only when it is done: it must be there afterwards.
        std::fs::write(root.join("doing"), &name).unwrap();
        std::fs::rename(root.join("doing"), root.join("done")).unwrap();
        driver.create("container", Some(&name)).unwrap();
        driver.remove("container").unwrap();
        if let Some(old) = (number as u64).checked_sub(5) {
            driver.remove(&format!("name {old}")).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_that_cleanup_does_not_remove() {
    if !is_root() {
        return;
    }
    for round in 0..12u64 {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim"])
            .env(VICTIM, scratch.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let done = scratch.path().join("done");
        let started = std::time::Instant::now();
        while !done.exists() {
            assert!(started.elapsed() < std::time::Duration::from_secs(60));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 1703));
        child.kill().unwrap();
        child.wait().unwrap();

        let driver = open_overlay(scratch.path());
        let acknowledged = std::fs::read_to_string(&done).unwrap();
        let target = driver.mounts(&acknowledged).unwrap();
        let gantry_types::Mount::Bind { source, .. } = target else {
            panic!("one layer is a bind");
        };
        assert_eq!(source.read_dir().unwrap().count(), 20);
        let live = HashSet::from([acknowledged.clone()]);
        driver.cleanup(&live).unwrap();
        assert_eq!(driver.list().len(), 1);
        let directory = scratch.path().join("snapshots/overlay");
        assert_eq!(
            directory.read_dir().unwrap().count(),
            3,
            "one, the trash, and the place where layers begin"
        );
        let trash = directory.join("trash");
        while trash.read_dir().unwrap().count() > 0 {
            assert!(started.elapsed() < std::time::Duration::from_secs(60));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        driver.remove(&acknowledged).unwrap();
    }
}
