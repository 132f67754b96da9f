//! Cases about what layers on top of each other look like.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use gantry_archive::tar::{Entry, Kind};

use super::Bench;
use super::view::Layer;

pub(super) fn three_layers(bench: &Bench<'_>) {
    bench.layer(
        "bottom",
        None,
        &Layer::new().file("1", "1").file("2", "2").file("5", "5"),
    );
    bench.layer(
        "middle",
        Some("bottom"),
        &Layer::new().file("3", "3").file("4", "4"),
    );
    // File 7 is a newer file 5.
    bench.layer(
        "top",
        Some("middle"),
        &Layer::new().file("6", "6").file("5", "7"),
    );
    let view = bench.view("top");
    assert_eq!(view.names(""), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(view.read("5").as_deref(), Some("7"));
    assert_eq!(bench.view("middle").read("5").as_deref(), Some("5"));
}

pub(super) fn whiteouts(bench: &Bench<'_>) {
    let base = Layer::new()
        .file("gone", "x")
        .directory("gone-dir")
        .file("gone-dir/a", "x")
        .directory("opaque")
        .file("opaque/old", "x")
        .directory("opaque/sub")
        .directory("kept")
        .file("kept/a", "a")
        .file("kept/b", "b")
        .directory("renewed")
        .file("renewed/old", "x");
    bench.layer("base", None, &base);
    let top = Layer::new()
        .file(".wh.gone", "")
        .file(".wh.gone-dir", "")
        .directory("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/new", "new")
        .directory("kept")
        .file("kept/.wh.a", "")
        .file(".wh.renewed", "")
        .directory("renewed")
        .file("renewed/new", "new")
        .file(".wh.never-there", "");
    bench.layer("top", Some("base"), &top);
    let view = bench.view("top");
    assert_eq!(view.names(""), ["kept", "opaque", "renewed"]);
    assert_eq!(view.names("opaque"), ["new"]);
    assert_eq!(view.names("kept"), ["b"]);
    assert_eq!(view.names("renewed"), ["new"]);
    // What is hidden can come back.
    bench.layer("back", Some("top"), &Layer::new().file("gone", "again"));
    assert_eq!(bench.view("back").read("gone").as_deref(), Some("again"));
    // And all of it can go.
    let nothing = Layer::new().file(".wh..wh..opq", "").file("only", "1");
    bench.layer("nothing", Some("back"), &nothing);
    assert_eq!(bench.view("nothing").names(""), ["only"]);
    bench.layer("more", Some("nothing"), &Layer::new().file("more", "2"));
    assert_eq!(bench.view("more").names(""), ["more", "only"]);
}

pub(super) fn changes_through_the_mount(bench: &Bench<'_>) {
    let base = Layer::new()
        .file("file", "file")
        .file("gone", "x")
        .directory("dir")
        .file("dir/a", "a")
        .directory("renewed")
        .file("renewed/old", "old");
    bench.layer("base", None, &base);
    bench.ok(bench.driver.create("active", Some("base")));
    let view = bench.view("active");
    let path = |name| view.path(name);
    view.done("gone", std::fs::remove_file(path("gone")));
    view.done("file", std::fs::rename(path("file"), path("moved")));
    view.done("renewed", std::fs::remove_dir_all(path("renewed")));
    view.done("renewed", std::fs::create_dir(path("renewed")));
    view.write("renewed/new", "new");
    view.done("own", std::fs::create_dir(path("own")));
    view.write("own/x", "x");
    view.done("own", std::fs::rename(path("own"), path("own-moved")));
    // A directory from below may refuse to be renamed (EXDEV): then programs
    // copy it.
    if std::fs::rename(path("dir"), path("dir-moved")).is_err() {
        view.done("dir", std::fs::create_dir(path("dir-moved")));
        view.done("dir", std::fs::rename(path("dir/a"), path("dir-moved/a")));
        view.done("dir", std::fs::remove_dir(path("dir")));
    }
    drop(view);
    bench.ok(bench.driver.commit("active", "changed", Some("base")));
    let names = ["dir-moved", "moved", "own-moved", "renewed"];
    for key in ["changed", "on-top"] {
        let view = bench.view(key);
        assert_eq!(view.names(""), names);
        assert_eq!(view.names("renewed"), ["new"]);
        assert_eq!(view.read("dir-moved/a").as_deref(), Some("a"));
        assert_eq!(view.read("own-moved/x").as_deref(), Some("x"));
        if key == "changed" {
            bench.ok(bench.driver.create("on-top", Some("changed")));
        }
    }
    assert_eq!(bench.view("base").read("gone").as_deref(), Some("x"));
}

pub(super) fn attributes(bench: &Bench<'_>) {
    let mut top = Entry::new("./", Kind::Directory);
    top.mode = 0o1777;
    top.uid = 5;
    top.gid = 70_000;
    top.xattrs.insert(b"user.top".to_vec(), b"1".to_vec());
    let mut program = Entry::new("program", Kind::File);
    program.mode = 0o4711;
    program.uid = 70_000;
    program.size = 1;
    program.mtime.seconds = 1_000_000_000;
    program.mtime.nanoseconds = 123_456_789;
    program.xattrs.insert(b"user.x".to_vec(), b"y".to_vec());
    let mut null = Entry::new("null", Kind::CharDevice);
    null.mode = 0o666;
    null.device = (1, 3);
    let layer = Layer::new()
        .entry(top, "")
        .entry(program, "p")
        .link("other-name", Kind::HardLink, "program")
        .link("link", Kind::Symlink, "nowhere")
        .entry(null, "");
    bench.layer("base", None, &layer);
    bench.ok(bench.driver.create("active", Some("base")));
    for key in ["base", "active"] {
        let view = bench.view(key);
        let stat = |name| view.done(name, view.path(name).symlink_metadata());
        let top = stat(".");
        assert_eq!(
            (top.mode() & 0o7777, top.uid(), top.gid()),
            (0o1777, 5, 70_000)
        );
        let program = stat("program");
        assert_eq!((program.mode() & 0o7777, program.uid()), (0o4711, 70_000));
        assert_eq!(
            (program.mtime(), program.mtime_nsec()),
            (1_000_000_000, 123_456_789)
        );
        assert_eq!(program.ino(), stat("other-name").ino());
        assert_eq!(program.nlink(), 2);
        assert_eq!(stat("null").rdev(), rustix::fs::makedev(1, 3));
        assert!(stat("link").is_symlink());
        for (name, attribute) in [("program", "user.x"), (".", "user.top")] {
            let mut value = [0u8; 8];
            let read = rustix::fs::getxattr(view.path(name), attribute, &mut value);
            assert!(read.is_ok(), "{key}: {attribute} of {name}");
        }
        if key == "active" {
            let mode = std::fs::Permissions::from_mode(0o700);
            view.done(
                "program",
                std::fs::set_permissions(view.path("program"), mode),
            );
        }
    }
    let below = bench.view("base").path("program").symlink_metadata();
    assert_eq!(below.map(|stat| stat.mode() & 0o7777).ok(), Some(0o4711));
}

pub(super) fn many_layers(bench: &Bench<'_>) {
    let count = crate::detached::most_layers().min(131) - 1;
    let mut parent: Option<String> = None;
    for number in 0..count {
        let name = format!("layer {number}");
        let layer = Layer::new()
            .file(&format!("file {number}"), "x")
            .file("last", &number.to_string());
        bench.layer(&name, parent.as_deref(), &layer);
        parent = Some(name);
    }
    bench.ok(bench.driver.create("active", parent.as_deref()));
    let view = bench.view("active");
    assert_eq!(view.names("").len(), count + 1);
    assert_eq!(view.read("last"), Some((count - 1).to_string()));
    view.write("more", "x");
}

pub(super) fn independent_layers(bench: &Bench<'_>) {
    let driver = bench.driver.as_ref();
    if !driver.capabilities().independent_layers {
        return;
    }
    let layers = [
        Layer::new().file("a", "1").file("b", "1"),
        Layer::new().file("a", "2").file(".wh.b", ""),
        Layer::new().file("c", "3"),
    ];
    let keys = ["unpack 0", "unpack 1", "unpack 2"];
    for (key, layer) in keys.iter().zip(&layers).rev() {
        bench.ok(driver.create(key, None));
        bench.unpack(key, layer);
    }
    bench.ok(driver.sync());
    let mut parent = None;
    for (key, name) in keys.iter().zip(["one", "two", "three"]) {
        bench.ok(driver.commit(key, name, parent));
        parent = Some(name);
    }
    let view = bench.view("three");
    assert_eq!(view.names(""), ["a", "c"]);
    assert_eq!(view.read("a").as_deref(), Some("2"));
}
