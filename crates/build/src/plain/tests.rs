//! What operations of definitions make of a directory.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use super::*;
use crate::graph::{Local, Mode};

struct Both {
    from: tempfile::TempDir,
    to: tempfile::TempDir,
}

impl Both {
    fn new(files: &[&str]) -> Self {
        let both = Self {
            from: tempfile::tempdir().unwrap(),
            to: tempfile::tempdir().unwrap(),
        };
        for path in files {
            let path = both.from.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        both
    }

    fn act(&self, plain: &Plain) -> Result<()> {
        let local = Arc::new(Local {
            directory: self.from.path().to_owned(),
            ..Local::default()
        });
        let tree = Tree {
            root: Some(RootDir::open(self.from.path()).unwrap()),
            local: Some(local),
        };
        act(&RootDir::open(self.to.path()).unwrap(), plain, Some(&tree))
    }

    fn copy(&self, source: &str, target: &str, wish: PlainCopy) -> Result<()> {
        self.act(&Plain::Copy(PlainCopy {
            source: source.to_owned(),
            target: target.to_owned(),
            ..wish
        }))
    }

    fn has(&self, path: &str) -> bool {
        self.to.path().join(path).symlink_metadata().is_ok()
    }
}

#[test]
fn copies_go_where_cp_puts_them() {
    let both = Both::new(&["a.txt", "b.txt", "d/x", "d/y/z"]);
    let wish = PlainCopy::default;
    both.copy("/a.txt", "/new", wish()).unwrap();
    assert!(both.has("new"));
    both.copy("/d", "/made", wish()).unwrap();
    assert!(both.has("made/y/z"));
    both.copy("/d", "/made", wish()).unwrap();
    assert!(both.has("made/d/y/z"));
    let contents = PlainCopy {
        contents: true,
        exclude: vec!["y".to_owned()],
        ..wish()
    };
    std::fs::create_dir(both.to.path().join("into")).unwrap();
    both.copy("/d", "/into", contents).unwrap();
    assert!(both.has("into/x") && !both.has("into/y"));
    assert!(both.copy("/a.txt", "/no/such/place", wish()).is_err());
    let create = PlainCopy {
        create: true,
        mode: Some(Mode::Octal(0o640)),
        time: Some(7_000_000_000),
        ..wish()
    };
    both.copy("/a.txt", "/no/such/place", create).unwrap();
    let made = both.to.path().join("no/such/place").metadata().unwrap();
    assert_eq!(
        (made.permissions().mode() & 0o777, made.mtime()),
        (0o640, 7)
    );
    let wildcard = || PlainCopy {
        wildcard: true,
        ..wish()
    };
    both.copy("/*.txt", "/into/", wildcard()).unwrap();
    assert!(both.has("into/a.txt") && both.has("into/b.txt"));
    assert!(both.copy("/*.none", "/into/", wildcard()).is_err());
    let empty = PlainCopy {
        empty: true,
        ..wildcard()
    };
    both.copy("/*.none", "/into/", empty).unwrap();
    assert!(both.copy("/none", "/into/", wish()).is_err());
    assert!(both.copy("/d", "/new", wish()).is_err());
    let replace = PlainCopy {
        replace: true,
        ..wish()
    };
    both.copy("/d", "/new", replace).unwrap();
    assert!(both.has("new/x"));
}

#[test]
fn nothing_is_made_or_removed_that_was_not_asked_for() {
    let both = Both::new(&[]);
    let directory = |path: &str, parents| Plain::Directory {
        path: path.to_owned(),
        mode: 0o700,
        parents,
        owner: None,
        time: None,
    };
    let file = |path: &str| Plain::File {
        path: path.to_owned(),
        mode: 0o600,
        bytes: b"x".to_vec(),
        owner: None,
        time: None,
    };
    let remove = |path: &str, missing, wildcard| Plain::Remove {
        path: path.to_owned(),
        missing,
        wildcard,
    };
    assert!(both.act(&directory("/a/b", false)).is_err());
    both.act(&directory("/a/b", true)).unwrap();
    both.act(&directory("/a/b", true)).unwrap();
    assert!(both.act(&directory("/a/b", false)).is_err());
    assert!(both.act(&file("/no/file")).is_err());
    both.act(&file("/a/b/f1")).unwrap();
    both.act(&file("/a/b/f2")).unwrap();
    let link = Plain::Link {
        to: "/".to_owned(),
        path: "/a/up".to_owned(),
        owner: None,
        time: None,
    };
    both.act(&link).unwrap();
    // A link is followed inside only, and removed itself.
    both.act(&remove("/a/up/a/b/f1", false, false)).unwrap();
    both.act(&remove("/a/up", false, false)).unwrap();
    assert!(both.has("a/b/f2") && !both.has("a/b/f1") && !both.has("a/up"));
    assert!(both.act(&remove("/a/none", false, false)).is_err());
    both.act(&remove("/a/none/x", true, false)).unwrap();
    both.act(&remove("/a/b/f*", false, true)).unwrap();
    assert!(both.act(&remove("/a/b/f*", false, true)).is_err());
    assert!(both.act(&remove("/", true, false)).is_err());
    both.act(&remove("/a", false, false)).unwrap();
    assert!(!both.has("a"));
}
