//! Trees compared, copied and measured.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use gantry_archive::tar::Kind;
use gantry_archive::{
    ChangeKind, PackOptions, Whiteouts, changes, copy_tree, measure, pack_changes,
};

use crate::support::*;

fn base() -> Vec<u8> {
    archive(&[
        dir("d"),
        file("d/changed", "one"),
        file("d/gone", "x"),
        dir("gone"),
        file("gone/x", "x"),
        dir("same"),
        file("same/x", "x"),
        file("becomes-dir", "x"),
        dir("becomes-file"),
        file("becomes-file/x", "x"),
        symlink("link", "one"),
        file("mode", "x"),
        hard_link("mode2", "mode"),
    ])
}

/// A copy of the base tree, changed.
fn changed(original: &Target) -> Target {
    let target = Target::new();
    copy_tree(
        File::open(original.root()).unwrap(),
        File::open(target.root()).unwrap(),
    )
    .unwrap();
    let path = |name| target.path(name);
    std::fs::write(path("d/changed"), "two").unwrap();
    std::fs::remove_file(path("d/gone")).unwrap();
    std::fs::remove_dir_all(path("gone")).unwrap();
    std::fs::remove_file(path("becomes-dir")).unwrap();
    std::fs::create_dir(path("becomes-dir")).unwrap();
    std::fs::write(path("becomes-dir/new"), "new").unwrap();
    std::fs::remove_dir_all(path("becomes-file")).unwrap();
    std::fs::write(path("becomes-file"), "new").unwrap();
    std::fs::remove_file(path("link")).unwrap();
    std::os::unix::fs::symlink("two", path("link")).unwrap();
    std::os::unix::fs::chown(path("mode"), Some(7), None).unwrap();
    std::fs::write(path("new"), "new").unwrap();
    std::fs::hard_link(path("new"), path("new2")).unwrap();
    target
}

#[test]
fn changes_are_found_and_packed() {
    if !is_root() {
        return;
    }
    let original = Target::new();
    original.apply(&base(), Whiteouts::Remove).unwrap();
    let later = changed(&original);
    let open = |target: &Target| File::open(target.root()).unwrap();
    let found: Vec<_> = changes(open(&original), open(&later), &|_| false)
        .unwrap()
        .into_iter()
        .map(|change| (String::from_utf8(change.path).unwrap(), change.kind))
        .collect();
    use ChangeKind::{Added, Deleted, Modified};
    let expected = [
        ("becomes-dir", Modified),
        ("becomes-dir/new", Added),
        ("becomes-file", Modified),
        ("d", Modified),
        ("d/changed", Modified),
        ("d/gone", Deleted),
        ("gone", Deleted),
        ("link", Modified),
        ("mode", Modified),
        ("mode2", Modified),
        ("new", Added),
        ("new2", Added),
    ]
    .map(|(path, kind)| (path.to_owned(), kind));
    assert_eq!(found, expected);

    let options = PackOptions::new(Whiteouts::Literal);
    let mut layer = Vec::new();
    let packed = pack_changes(open(&original), open(&later), &mut layer, &options, &|_| {
        false
    })
    .unwrap();
    let applied = original.apply(&layer, Whiteouts::Remove).unwrap();
    assert_eq!(applied.diff_id, packed.diff_id);
    assert_eq!(applied.entries, packed.entries);
    assert_eq!(
        changes(open(&original), open(&later), &|_| false).unwrap(),
        []
    );
    // Only the times of directories that nobody changed on purpose differ.
    let names = |target: &Target| {
        let entries = parse(&target.pack(&options));
        entries
            .into_iter()
            .map(|(entry, data)| (entry.path, data))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&original), names(&later));
}

#[test]
fn copies_are_exact() {
    if !is_root() {
        return;
    }
    let original = Target::new();
    let (mut top, _) = dir("./");
    top.mode = 0o1777;
    top.xattrs.insert(b"user.a".to_vec(), b"b".to_vec());
    let (mut odd, data) = file("odd", "x");
    odd.mode = 0o6711;
    odd.uid = 70_000;
    odd.xattrs.insert(b"user.a".to_vec(), b"b".to_vec());
    let entries = [
        (top, vec![]),
        (odd, data),
        hard_link("odd2", "odd"),
        symlink("up", "../.."),
        device("null"),
        (entry("fifo", Kind::Fifo), vec![]),
    ];
    original
        .apply(&archive(&entries), Whiteouts::Literal)
        .unwrap();
    let sparse = File::create(original.path("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    let copy = Target::new();
    let open = |target: &Target| File::open(target.root()).unwrap();
    copy_tree(open(&original), open(&copy)).unwrap();
    let mut options = PackOptions::new(Whiteouts::Literal);
    options.root_entry = true;
    options.sparse = true;
    assert_eq!(copy.pack(&options), original.pack(&options));
    assert!(copy.path("sparse").metadata().unwrap().blocks() < 100);
    let found = measure(open(&copy)).unwrap();
    assert_eq!((found.bytes, found.inodes), (1 + 5 + (1 << 30), 6));
    assert!(found.disk < 1 << 20, "holes take nothing: {found:?}");
    assert_eq!(
        gantry_archive::disk_usage(&copy.path("")).unwrap(),
        found.disk
    );
    assert_eq!(gantry_archive::disk_usage(&copy.path("none")).unwrap(), 0);
}

#[test]
fn large_trees_are_copied_by_several_threads() {
    if !is_root() {
        return;
    }
    let mut entries = vec![dir("wide")];
    for n in 0..900 {
        entries.push(file(&format!("wide/{n}"), &"x".repeat(n)));
    }
    for n in 0..60 {
        let mut deep = dir(&format!("d{n}"));
        deep.0.mode = 0o2750;
        deep.0.gid = 70_000;
        entries.push(deep);
        entries.push(dir(&format!("d{n}/below")));
        entries.push(file(&format!("d{n}/below/file"), "content"));
        entries.push(hard_link(&format!("d{n}/again"), &format!("wide/{n}")));
        entries.push(symlink(&format!("d{n}/link"), "/etc"));
    }
    let original = Target::new();
    original
        .apply(&archive(&entries), Whiteouts::Literal)
        .unwrap();
    let copy = Target::new();
    let open = |target: &Target| File::open(target.root()).unwrap();
    copy_tree(open(&original), open(&copy)).unwrap();
    let options = PackOptions::new(Whiteouts::Literal);
    assert_eq!(copy.pack(&options), original.pack(&options));
    // The second copy finds something: what is there is never written over.
    let error = copy_tree(open(&original), open(&copy)).unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
}
