//! Whiteouts in both forms, and back.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use gantry_archive::tar::{Entry, Kind};
use gantry_archive::{PackOptions, Whiteouts};

use crate::support::*;

fn is_whiteout(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_char_device() && metadata.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, "trusted.overlay.opaque").as_deref() == Some(b"y")
}

#[test]
fn overlay_form() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let entries = [
        dir("d"),
        file("d/.wh.gone", ""),
        dir("opaque"),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/new", "x"),
        // The whiteout and its name in one layer, in both orders.
        file(".wh.before", ""),
        dir("before"),
        dir("after"),
        file(".wh.after", ""),
        file(".wh.file", ""),
        file("file", "x"),
        file("kept", "x"),
        file(".wh.kept", ""),
        // What aufs left.
        dir(".wh..wh.plnk"),
        file(".wh..wh.aufs", ""),
    ];
    target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap();
    assert!(is_whiteout(&target.path("d/gone")));
    for name in ["opaque", "before", "after"] {
        assert!(is_opaque(&target.path(name)), "{name}");
    }
    assert!(target.path("file").is_file());
    assert!(target.path("kept").is_file());
    assert!(!target.path(".wh..wh.plnk").exists());
    assert!(!target.path(".wh..wh.aufs").exists());

    let packed = parse(&target.pack(&PackOptions::new(Whiteouts::Overlay)));
    let names: Vec<_> = packed
        .iter()
        .map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "after/",
            "after/.wh..wh..opq",
            "before/",
            "before/.wh..wh..opq",
            "d/",
            "d/.wh.gone",
            "file",
            "kept",
            "opaque/",
            "opaque/.wh..wh..opq",
            "opaque/new",
        ]
    );
    assert!(packed.iter().all(|(entry, _)| entry.xattrs.is_empty()));
}

#[test]
fn removing_form() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let lower = [
        dir("d"),
        file("d/gone", "x"),
        file("d/stays", "x"),
        dir("opaque"),
        file("opaque/old", "x"),
        dir("opaque/sub"),
        file("opaque/sub/old", "x"),
        dir("both"),
        file("both/old", "x"),
        file("file", "old"),
        symlink("link", "d"),
    ];
    target.apply(&archive(&lower), Whiteouts::Remove).unwrap();
    let upper = [
        file("d/.wh.gone", ""),
        file("opaque/sub/new", "x"),
        file("opaque/.wh..wh..opq", ""),
        file("both/new", "x"),
        file(".wh.both", ""),
        file("file", "new"),
        file(".wh.file", ""),
        file(".wh.link", ""),
        file(".wh.never-there", ""),
        file("nowhere/.wh.x", ""),
        file("nowhere/.wh..wh..opq", ""),
    ];
    target.apply(&archive(&upper), Whiteouts::Remove).unwrap();
    let names: Vec<_> = parse(&target.pack(&PackOptions::new(Whiteouts::Literal)))
        .iter()
        .map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "both/",
            "both/new",
            "d/",
            "d/stays",
            "file",
            "opaque/",
            "opaque/sub/",
            "opaque/sub/new",
        ]
    );
    assert_eq!(std::fs::read(target.path("file")).unwrap(), b"new");
}

#[test]
fn literal_names_and_reserved_ones() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let entries = [file(".wh.a", "1"), file(".wh..wh..opq", "2")];
    target
        .apply(&archive(&entries), Whiteouts::Literal)
        .unwrap();
    assert!(target.path(".wh.a").is_file());
    let literal = parse(&target.pack(&PackOptions::new(Whiteouts::Literal)));
    assert_eq!(literal.len(), 2);
    let root = std::fs::File::open(target.root()).unwrap();
    let options = PackOptions::new(Whiteouts::Overlay);
    let error = gantry_archive::pack(root, Vec::new(), &options).unwrap_err();
    assert!(error.to_string().contains("whiteout"), "{error}");
}

#[test]
fn stale_attributes_of_a_lower_directory_go() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let (mut lower, _) = dir("d");
    lower.xattrs.insert(b"user.old".to_vec(), b"1".to_vec());
    let (mut upper, _) = dir("d");
    upper.xattrs.insert(b"user.new".to_vec(), b"2".to_vec());
    upper.mode = 0o1777;
    for entry in [lower, upper] {
        target
            .apply(&archive(&[(entry, vec![])]), Whiteouts::Remove)
            .unwrap();
    }
    let path = target.path("d");
    assert_eq!(xattr(&path, "user.old"), None);
    assert_eq!(xattr(&path, "user.new").as_deref(), Some(&b"2"[..]));
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o1777);
}

#[test]
fn overlay_directories_that_point_elsewhere_are_not_packed() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let entry = Entry::new("d", Kind::Directory);
    target
        .apply(&archive(&[(entry, vec![])]), Whiteouts::Overlay)
        .unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    let name = "trusted.overlay.redirect";
    rustix::fs::setxattr(target.path("d"), name, b"/x", flags).unwrap();
    let root = std::fs::File::open(target.root()).unwrap();
    let options = PackOptions::new(Whiteouts::Overlay);
    let error = gantry_archive::pack(root, Vec::new(), &options).unwrap_err();
    assert!(error.to_string().contains("redirect"), "{error}");
}
