//! Archives made to harm: refused, the entry named, nothing outside touched.

use std::io::Write;
use std::os::fd::AsFd;

use gantry_archive::compression::{Compression, Encoder, Limits};
use gantry_archive::tar::{Entry, Kind};
use gantry_archive::{ApplyOptions, Error, UnpackOptions, Whiteouts, unpack};

use crate::support::*;

#[test]
fn entries_that_leave_the_root_are_refused_by_name() {
    if !is_root() {
        return;
    }
    for (bad, entries) in [
        ("../evil", vec![file("../evil", "x")]),
        ("a/../../evil", vec![dir("a"), file("a/../../evil", "x")]),
        ("/../evil", vec![file("/../evil", "x")]),
        ("hard", vec![hard_link("hard", "../secret")]),
        ("hard", vec![hard_link("hard", "missing")]),
        ("hard", vec![hard_link("hard", "a/missing")]),
        ("hard", vec![dir("d"), hard_link("hard", "d")]),
        ("self", vec![file("self", "x"), hard_link("self", "./self")]),
        (
            "d/null",
            vec![dir("real"), symlink("d", "real"), device("d/null")],
        ),
        ("./", vec![symlink("./", "x")]),
        (".wh...", vec![file(".wh...", "")]),
        (".wh.", vec![file(".wh.", "")]),
        ("a/.wh..", vec![file("a/.wh..", "")]),
        ("empty", vec![symlink("empty", "")]),
    ] {
        for whiteouts in [Whiteouts::Overlay, Whiteouts::Remove] {
            let target = Target::new();
            let error = target.apply(&archive(&entries), whiteouts).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{bad}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(&format!("{bad:?}")), "{bad}: {text}");
        }
    }
}

#[test]
fn a_leading_slash_is_dropped() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let entries = [
        dir("/etc/"),
        file("/etc/passwd", "x"),
        hard_link("/l", "/etc/passwd"),
    ];
    target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap();
    assert_eq!(std::fs::read(target.path("l")).unwrap(), b"x");
}

#[test]
fn links_lead_nowhere_but_inside() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let outside = target.root().parent().unwrap().to_str().unwrap().to_owned();
    let entries = [
        // A directory is replaced by a link half-way.
        dir("a"),
        file("a/one", "1"),
        symlink("a", &outside),
        file("a/two", "2"),
        file("a/secret", "changed"),
        // An absolute link is one inside the root.
        symlink("abs", "/"),
        file("abs/three", "3"),
        // A link at the end of a name is replaced, not followed.
        symlink("tail", "/../secret"),
        file("tail", "4"),
        symlink("dirlink", "/somewhere"),
        dir("dirlink"),
        file("dirlink/five", "5"),
        // One that climbs above the root leads to the root.
        symlink("up", "../../.."),
        file("up/six", "6"),
        file("up/secret", "7"),
    ];
    target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap();
    let inside = target.root().join(outside.trim_start_matches('/'));
    assert_eq!(std::fs::read(inside.join("two")).unwrap(), b"2");
    assert_eq!(std::fs::read(target.path("three")).unwrap(), b"3");
    assert_eq!(std::fs::read(target.path("tail")).unwrap(), b"4");
    assert_eq!(std::fs::read(target.path("dirlink/five")).unwrap(), b"5");
    assert!(target.path("dirlink").symlink_metadata().unwrap().is_dir());
    assert!(!target.path("a/one").exists());
    assert_eq!(std::fs::read(target.path("six")).unwrap(), b"6");
    assert_eq!(std::fs::read(target.path("secret")).unwrap(), b"7");
    let up = std::fs::read_link(target.path("up")).unwrap();
    assert_eq!(up.to_str(), Some("../../.."));
}

#[test]
fn hard_links_through_links_stay_inside() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let outside = target.root().parent().unwrap().to_str().unwrap().to_owned();
    let entries = [symlink("out", &outside), hard_link("stolen", "out/secret")];
    let error = target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("\"stolen\""), "{error}");
    // A link to a link is one to the link itself.
    let entries = [symlink("l", "/etc/passwd"), hard_link("m", "l")];
    target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap();
    assert!(target.path("m").is_symlink());
}

#[test]
fn later_entries_replace_earlier_ones() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let entries = [
        file("a", "file"),
        dir("a"),
        file("a/b", "one"),
        file("a/b", "two, longer"),
        dir("c"),
        file("c/d", "x"),
        file("c", "now a file"),
        device("e"),
        file("e", "no device"),
        file("f", "first"),
        hard_link("g", "f"),
        file("g", "second"),
    ];
    target
        .apply(&archive(&entries), Whiteouts::Overlay)
        .unwrap();
    for (name, text) in [
        ("a/b", "two, longer"),
        ("c", "now a file"),
        ("e", "no device"),
        ("f", "first"),
        ("g", "second"),
    ] {
        assert_eq!(std::fs::read_to_string(target.path(name)).unwrap(), text);
    }
}

#[test]
fn bombs_are_refused_naming_the_limit() {
    if !is_root() {
        return;
    }
    let zeros = vec![0u8; 1 << 20];
    let mut big = Entry::new("zeros", Kind::File);
    big.size = 1 << 30;
    let mut header = archive(&[(Entry::new("pad", Kind::Directory), vec![])]);
    header.truncate(512);
    for format in [Compression::Gzip, Compression::Zstd] {
        let mut encoder = Encoder::new(Vec::new(), format).unwrap();
        encoder.write_all(&header_of(&big)).unwrap();
        for _ in 0..1024 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 2 << 20);
        for (limits, words) in [
            (
                Limits {
                    bytes: 100 << 20,
                    ratio: None,
                    ..Limits::UNLIMITED
                },
                "limit of 104857600 bytes of decompressed data",
            ),
            (
                Limits {
                    bytes: u64::MAX,
                    ratio: Some(200),
                    ..Limits::UNLIMITED
                },
                "limit of 200 bytes for each compressed byte",
            ),
        ] {
            let target = Target::new();
            let mut options = ApplyOptions::new(Whiteouts::Overlay);
            options.limits = limits;
            let error = target.apply_with(&bomb, &options).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(words), "{text}");
            assert!(text.contains("\"zeros\""), "{text}");
        }
    }
    let target = Target::new();
    let mut options = ApplyOptions::new(Whiteouts::Overlay);
    options.max_entries = 2;
    let entries = [dir("a"), dir("b"), dir("c")];
    let error = target.apply_with(&archive(&entries), &options).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("limit of 2 entries at entry \"c\""),
        "{error}"
    );
}

/// The header alone of an entry.
fn header_of(entry: &Entry) -> Vec<u8> {
    let mut empty = entry.clone();
    empty.size = 0;
    let mut bytes = archive(&[(empty, vec![])]);
    bytes.truncate(512);
    bytes[124..136].copy_from_slice(format!("{:011o}\0", entry.size).as_bytes());
    bytes[148..156].fill(b' ');
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    bytes
}

#[test]
fn damaged_archives_are_refused() {
    if !is_root() {
        return;
    }
    let good = archive(&[dir("a"), file("a/b", &"x".repeat(2000)), file("c", "y")]);
    let target = Target::new();
    let error = target.apply(&good[..4000], Whiteouts::Overlay).unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error:?}");
    assert!(error.to_string().contains("\"a/b\""), "{error}");

    let mut bad = good.clone();
    bad[10] ^= 1;
    let error = target.apply(&bad, Whiteouts::Overlay).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");

    let error = target
        .apply(b"this is no archive at all", Whiteouts::Overlay)
        .unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error:?}");

    let mut negative = header_of(&Entry::new("n", Kind::File));
    negative[124..136].fill(0xff);
    reseal(&mut negative);
    let error = target.apply(&negative, Whiteouts::Overlay).unwrap_err();
    assert!(error.to_string().contains("size"), "{error}");

    let long = file(&"n".repeat(300), "x");
    let error = target
        .apply(&archive(&[long]), Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("nnn"), "{error}");
    let longer = file(&"n/".repeat(3000), "x");
    let error = target
        .apply(&archive(&[longer]), Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");

    let mut gzip = Encoder::new(Vec::new(), Compression::Gzip).unwrap();
    gzip.write_all(&good).unwrap();
    let gzip = gzip.finish().unwrap();
    let error = target
        .apply(&gzip[..gzip.len() - 9], Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("gzip"), "{error}");
}

fn reseal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

#[test]
fn devices_and_owners_beyond_the_kernels_numbers_are_refused() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let (mut entry, _) = device("null");
    entry.device = (5000, 3);
    let error = target
        .apply(&archive(&[(entry, vec![])]), Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("5000:3"), "{error}");
    let mut entry = Entry::new("x", Kind::File);
    entry.uid = u32::MAX;
    let error = target
        .apply(&archive(&[(entry, vec![])]), Whiteouts::Overlay)
        .unwrap_err();
    assert!(error.to_string().contains("owner"), "{error}");
}

#[test]
fn attributes_that_direct_the_overlay_are_left_out() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let (mut entry, data) = dir("d");
    for name in [
        "trusted.overlay.redirect",
        "trusted.overlay.opaque",
        "trusted.kept",
    ] {
        entry.xattrs.insert(name.into(), b"y".to_vec());
    }
    target
        .apply(&archive(&[(entry, data)]), Whiteouts::Overlay)
        .unwrap();
    let path = target.path("d");
    assert_eq!(xattr(&path, "trusted.overlay.redirect"), None);
    assert_eq!(xattr(&path, "trusted.overlay.opaque"), None);
    assert_eq!(xattr(&path, "trusted.kept").as_deref(), Some(&b"y"[..]));
}

/// Whoever owns a tree may take the directory away while something is on its way into it.
#[test]
fn a_directory_that_went_is_made_only_where_that_is_asked_for() {
    if !is_root() {
        return;
    }
    for (make_directory, name) in [(false, "x"), (false, "a/x"), (true, "x"), (true, "a/x")] {
        let target = Target::new();
        let options = UnpackOptions {
            directory: b"gone".to_vec(),
            make_directory,
            ..UnpackOptions::default()
        };
        let root = std::fs::File::open(target.root()).unwrap();
        let bytes = archive(&[file(name, "text")]);
        let done = unpack(root.as_fd(), &mut bytes.as_slice(), &options);
        assert_eq!(done.is_ok(), make_directory, "{name}: {done:?}");
        assert_eq!(target.path("gone").exists(), make_directory, "{name}");
    }
}
