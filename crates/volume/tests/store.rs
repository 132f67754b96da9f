//! The store as its users see it, and what a crash at any point leaves.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use gantry_metadata::Database;
use gantry_types::ErrorKind;
use gantry_volume::{ANONYMOUS, Error, Volume, VolumeStore, Wanted};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a store of its own"),
        }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("volumes")
    }

    /// As a daemon that starts opens it.
    fn open(&self) -> (VolumeStore, Arc<Database>) {
        let database =
            Database::open(self.dir.path().join("metadata.db")).expect("a store of its own");
        let database = Arc::new(database);
        let store = VolumeStore::open(self.root(), Arc::clone(&database), Default::default())
            .expect("a store of its own");
        (store, database)
    }

    fn has(&self, name: &str) -> bool {
        self.root().join(name).exists()
    }
}

fn named(name: &str) -> Wanted<'_> {
    Wanted {
        name,
        ..Wanted::default()
    }
}

fn record(database: &Database, store: &VolumeStore, volumes: &[Arc<Volume>]) -> usize {
    let write = |tx: &gantry_metadata::Tx<'_>| VolumeStore::insert(tx, volumes);
    database.write(write).expect("a store of its own");
    store.settle(volumes).len()
}

#[test]
fn volumes_outlive_the_daemon_and_are_made_once() {
    let place = Place::new();
    let (store, database) = place.open();
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let wanted = Wanted {
        labels: Some(&labels),
        ..named("one")
    };
    let (volume, new) = store.create(&wanted).unwrap();
    assert!(new && !volume.is_anonymous());
    std::fs::write(volume.directory.join("file"), "x").unwrap();
    assert!(!store.create(&named("one")).unwrap().1);
    let (nameless, _) = store.create(&Wanted::default()).unwrap();
    assert!(nameless.is_anonymous() && nameless.name.len() == 64);
    drop((store, database));
    let (store, _database) = place.open();
    assert_eq!(store.list().len(), 2);
    let found = store.get("one").unwrap().volume;
    assert_eq!(*found, *volume);
    assert!(found.disk() >= 4096);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&found.directory), mode(&place.root())),
        (0o755, 0o701)
    );
    let labels = store.get(&nameless.name).unwrap().volume.labels.clone();
    assert!(labels.unwrap().contains_key(ANONYMOUS));
}

#[test]
fn what_is_used_is_not_removed() {
    let place = Place::new();
    let (store, database) = place.open();
    store.create(&named("one")).unwrap();
    store.acquire(&named("one"), "c2").unwrap();
    store.acquire(&named("one"), "c1").unwrap();
    let error = store.remove("one").unwrap_err();
    assert_eq!(error.to_string(), "remove one: volume is in use - [c1, c2]");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.release(["one"], "c1");
    store.release(["one"], "c2");
    store.remove("one").unwrap();
    assert!(!place.has("one"));
    let error = store.remove("one").unwrap_err();
    assert_eq!(error.to_string(), "get one: no such volume");
    drop((store, database));
    assert!(place.open().0.list().is_empty());
}

#[test]
fn a_volume_is_nobodys_until_its_users_record_is_written() {
    let place = Place::new();
    let (store, database) = place.open();
    let lost = store.acquire(&Wanted::default(), "c1").unwrap();
    assert!(place.has(&lost.name) && store.list().is_empty());
    assert!(matches!(store.remove(&lost.name), Err(Error::NotFound(_))));
    // Killed here.
    drop((store, database));
    let (store, database) = place.open();
    assert!(!place.has(&lost.name));
    // One that two containers make together, of which one fails.
    let mine = store.acquire(&named("shared"), "c1").unwrap();
    let other = store.acquire(&named("shared"), "c2").unwrap();
    assert_eq!(record(&database, &store, &[other]), 1);
    store.release(["shared"], "c1");
    assert!(place.has("shared") && mine.directory.is_dir());
    // And one whose only user fails.
    store.acquire(&named("gone"), "c3").unwrap();
    store.release(["gone"], "c3");
    assert!(!place.has("gone"));
}

#[test]
fn those_of_its_own_go_with_the_last_user() {
    let place = Place::new();
    let (store, database) = place.open();
    let own = store.acquire(&Wanted::default(), "c1").unwrap();
    let shared = store.acquire(&Wanted::default(), "c1").unwrap();
    store.acquire(&named(&shared.name), "c2").unwrap();
    record(&database, &store, &[Arc::clone(&own), Arc::clone(&shared)]);
    let names = [own.name.clone(), shared.name.clone()];
    let refused: Result<_, &str> = store.take_away("c1", &names, &names, |_| Err("full"));
    assert_eq!(refused.unwrap_err(), "full");
    assert_eq!(store.get(&own.name).unwrap().users, ["c1"]);
    let commit = |doomed: &[String]| {
        assert!(doomed.len() == 1 && doomed[0] == own.name);
        database.write(|tx| VolumeStore::delete(tx, doomed))
    };
    let gone = store.take_away("c1", &names, &names, commit).unwrap();
    assert_eq!(gone.len(), 1);
    assert!(!place.has(&own.name) && place.has(&shared.name));
    drop(store);
    let (store, database) = place.open();
    assert!(store.adopt(&shared.name, "c2") && !store.adopt(&own.name, "c2"));
    // Killed after the row was deleted, before the directory went.
    let delete =
        |tx: &gantry_metadata::Tx<'_>| VolumeStore::delete(tx, std::slice::from_ref(&shared.name));
    database.write(delete).unwrap();
    drop((store, database));
    place.open();
    assert!(!place.has(&shared.name));
}

fn put(text: &str) -> impl Fn(BorrowedFd<'_>) -> Result<(), gantry_archive::Error> {
    let text = text.to_owned();
    move |directory| {
        let path = format!(
            "/proc/self/fd/{}/file",
            std::os::fd::AsRawFd::as_raw_fd(&directory)
        );
        std::fs::write(path, &text).expect("a file in the directory");
        Ok(())
    }
}

#[test]
fn an_empty_volume_is_filled_once() {
    let place = Place::new();
    let (store, _database) = place.open();
    let volume = store.acquire(&named("one"), "c1").unwrap();
    let read = || std::fs::read_to_string(volume.directory.join("file")).unwrap();
    assert!(store.fill((&volume, ""), "c1", put("first")).unwrap());
    assert!(!store.fill((&volume, ""), "c1", put("second")).unwrap());
    assert_eq!(read(), "first");
    std::fs::remove_file(volume.directory.join("file")).unwrap();
    // Somebody else may have it mounted: the directory stays the same one.
    store.acquire(&named("one"), "c2").unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
    let before = inode(&volume.directory);
    assert!(store.fill((&volume, ""), "c1", put("third")).unwrap());
    assert_eq!(
        (read().as_str(), inode(&volume.directory)),
        ("third", before)
    );
}

#[test]
fn a_copy_that_was_broken_off_is_forgotten() {
    let place = Place::new();
    let (store, database) = place.open();
    let (volume, _) = store.create(&named("one")).unwrap();
    let unfinished = place.root().join("one/_fill");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("half"), "x").unwrap();
    drop((store, database));
    let (store, _database) = place.open();
    assert!(!unfinished.exists() && volume.directory.is_dir());
    store.acquire(&named("one"), "c1").unwrap();
    assert!(store.fill((&volume, ""), "c1", put("whole")).unwrap());
}

#[test]
fn a_spoilt_record_loses_no_files() {
    let place = Place::new();
    let (store, database) = place.open();
    let (volume, _) = store.create(&named("one")).unwrap();
    std::fs::write(volume.directory.join("file"), "x").unwrap();
    let row = gantry_metadata::volumes::VolumeRow {
        name: "one".to_owned(),
        driver: "local".to_owned(),
        created_at: 7,
        record: "{".to_owned(),
    };
    let spoil = |tx: &gantry_metadata::Tx<'_>| {
        gantry_metadata::volumes::delete(tx, "one")?;
        gantry_metadata::volumes::insert(tx, &row)
    };
    database.write(spoil).unwrap();
    drop((store, database));
    let (store, _database) = place.open();
    assert!(!store.create(&named("one")).unwrap().1);
    assert!(volume.directory.join("file").exists());
}

#[test]
fn a_new_volume_has_all_its_files_or_is_not_there() {
    let place = Place::new();
    let (store, database) = place.open();
    let (origin, _) = store.create(&named("one")).unwrap();
    std::fs::write(origin.directory.join("file"), "x").unwrap();
    let reading = store.read("one", "clone").unwrap();
    let error = store.remove("one").unwrap_err().to_string();
    assert!(
        error.starts_with("remove one: volume is in use - [clone "),
        "{error}"
    );
    let copy = |to: std::os::fd::OwnedFd| gantry_volume::copy(reading.open().unwrap(), to);
    let made = store.create_filled("two", (None, None), copy).unwrap();
    assert!(made.directory.join("file").exists());
    let error = store.create_filled("two", (None, None), |_| Ok::<_, Error>(()));
    assert_eq!(error.unwrap_err().to_string(), "volume two exists already");
    let full = |_| Err(Error::NotFound("full".to_owned()));
    assert!(store.create_filled("three", (None, None), full).is_err());
    assert!(store.create_filled("../x", (None, None), full).is_err());
    assert!(!place.has("three") && store.get("three").is_err());
    drop(reading);
    store.remove("one").unwrap();
    // Killed before it was complete.
    std::fs::create_dir_all(place.root().join(".making/half/_data")).unwrap();
    drop((store, database));
    let (store, _database) = place.open();
    assert_eq!(store.list().len(), 1);
    assert!(!place.has(".making/half") && place.has("two"));
    assert!(store.strays(false).unwrap().is_empty());
}

#[test]
fn a_volume_that_nobody_uses_gets_another_name() {
    let place = Place::new();
    let (store, database) = place.open();
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let wanted = Wanted {
        labels: Some(&labels),
        ..named("old")
    };
    let (volume, _) = store.create(&wanted).unwrap();
    std::fs::write(volume.directory.join("file"), "x").unwrap();
    store.create(&named("taken")).unwrap();
    store.acquire(&named("old"), "c1").unwrap();
    let error = store.rename("old", "new").unwrap_err();
    assert_eq!(error.to_string(), "rename old: volume is in use - [c1]");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.release(["old"], "c1");
    assert!(matches!(
        store.rename("old", "taken"),
        Err(Error::Exists(_))
    ));
    assert!(matches!(
        store.rename("old", "../new"),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        store.rename("none", "new"),
        Err(Error::NotFound(_))
    ));
    let renamed = store.rename("old", "new").unwrap();
    assert!(renamed.directory.join("file").exists() && !place.has("old"));
    assert_eq!(renamed.labels, Some(labels));
    // Killed after the row was written, before the directory followed.
    store.rename("new", "newest").unwrap();
    drop((store, database));
    std::fs::rename(place.root().join("newest"), place.root().join("new")).unwrap();
    let database = gantry_metadata::Database::open(place.dir.path().join("metadata.db")).unwrap();
    let row = gantry_metadata::volumes::VolumeRow {
        name: "newest".to_owned(),
        driver: "local".to_owned(),
        created_at: 7,
        record: r#"{"was":"new"}"#.to_owned(),
    };
    let spoil = |tx: &gantry_metadata::Tx<'_>| {
        gantry_metadata::volumes::delete(tx, "newest")?;
        gantry_metadata::volumes::insert(tx, &row)
    };
    database.write(spoil).unwrap();
    drop(database);
    let (store, _database) = place.open();
    let found = store.get("newest").unwrap().volume;
    assert!(found.directory.join("file").exists() && !place.has("new"));
}
