//! The files of a container: `commit`, `export`, `cp`, `diff`.
//!
//! All on one container, of an image with 700 MB in 7000 files.

use std::path::PathBuf;
use std::sync::Arc;

use super::in_turns;
use crate::contender::Contender;
use crate::http::Connection;
use crate::measure::{Row, Target};
use crate::options::Options;

/// The container's name.
const NAME: &str = "bench-files";
/// The image that it is made from.
const BASE: &str = "bench/files:latest";
/// What it is committed to.
const COMMITTED: &str = "bench/committed:latest";
/// Its files. What the peers' root does not have, busybox has.
const FILL: &str = "/bin/busybox mkdir -p /big; i=0; while [ $i -lt 70 ]; do /bin/busybox mkdir /big/$i; \
    j=0; while [ $j -lt 100 ]; do /bin/busybox head -c 100000 /dev/zero >/big/$i/$j; j=$((j+1)); done; \
    i=$((i+1)); done";
/// Ten thousand small files, new ones each time.
const TOUCH: &str = "/bin/busybox rm -rf /many; /bin/busybox mkdir /many; i=0; \
    while [ $i -lt 10000 ]; do echo $i >/many/$i; i=$((i+1)); done";
/// Bytes of the file that is copied.
const LARGE: usize = 500_000_000;
/// The version that all speak.
const VERSION: &str = "/v1.41";

/// The names of the rows.
pub const NAMES: &[&str] = &["commit", "export", "cp-in", "cp-out", "diff"];

/// All rows that are wanted.
pub fn all(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let large = large_file()?;
    for contender in contenders.iter_mut() {
        contender.stay(NAME, &["sleep", "100000"])?;
        contender.client(&["exec", NAME, "sh", "-c", FILL])?;
        contender.client(&["commit", NAME, BASE])?;
        contender.remove(NAME)?;
        contender.stay_from(BASE, NAME, &["sleep", "100000"])?;
        contender.client(&["exec", NAME, "sh", "-c", TOUCH])?;
    }
    let mut rows = Vec::new();
    for name in NAMES.iter().filter(|name| options.wants(name)) {
        rows.push(match *name {
            "commit" => commit(contenders, options),
            "export" => export(contenders, options),
            "diff" => diff(contenders, options),
            name => copy(name, contenders, options, &large.display().to_string()),
        }?);
    }
    for contender in contenders.iter_mut() {
        contender.remove(NAME)?;
        contender.client(&["rmi", "-f", BASE])?;
    }
    let _ = std::fs::remove_file(large);
    Ok(rows)
}

/// A file that cannot be packed, where all of them see it.
fn large_file() -> Result<PathBuf, String> {
    let path = PathBuf::from("/var/tmp/gantry-bench-large");
    let mut state = 1u64;
    let mut bytes = Vec::with_capacity(LARGE);
    while bytes.len() < LARGE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_ne_bytes());
    }
    std::fs::write(&path, &bytes).map_err(|error| error.to_string())?;
    Ok(path)
}

fn commit(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "`commit` after touching 10,000 small files, the whole process".to_owned();
    let targets = vec![Target::times("docker", 10.0), Target::times("podman", 1.0)];
    let row = ("commit", title);
    in_turns(
        row,
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            contender.client(&["exec", NAME, "sh", "-c", TOUCH])?;
            let group = Arc::clone(&contender.group);
            series.client(&group, || contender.client(&["commit", NAME, COMMITTED]))?;
            contender.client(&["rmi", "-f", COMMITTED]).map(drop)
        },
    )
}

fn export(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "API export of a container of 700 MB in 7000 files".to_owned();
    let targets = vec![Target::times("docker", 3.0), Target::times("podman", 1.5)];
    let row = ("export", title);
    in_turns(
        row,
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let (group, socket) = (Arc::clone(&contender.group), contender.socket.clone());
            series.time(&group, || {
                let path = format!("{VERSION}/containers/{NAME}/export");
                match Connection::open(&socket)?.drain(&path)? {
                    0..700_000_000 => Err("the export is too short".to_owned()),
                    _ => Ok(()),
                }
            })
        },
    )
}

fn copy(
    name: &'static str,
    contenders: &mut [Contender],
    options: &Options,
    large: &str,
) -> Result<Row, String> {
    let inside = format!("{NAME}:/large");
    let title = match name {
        "cp-in" => "`cp` of a file of 500 MB into a container, by each engine's own client",
        _ => "`cp` of a file of 500 MB out of a container, by each engine's own client",
    };
    let targets = vec![Target::times("docker", 1.5), Target::times("podman", 1.5)];
    let out = format!("{large}-out");
    if name == "cp-out" {
        for contender in contenders.iter_mut() {
            contender.client(&["cp", large, &inside])?;
        }
    }
    let row = (name, title.to_owned());
    let row = in_turns(
        row,
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let group = Arc::clone(&contender.group);
            let words = match name {
                "cp-in" => ["cp", large, &inside],
                _ => ["cp", &inside, &out],
            };
            series.client(&group, || contender.client(&words))?;
            // Neither the removal nor the writing back is the next one's.
            match name {
                "cp-in" => {
                    drop(contender.client(&["exec", NAME, "/bin/busybox", "rm", "/large"])?)
                }
                _ => std::fs::remove_file(&out).map_err(|error| error.to_string())?,
            }
            crate::command::run(&["sync"]).map(drop)
        },
    );
    if name == "cp-out" {
        for contender in contenders.iter_mut() {
            contender.client(&["exec", NAME, "/bin/busybox", "rm", "/large"])?;
        }
    }
    row
}

fn diff(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "API changes of a container: 10,000 new files on an image of 7000".to_owned();
    let row = ("diff", title);
    let targets = vec![Target::times("docker", 10.0)];
    in_turns(
        row,
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let (group, socket) = (Arc::clone(&contender.group), contender.socket.clone());
            series.time(&group, || {
                let path = format!("{VERSION}/containers/{NAME}/changes");
                Connection::open(&socket)?.drain(&path).map(drop)
            })
        },
    )
}
