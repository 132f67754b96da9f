//! Archives of other writers: GNU tar in all its formats.

use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use gantry_archive::compression::{Compression, Encoder};
use gantry_archive::tar::Kind;
use gantry_archive::{PackOptions, Whiteouts};

use crate::support::*;

/// A tree with one of everything.
fn make_tree(root: &Path) {
    let long = root.join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    std::fs::write(long.join("f".repeat(200)), "long").unwrap();
    std::fs::write(root.join("plain"), "plain").unwrap();
    std::fs::hard_link(root.join("plain"), root.join("second")).unwrap();
    std::os::unix::fs::symlink("t".repeat(150), root.join("link")).unwrap();
    std::os::unix::fs::chown(root.join("plain"), Some(70_000), Some(3_000_000)).unwrap();
    let mode = std::fs::Permissions::from_mode(0o6755);
    std::fs::set_permissions(root.join("plain"), mode).unwrap();
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(9 << 30).unwrap();
    for place in 0..40 {
        sparse
            .write_all_at(format!("data {place}").as_bytes(), place * (200 << 20))
            .unwrap();
    }
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), kind, mode, 0).unwrap();
}

fn gnu_tar(tree: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("tar")
        .args(["--numeric-owner", "-C"])
        .arg(tree)
        .args(arguments)
        .args(["-cf", "-", "."])
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("SKIPPED: no tar: {error}");
            None
        }
    }
}

#[test]
fn gnu_tar_in_all_formats() {
    if !is_root() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    make_tree(tree.path());
    for arguments in [
        &["--format=gnu", "--sparse"][..],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
    ] {
        let Some(archive) = gnu_tar(tree.path(), arguments) else {
            return;
        };
        let target = Target::new();
        let applied = target.apply(&archive, Whiteouts::Overlay).unwrap();
        assert!(applied.size > 9 << 30, "{arguments:?}");
        check_tree(&target, arguments);
    }
}

fn check_tree(target: &Target, arguments: &[&str]) {
    let long = format!(
        "{}/{}/{}",
        "d".repeat(120),
        "e".repeat(120),
        "f".repeat(200)
    );
    assert_eq!(std::fs::read(target.path(&long)).unwrap(), b"long");
    let plain = target.path("plain").metadata().unwrap();
    assert_eq!((plain.uid(), plain.gid()), (70_000, 3_000_000));
    assert_eq!(plain.mode() & 0o7777, 0o6755);
    assert_eq!(plain.ino(), target.path("second").metadata().unwrap().ino());
    let link = std::fs::read_link(target.path("link")).unwrap();
    assert_eq!(link.as_os_str().len(), 150);
    let sparse = std::fs::File::open(target.path("sparse")).unwrap();
    let metadata = sparse.metadata().unwrap();
    assert_eq!(metadata.len(), 9 << 30, "{arguments:?}");
    assert!(metadata.blocks() * 512 < 4 << 20, "holes stay holes");
    for place in [0, 7, 39] {
        let expected = format!("data {place}");
        let mut data = vec![0; expected.len()];
        sparse
            .read_exact_at(&mut data, place * (200 << 20))
            .unwrap();
        assert_eq!(data, expected.as_bytes(), "{arguments:?}");
    }
}

#[test]
fn sparse_files_round_trip_without_their_zeros() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    make_tree(&target.root());
    let mut options = PackOptions::new(Whiteouts::Literal);
    options.sparse = true;
    let packed = target.pack(&options);
    assert!(packed.len() < 4 << 20);
    let second = Target::new();
    second.apply(&packed, Whiteouts::Overlay).unwrap();
    check_tree(&second, &["own"]);
    assert_eq!(second.pack(&options), packed);
    let Ok(status) = Command::new("tar")
        .args(["-C"])
        .arg(Target::new().root())
        .args(["-tf", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .map(|mut child| {
            child.stdin.take().unwrap().write_all(&packed).unwrap();
            child.wait().unwrap()
        })
    else {
        return;
    };
    assert!(status.success(), "GNU tar reads what we write");
}

#[test]
fn old_archives_and_odd_ends() {
    if !is_root() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("dir")).unwrap();
    std::fs::write(tree.path().join("dir/file"), "x").unwrap();
    for format in ["--format=v7", "--format=ustar", "--format=oldgnu"] {
        let Some(archive) = gnu_tar(tree.path(), &[format]) else {
            return;
        };
        let target = Target::new();
        target.apply(&archive, Whiteouts::Overlay).unwrap();
        assert_eq!(std::fs::read(target.path("dir/file")).unwrap(), b"x");
    }
    // No end mark at all, and bytes behind it.
    let mut bytes = archive(&[file("a", "x")]);
    let target = Target::new();
    target
        .apply(&bytes[..bytes.len() - 1024], Whiteouts::Overlay)
        .unwrap();
    bytes.extend_from_slice(b"behind the end");
    let applied = target.apply(&bytes, Whiteouts::Overlay).unwrap();
    assert_eq!(applied.stream_bytes, bytes.len() as u64);
    assert_eq!(applied.diff_id.0, gantry_types::Digest::of(&bytes));
    let applied = target.apply(b"", Whiteouts::Overlay).unwrap();
    assert_eq!(applied.entries, 0);
}

#[test]
fn all_compressions_give_one_diff_id() {
    if !is_root() {
        return;
    }
    let plain = archive(&[dir("a"), file("a/b", &"text ".repeat(100_000))]);
    let target = Target::new();
    let expected = target.apply(&plain, Whiteouts::Overlay).unwrap();
    let (head, tail) = plain.split_at(plain.len() / 2);
    for format in [Compression::Gzip, Compression::Zstd] {
        // Two members, one after the other, and zeros behind.
        let mut bytes = Vec::new();
        for half in [head, tail] {
            let mut encoder = Encoder::new(bytes, format).unwrap();
            encoder.write_all(half).unwrap();
            bytes = encoder.finish().unwrap();
        }
        if format == Compression::Gzip {
            bytes.extend_from_slice(&[0; 1000]);
        }
        let mut copy = Vec::new();
        let root = std::fs::File::open(target.root()).unwrap();
        let tee = gantry_archive::compression::Tee::new(bytes.as_slice(), &mut copy);
        let options = gantry_archive::ApplyOptions::new(Whiteouts::Overlay);
        let applied = gantry_archive::apply(tee, root, &options).unwrap();
        assert_eq!(applied, expected);
        assert_eq!(copy, bytes);
    }
    for program in ["bzip2", "xz"] {
        let mut bytes = Vec::new();
        for half in [head, tail] {
            let Some(mut part) = compressed_by(program, half) else {
                return;
            };
            bytes.append(&mut part);
        }
        let applied = target.apply(&bytes, Whiteouts::Overlay).unwrap();
        assert_eq!(applied, expected, "{program}");
    }
}

fn compressed_by(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), bytes).unwrap();
    match Command::new(program).arg("-c").arg(input.path()).output() {
        Ok(output) => Some(output.stdout),
        Err(error) => {
            eprintln!("SKIPPED: no {program}: {error}");
            None
        }
    }
}

#[test]
fn capabilities_survive_the_owner() {
    if !is_root() {
        return;
    }
    let target = Target::new();
    let capability =
        b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let (mut entry, data) = file("ping", "x");
    entry.uid = 1000;
    entry.mode = 0o4755;
    let name = "security.capability";
    entry.xattrs.insert(name.into(), capability.to_vec());
    target
        .apply(&archive(&[(entry, data)]), Whiteouts::Overlay)
        .unwrap();
    let path = target.path("ping");
    assert_eq!(xattr(&path, name).as_deref(), Some(&capability[..]));
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o4755);
    let packed = parse(&target.pack(&PackOptions::new(Whiteouts::Overlay)));
    assert_eq!(packed[0].0.kind, Kind::File);
    assert!(packed[0].0.xattrs.contains_key(name.as_bytes()));
}
