//! Cases about failures half-way, and what is left after a crash.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Bench;
use super::view::Layer;
use crate::error::Error;
use crate::records::{Record, Records};

/// Records that fail when told to.
struct Failing {
    inner: Arc<dyn Records>,
    when: AtomicU8,
    /// Where the last directory was put that got no record.
    placed: Mutex<Option<u64>>,
}

const NEVER: u8 = 0;
const BEFORE: u8 = 1;
const AFTER_PLACE: u8 = 2;

impl Failing {
    fn fail(&self) -> Result<(), Error> {
        if self.when.load(Ordering::Relaxed) == NEVER {
            return Ok(());
        }
        Err(failure())
    }
}

fn failure() -> Error {
    Error::disk("write", "records")(std::io::Error::other("as told"))
}

impl Records for Failing {
    fn load(&self) -> Result<Vec<Record>, Error> {
        self.inner.load()
    }

    fn insert(
        &self,
        key: &str,
        parent: Option<&str>,
        place: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        match self.when.load(Ordering::Relaxed) {
            BEFORE => Err(failure()),
            AFTER_PLACE => self.inner.insert(key, parent, &mut |number| {
                place(number)?;
                *self.placed.lock().unwrap_or_else(PoisonError::into_inner) = Some(number);
                Err(failure())
            }),
            _ => self.inner.insert(key, parent, place),
        }
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error> {
        self.fail()?;
        self.inner.commit(key, name, parent)
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        self.fail()?;
        self.inner.delete(key)
    }
}

pub(super) fn failing_records(bench: &Bench<'_>) {
    let failing = Arc::new(Failing {
        inner: Arc::clone(&bench.records),
        when: AtomicU8::new(NEVER),
        placed: Mutex::new(None),
    });
    let driver = bench.reopen(Arc::clone(&failing) as Arc<dyn Records>);
    let set = |when| failing.when.store(when, Ordering::Relaxed);
    bench.ok(driver.create("active", None));
    settle(&bench.root);
    let before = tree(&bench.root);
    for when in [BEFORE, AFTER_PLACE] {
        set(when);
        bench.refused(driver.create("x", None));
        assert!(!driver.exists("x"));
        settle(&bench.root);
        assert_eq!(tree(&bench.root), before, "a failed create leaves nothing");
    }
    bench.refused(driver.commit("active", "done", None));
    bench.refused(driver.remove("active"));
    assert!(!driver.exists("done"));
    assert_eq!(tree(&bench.root), before);
    set(NEVER);
    bench.ok(driver.create("x", None));
    bench.ok(driver.commit("active", "done", None));
    bench.ok(driver.remove("done"));
    bench.ok(driver.remove("x"));
}

pub(super) fn cleanup(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    bench.layer("base", None, &Layer::new().file("a", "a"));
    bench.layer("middle", Some("base"), &Layer::new().file("b", "b"));
    bench.layer("unused", Some("middle"), &Layer::new().file("c", "c"));
    bench.ok(driver.create("container", Some("middle")));
    bench.view("container").write("own", "own");
    settle(&bench.root);
    let wanted = tree(&bench.root);
    bench.ok(driver.create("crashed unpacking", Some("unused")));
    bench.ok(driver.create("crashed container", Some("middle")));
    garbage(&bench.root);

    let again = bench.reopen(Arc::clone(&bench.records));
    let live = HashSet::from(["container".to_owned(), "unused".to_owned()]);
    let mut removed = bench.ok(again.cleanup(&live));
    removed.sort();
    assert_eq!(removed, ["crashed container", "crashed unpacking"]);
    settle(&bench.root);
    assert_eq!(tree(&bench.root), wanted, "garbage is gone, all else stays");
    assert!(again.exists("base") && again.exists("unused"));
    assert_eq!(bench.view("container").read("own").as_deref(), Some("own"));

    let live = HashSet::from(["container".to_owned()]);
    assert_eq!(bench.ok(again.cleanup(&live)), ["unused"]);
    let removed = bench.ok(again.cleanup(&HashSet::new()));
    assert_eq!(removed.len(), 3, "children go before their parents");
    bench.ok(again.create("numbers are not in the way", None));
}

/// What a crash leaves: a directory that was being filled, one that got its
/// number and no record (the next numbers among them), one in the trash.
fn garbage(root: &Path) {
    let make = |path: PathBuf| {
        std::fs::create_dir_all(path.join("fs/deep")).expect("the directory is writable");
        std::fs::write(path.join("fs/deep/file"), "x").expect("the directory is writable");
    };
    for driver in list(root) {
        make(driver.join("new-0"));
        make(driver.join("new-1"));
        make(driver.join("trash/0"));
        make(driver.join("trash/77"));
        for number in 7..12 {
            make(driver.join(number.to_string()));
        }
    }
}

/// Waits until the trash is empty.
fn settle(root: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let empty = || {
        list(root)
            .iter()
            .all(|driver| list(&driver.join("trash")).is_empty())
    };
    while !empty() {
        assert!(Instant::now() < deadline, "the trash is not emptied");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every path below `root`, but not what overlayfs makes for itself.
fn tree(root: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for path in list(&directory) {
            if path.is_dir() && !path.is_symlink() {
                pending.push(path.clone());
            }
            if !path.ends_with("work/work") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}
