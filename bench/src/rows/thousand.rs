//! A thousand containers of this engine alone: the targets are absolute.

use std::time::Duration;

use crate::api;
use crate::contender::Contender;
use crate::measure::{Row, Series, Target};
use crate::memory;
use crate::options::Options;

/// How many.
const COUNT: usize = 1000;
/// How often a start is timed, with none and with all of them.
const STARTS: usize = 20;
const MIB: f64 = (1 << 20) as f64;
/// How long the engine is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(12);

/// Listing a thousand that do not run.
pub fn list(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let contender = contenders.first().ok_or("no engine")?;
    let ids = each(contender, api::make)?;
    let mut series = Series::new(contender.name);
    let listed = (0..options.rounds)
        .try_for_each(|_| series.time(&contender.group, || api::list(&contender.socket, COUNT)));
    discard(contender, &ids)?;
    listed?;
    Ok(Row {
        name: "ps-1000".to_owned(),
        title: format!("API list of {COUNT} containers, all of them"),
        series: vec![series],
        targets: vec![Target::wall(10.0)],
    })
}

/// A thousand that run: what a start takes beside them, and the daemon's memory.
pub fn running(contenders: &mut [Contender], _: &Options) -> Result<Vec<Row>, String> {
    let contender = contenders.first().ok_or("no engine")?;
    let alone = starts(contender, "alone")?;
    let ids = each(contender, api::launch)?;
    std::thread::sleep(REST);
    let mut daemon = Series::new(contender.name);
    daemon
        .memory
        .push(memory::largest(&contender.group) as f64 / MIB);
    let beside = starts(contender, contender.name);
    discard(contender, &ids)?;
    Ok(vec![
        Row {
            name: "start-1000".to_owned(),
            title: format!("API create + start beside {COUNT} running containers, and alone"),
            series: vec![beside?, alone],
            targets: vec![Target::times("alone", 1.0 / 1.5)],
        },
        Row {
            name: "memory-1000".to_owned(),
            title: format!("PSS of the daemon with {COUNT} running containers"),
            series: vec![daemon],
            targets: vec![Target::memory(64.0)],
        },
    ])
}

fn starts(contender: &Contender, name: &str) -> Result<Series, String> {
    let mut series = Series::new(name);
    for _ in 0..STARTS {
        let mut id = String::new();
        series.time(&contender.group, || {
            id = of(contender, api::launch)?;
            Ok(())
        })?;
        api::discard(&contender.socket, &id)?;
    }
    Ok(series)
}

type Make = fn(&std::path::Path, &api::Container<'_>) -> Result<String, String>;

fn of(contender: &Contender, make: Make) -> Result<String, String> {
    let cgroup = contender.group.containers();
    let container = api::Container {
        command: &["sleep", "100000"],
        network: "none",
        cgroup: &cgroup,
        ports: &[],
    };
    make(&contender.socket, &container)
}

fn each(contender: &Contender, make: Make) -> Result<Vec<String>, String> {
    (0..COUNT).map(|_| of(contender, make)).collect()
}

fn discard(contender: &Contender, ids: &[String]) -> Result<(), String> {
    ids.iter()
        .try_for_each(|id| api::discard(&contender.socket, id))
}
