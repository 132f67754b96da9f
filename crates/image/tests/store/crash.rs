//! `kill -9` at random moments of loads and removals: the next start is clean,
//! what was acknowledged is there, nothing is left over.
//!
//! The test runs itself again as a child that loads and removes without end
//! and says what it has finished; it is killed after a while.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gantry_archive::compression::Compression;
use gantry_image::RemoveOptions;
use gantry_snapshot::DriverKind;

use crate::archives::{compress, docker_archive, tar};
use crate::fixture::{Fixture, open, require_root};

const ROOT: &str = "GANTRY_IMAGE_CRASH_ROOT";
const ROUNDS: u64 = 12;

fn archive(n: u32) -> Vec<u8> {
    let data = vec![n as u8; 300_000];
    let name = format!("file{n}");
    let layers = [
        tar(&[("base", b"shared")]),
        tar(&[(&name, &data)]),
        tar(&[("top", n.to_string().as_bytes())]),
    ];
    let mut parts = docker_archive(&layers, &[&format!("crash:{n}")]);
    // The first and the second are unpacked while the rest is read.
    for (_, layer) in &mut parts.0[..2] {
        *layer = compress(layer, Compression::Gzip);
    }
    parts.tar()
}

/// Not a test by itself: what the child does.
#[test]
fn child() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let fixture = open(Path::new(&root), DriverKind::Overlay);
    for n in (0..5).cycle() {
        fixture.load(&archive(n)).unwrap();
        println!("\nloaded {n}");
        let gone = (n + 2) % 5;
        println!("\nremoving {gone}");
        let removed =
            fixture
                .images
                .remove(&format!("crash:{gone}"), RemoveOptions::default(), &|_| {
                    Ok(Vec::new())
                });
        if removed.is_ok() {
            println!("\nremoved {gone}");
        }
    }
}

#[test]
fn killed_at_any_moment() {
    require_root!();
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut loads = 0;
    for round in 0..ROUNDS {
        let mut expected = present(&open(root.path(), DriverKind::Overlay));
        let mut unsure = [false; 5];
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROOT, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Spread over the whole of a round of loads and removals.
        std::thread::sleep(Duration::from_millis(40 + round * 37));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut last = 0;
        for line in output.lines() {
            let line = line.unwrap();
            let mut words = line.split(' ');
            let (verb, n) = (
                words.next(),
                words.next().and_then(|n| n.parse::<usize>().ok()),
            );
            let Some(n) = n.filter(|n| *n < 5) else {
                continue;
            };
            match verb {
                Some("loaded") => {
                    (expected[n], last) = (true, (n + 1) % 5);
                    loads += 1;
                }
                Some("removing") => unsure[n] = true,
                Some("removed") => (expected[n], unsure[n]) = (false, false),
                _ => {}
            }
        }
        unsure[last] = true;
        let fixture = open(root.path(), DriverKind::Overlay);
        let found = present(&fixture);
        for n in 0..5 {
            assert!(
                unsure[n] || found[n] == expected[n],
                "crash:{n} in round {round}"
            );
        }
        check(&fixture, &found);
    }
    assert!(loads > 0, "every child was killed before it did anything");
    eprintln!("{ROUNDS} kills among {loads} loads");
}

fn present(fixture: &Fixture) -> [bool; 5] {
    std::array::from_fn(|n| fixture.images.resolve(&format!("crash:{n}")).is_ok())
}

/// Disk and database agree, and hold what the images need and no more.
fn check(fixture: &Fixture, found: &[bool; 5]) {
    let count = found.iter().filter(|found| **found).count();
    let layers = if count == 0 { 0 } else { 1 + 2 * count };
    fixture.assert_holds(count as u64, layers, layers);
    for n in (0..5).filter(|n| found[*n]) {
        let image = fixture.images.resolve(&format!("crash:{n}")).unwrap();
        for chain in gantry_types::ChainId::chain(&image.diff_ids) {
            assert!(
                fixture
                    .snapshots
                    .status(&chain.to_string())
                    .unwrap()
                    .committed
            );
        }
        fixture.prepare(&image, "probe").unwrap();
        fixture.snapshots.remove("probe").unwrap();
    }
}
