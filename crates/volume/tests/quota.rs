//! Limits of volumes, on a file system with project quotas: ext4 in a file, mounted in a
//! mount namespace of this test's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gantry_metadata::Database;
use gantry_volume::{VolumeStore, Wanted};

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let ended = Command::new(program).args(args).output();
    let ended = ended.map_err(|error| format!("{program}: {error}"))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&ended.stderr)
        )),
    }
}

/// Mounts a new file system of 64 MiB; `Err`: this machine cannot.
fn mounted(dir: &Path) -> Result<(), String> {
    let image = dir.join("image");
    let file = std::fs::File::create(&image).and_then(|file| file.set_len(64 << 20));
    file.map_err(|error| error.to_string())?;
    let (image, dir) = (image.display().to_string(), dir.display().to_string());
    run(
        "mkfs.ext4",
        &[
            "-q",
            "-O",
            "quota,project",
            "-E",
            "quotatype=prjquota",
            &image,
        ],
    )?;
    run("mount", &["-o", "loop,prjquota", &image, &dir])
}

fn open(root: &Path) -> VolumeStore {
    let database = Database::open(root.join("metadata.db")).expect("a database");
    VolumeStore::open(root.join("volumes"), Arc::new(database), Default::default())
        .expect("a store")
}

#[test]
fn a_volume_holds_what_it_may_and_no_more() {
    // This thread alone, and the programs that it starts.
    if gantry_sys::unshare(gantry_sys::CloneFlags::NEWNS).is_err() {
        eprintln!("SKIPPED: no mount namespace can be made");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let prepared = run("mount", &["--make-rprivate", "/"]).and_then(|()| mounted(dir.path()));
    if let Err(error) = prepared {
        eprintln!("SKIPPED: no file system with project quotas: {error}");
        return;
    }
    let store = open(dir.path());
    let make = |name: &'static str, size: &str| {
        let options = BTreeMap::from([("size".to_owned(), size.to_owned())]);
        let wanted = Wanted {
            name,
            options: Some(&options),
            ..Wanted::default()
        };
        store.create(&wanted).map(|(volume, _)| volume)
    };
    let small = make("small", "1m").expect("a limited volume");
    let other = make("other", "4m").expect("another one");
    let write = |directory: &Path, name: &str, bytes: usize| {
        std::fs::write(directory.join(name), vec![1; bytes])
    };
    write(&small.directory, "half", 512 << 10).expect("there is room");
    let full = write(&small.directory, "more", 1 << 20).expect_err("there is none");
    assert_eq!(full.raw_os_error(), Some(122), "{full}");
    write(&other.directory, "more", 2 << 20).expect("the other has its own");
    // What a volume begins with counts as well, and too much of it is told.
    let fresh = make("fresh", "1m").expect("a third one");
    store
        .acquire(
            &Wanted {
                name: "fresh",
                ..Wanted::default()
            },
            "c1",
        )
        .expect("a user");
    let filled = store.fill((&fresh, ""), "c1", |into| {
        let path = format!(
            "/proc/self/fd/{}/large",
            std::os::fd::AsRawFd::as_raw_fd(&into)
        );
        std::fs::write(path, vec![1; 2 << 20])
            .map_err(|source| gantry_archive::Error::Write { source })
    });
    assert!(filled.is_err());
    assert_eq!(fresh.directory.read_dir().expect("a directory").count(), 0);
    store.remove("small").expect("it goes");
    make("small", "2m").expect("it comes again");
    let wrong = make("wrong", "much").expect_err("no size").to_string();
    assert_eq!(wrong, "create wrong: invalid size: 'much'");
    drop(store);
    let unlimited = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let unlimited = unlimited.expect("a folder");
    let store = open(unlimited.path());
    let options = BTreeMap::from([("size".to_owned(), "1m".to_owned())]);
    let wanted = Wanted {
        name: "none",
        options: Some(&options),
        ..Wanted::default()
    };
    let refused = store
        .create(&wanted)
        .expect_err("no quotas here")
        .to_string();
    assert_eq!(
        refused,
        "create none: quota size requested but no quota support"
    );
    assert!(!unlimited.path().join("volumes/none").exists());
}
