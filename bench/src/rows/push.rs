//! `push` of a real image (the one that `load` brings in) to docker-registry on
//! loopback: to an empty one, and, after it was pulled, to another repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::in_turns_after;
use super::load::{IMAGE, USUAL};
use crate::contender::Contender;
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::registry::{ADDRESS, Registries};
use crate::say;

/// The rows.
pub const NAMES: &[&str] = &["push-fresh", "push-again"];

/// The same image for `skopeo`, beside the one that `load` takes.
const LAYOUT: &str = "/var/tmp/gantry-load/oci.tar";
/// How long the disk is left alone after a push.
const REST: Duration = Duration::from_secs(2);

/// Both rows, if the image is here.
pub fn all(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let Some(peers) = &options.peers else {
        say("SKIPPED: push: it needs the peers' docker-registry");
        return Ok(Vec::new());
    };
    let path = options.load.clone().unwrap_or_else(|| USUAL.into());
    let layout = PathBuf::from(LAYOUT);
    if !path.exists() || !layout.exists() {
        say("SKIPPED: push: its image is not there: make it with bench/make-image");
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    if options.wants("push-fresh") {
        rows.push(fresh(contenders, options, peers, &path)?);
    }
    if options.wants("push-again") {
        rows.push(again(contenders, options, peers, &layout)?);
    }
    Ok(rows)
}

/// To a registry that has nothing, each time.
fn fresh(
    contenders: &mut [Contender],
    options: &Options,
    peers: &str,
    path: &Path,
) -> Result<Row, String> {
    let name = format!("{ADDRESS}/bench/fresh:latest");
    let archive = path.display().to_string();
    let row = in_turns_after(
        |contender| {
            contender.client(&["load", "-q", "-i", &archive])?;
            contender.client(&["tag", IMAGE, &name]).map(drop)
        },
        (
            "push-fresh",
            "`push` of an image of 700 MB to an empty registry, the whole process".to_owned(),
        ),
        contenders,
        options.rounds,
        vec![Target::times("docker", 2.0)],
        |contender, series| {
            let _registry = Registries::start(std::slice::from_ref(contender), peers)?;
            push(contender, series, &name)
        },
    );
    for contender in contenders {
        // Who has failed may not have it.
        let _ = contender.client(&["rmi", "-f", &name, IMAGE]);
    }
    row
}

/// What came from the registry goes into another of its repositories.
fn again(
    contenders: &mut [Contender],
    options: &Options,
    peers: &str,
    layout: &Path,
) -> Result<Row, String> {
    let registries = Registries::start(contenders, peers)?;
    registries.add(layout, "bench/pulled:latest")?;
    let pulled = format!("{ADDRESS}/bench/pulled:latest");
    let mut round = 0;
    let row = in_turns_after(
        |contender| {
            let flags = [&["pull", "-q"], insecure(contender)].concat();
            contender
                .client(&[&flags[..], &[&pulled]].concat())
                .map(drop)
        },
        (
            "push-again",
            "`push` of a pulled image of 700 MB to another repository, the whole process"
                .to_owned(),
        ),
        contenders,
        options.rounds,
        vec![Target::times("docker", 5.0)],
        |contender, series| {
            round += 1;
            let name = format!("{ADDRESS}/bench/{}-{round}:latest", contender.name);
            contender.client(&["tag", &pulled, &name])?;
            push(contender, series, &name)?;
            contender.client(&["rmi", &name]).map(drop)
        },
    );
    for contender in contenders {
        // Who has failed may not have it.
        let _ = contender.client(&["rmi", "-f", &pulled]);
    }
    row
}

fn push(contender: &mut Contender, series: &mut Series, name: &str) -> Result<(), String> {
    let group = Arc::clone(&contender.group);
    let flags = [&["push", "-q"], insecure(contender)].concat();
    series.client(&group, || contender.client(&[&flags[..], &[name]].concat()))?;
    // The writing back is not the next one's.
    crate::command::run(&["sync"])?;
    std::thread::sleep(REST);
    Ok(())
}

/// Podman has to be told; for Docker and gantry loopback is no danger.
fn insecure(contender: &Contender) -> &'static [&'static str] {
    match contender.name {
        "podman" => &["--tls-verify=false"],
        _ => &[],
    }
}
