//! `pull` from docker-registry on loopback: a real image, one of many small files, and
//! ten images at once; how far that is from the floor, and the daemon's peak memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::floor::Floor;
use crate::contender::Contender;
use crate::measure::{Row, Series, Target, millis};
use crate::memory;
use crate::options::Options;
use crate::registry::{ADDRESS, Registries};
use crate::say;

/// The rows.
pub const NAMES: &[&str] = &["pull", "pull-small", "pull-ten", "pull-memory"];

/// Where `make-image` and `make-images` usually put them.
const REAL: &str = "/var/tmp/gantry-load/oci.tar";
const OTHERS: &str = "/var/tmp/gantry-pull";
/// How many images come at once.
const AT_ONCE: usize = 10;
/// How long the disk is left alone after a removal.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = (1 << 20) as f64;

/// All rows, of those images that are there.
pub fn all(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let Some(peers) = &options.peers else {
        say("SKIPPED: pull: it needs the peers' docker-registry");
        return Ok(Vec::new());
    };
    let registries = Registries::start(contenders, peers)?;
    for contender in contenders.iter() {
        memory::forget_peaks(&contender.group);
    }
    let mut rows = Vec::new();
    let real = PathBuf::from(REAL);
    let small = Path::new(OTHERS).join("small.tar");
    if options.wants("pull") && is_there(&real, "make-image") {
        let title = "`pull` of an image of 700 MB in 6 gzip layers, the whole process";
        rows.push(one(
            ("pull", title),
            contenders,
            options,
            &registries,
            &real,
        )?);
    }
    if options.wants("pull-small") && is_there(&small, "make-images") {
        let title = "`pull` of an image of 60,000 small files in 40 layers, the whole process";
        rows.push(one(
            ("pull-small", title),
            contenders,
            options,
            &registries,
            &small,
        )?);
    }
    if options.wants("pull-ten") && is_there(&small, "make-images") {
        rows.push(ten(contenders, options, &registries)?);
    }
    rows.push(peak(contenders));
    Ok(rows)
}

fn is_there(path: &Path, maker: &str) -> bool {
    let there = path.exists();
    if !there {
        say(&format!(
            "SKIPPED: pull: {} is not there: make it with bench/{maker}",
            path.display()
        ));
    }
    there
}

/// One image, pulled by the engine's own command line; it is not there before.
fn one(
    (name, title): (&str, &str),
    contenders: &mut [Contender],
    options: &Options,
    registries: &Registries,
    archive: &Path,
) -> Result<Row, String> {
    let image = format!("bench/{name}:latest");
    registries.add(archive, &image)?;
    let names = [format!("{ADDRESS}/{image}")];
    let archives = [archive.to_owned()];
    let row = super::in_turns(
        (name, title.to_owned()),
        contenders,
        options.rounds,
        vec![Target::times("docker", 4.0)],
        |contender, series| pull(contender, series, &names),
    )?;
    with_floor(row, &archives, options)
}

/// The same bytes inflated and written with nothing else, beside it.
fn with_floor(mut row: Row, archives: &[PathBuf], options: &Options) -> Result<Row, String> {
    let floor = Floor::of(archives)?;
    let mut lowest = Series::new("floor");
    for _ in 0..options.rounds {
        lowest.wall.push(millis(floor.measure()?));
        std::thread::sleep(REST);
    }
    row.series.push(lowest);
    Ok(row)
}

/// Ten images that have nothing in common, at once.
fn ten(
    contenders: &mut [Contender],
    options: &Options,
    registries: &Registries,
) -> Result<Row, String> {
    let (mut names, mut archives) = (Vec::new(), Vec::new());
    for number in 0..AT_ONCE {
        let image = format!("bench/ten-{number}:latest");
        let archive = Path::new(OTHERS).join(format!("ten-{number}.tar"));
        registries.add(&archive, &image)?;
        names.push(format!("{ADDRESS}/{image}"));
        archives.push(archive);
    }
    let row = super::in_turns(
        (
            "pull-ten",
            "`pull` of ten different images at once".to_owned(),
        ),
        contenders,
        options.rounds,
        vec![Target::times("docker", 5.0)],
        |contender, series| pull(contender, series, &names),
    )?;
    with_floor(row, &archives, options)
}

fn pull(contender: &mut Contender, series: &mut Series, names: &[String]) -> Result<(), String> {
    let group = Arc::clone(&contender.group);
    let insecure: &[&str] = match contender.name {
        "podman" => &["--tls-verify=false"],
        _ => &[],
    };
    let flags = [&["pull", "-q"], insecure].concat();
    series.client(&group, || contender.clients_at_once(&flags, names))?;
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    contender.client(&[&["rmi", "-f"], &all[..]].concat())?;
    // Neither the removal nor the writing back is the next one's.
    crate::command::run(&["sync"])?;
    std::thread::sleep(REST);
    Ok(())
}

/// The most memory that the daemons have had.
fn peak(contenders: &[Contender]) -> Row {
    let mut all = Vec::new();
    for contender in contenders {
        // Podman has no daemon.
        let bytes = memory::highest(&contender.group);
        if bytes != 0 {
            let mut series = Series::new(contender.name);
            series.memory.push(bytes as f64 / MIB);
            all.push(series);
        }
    }
    Row {
        name: "pull-memory".to_owned(),
        title: "the most memory that the daemon had during all that".to_owned(),
        series: all,
        targets: vec![Target::memory(64.0)],
    }
}
