//! A disk that is full at any moment of a load: a clear error, and all that was
//! taken is given back.

use std::path::Path;

use gantry_archive::compression::Compression;
use gantry_snapshot::DriverKind;
use gantry_sys::CloneFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::archives::{compress, docker_archive, tar};
use crate::fixture::{open, require_root};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

fn archive() -> Vec<u8> {
    let layers = [
        tar(&[("a", &noise(1_500_000))]),
        tar(&[("b", &noise(2_500_000)), ("c", b"x")]),
    ];
    let mut parts = docker_archive(&layers, &["x:1"]);
    parts.0[0].1 = compress(&parts.0[0].1, Compression::Gzip);
    parts.tar()
}

fn used(root: &Path) -> u64 {
    let stat = rustix::fs::statvfs(root).unwrap();
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

/// Loads on a disk of `kib`; whether there was room.
fn load_on(root: &Path, kib: usize, archive: &[u8]) -> bool {
    let options = std::ffi::CString::new(format!("size={kib}k")).unwrap();
    mount(
        "none",
        root,
        "tmpfs",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .unwrap();
    let loaded = {
        let fixture = open(root, DriverKind::Overlay);
        let before = used(root);
        let loaded = fixture.load(archive);
        if let Err(error) = &loaded {
            let text = error.to_string();
            let clear = text.to_lowercase().contains("no space left on device");
            assert!(clear, "{kib} KiB: {text}");
            fixture.assert_holds(0, 0, 0);
            // The trash is emptied by and by; the database's log keeps its room.
            let given_back = || used(root) <= before + (256 << 10);
            let mut patience = 2000;
            while !given_back() && patience > 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
                patience -= 1;
            }
            assert!(given_back(), "{kib} KiB: {} after {before}", used(root));
        }
        loaded.is_ok()
    };
    rustix::mount::unmount(root, rustix::mount::UnmountFlags::empty()).unwrap();
    loaded
}

#[test]
fn nothing_is_left_whenever_the_disk_is_full() {
    require_root!();
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let archive = archive();
    let fates = std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            // Mounts of this thread and those that it starts only.
            gantry_sys::unshare(CloneFlags::NEWNS).unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            // With room for the database's reserve, without which nothing can
            // be given back on a full disk.
            (5000..16_000)
                .step_by(371)
                .map(|kib| load_on(root.path(), kib, &archive))
                .collect::<Vec<bool>>()
        });
        job.join().unwrap()
    });
    assert!(!fates[0], "there was room for everything");
    assert_eq!(fates.last(), Some(&true), "there was never room");
}

/// Pulls on a disk of `kib`, and once more with plenty of room; whether the first one
/// had enough, and how much of it the second one could use.
fn pull_on(root: &Path, kib: usize, layers: &[Vec<u8>]) -> (bool, u64) {
    let sized = |kib: usize| std::ffi::CString::new(format!("size={kib}k")).unwrap();
    mount("none", root, "tmpfs", MountFlags::empty(), &*sized(kib)).unwrap();
    let fates = {
        let fixture = open(root, DriverKind::Overlay);
        let first = crate::pull::Fake::of(layers, Compression::Gzip);
        let fake = std::sync::Arc::new(first);
        let pulled = crate::pull::pull(&fixture, &fake, "x:1");
        let mut used = 0;
        if let Err(error) = &pulled {
            let text = error.to_string();
            let clear = text.to_lowercase().contains("no space left on device");
            assert!(clear, "{kib} KiB: {text}");
            // The download of the other layer ends in its own time.
            for _ in 0..5000 {
                if fixture.snapshots.list().is_empty() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            fixture.assert_holds(0, 0, 0);
            rustix::mount::mount_remount(root, MountFlags::empty(), &*sized(kib + 32_000)).unwrap();
            fake.asked();
            crate::pull::pull(&fixture, &fake, "x:1").unwrap();
            used = fake.asked().into_iter().map(|(_, offset)| offset).sum();
        }
        fixture.assert_holds(1, 2, 3);
        assert_eq!(fixture.content.partials().unwrap().blobs, 0);
        (pulled.is_ok(), used)
    };
    // The threads of downloads let go of the store in their own time.
    let mut patience = 5000;
    let empty = rustix::mount::UnmountFlags::empty();
    while let Err(error) = rustix::mount::unmount(root, empty) {
        assert!(patience > 0, "{error}");
        patience -= 1;
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    fates
}

#[test]
fn a_pull_goes_on_when_there_is_room_again() {
    require_root!();
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let layers = [
        tar(&[("a", &noise(1_500_000))]),
        tar(&[("b", &noise(2_500_000)), ("c", b"x")]),
    ];
    let fates = std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            gantry_sys::unshare(CloneFlags::NEWNS).unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            (5000..16_000)
                .step_by(571)
                .map(|kib| pull_on(root.path(), kib, &layers))
                .collect::<Vec<(bool, u64)>>()
        });
        job.join().unwrap()
    });
    assert!(!fates[0].0, "there was room for everything");
    assert!(fates.last().unwrap().0, "there was never room");
    assert!(fates.iter().any(|(_, used)| *used > 0), "{fates:?}");
}
