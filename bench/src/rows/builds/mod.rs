//! Builds: small steps, the cache, large contexts, stages at the same time.
//!
//! Docker builds in two ways, this engine by two clients; each is a series of its own.
//! What is built is the same for all, from busybox and without a network.

mod material;

use std::path::Path;
use std::sync::Arc;

use super::{prepared, turns};
use crate::contender::{self, Contender};
use crate::measure::{Row, Series, Target};
use crate::memory;
use crate::options::Options;
use crate::say;
use crate::worker::Done;
use material::Material;

/// More rounds of these rows say nothing more.
const MOST_ROUNDS: usize = 7;
const MIB: f64 = (1 << 20) as f64;

/// How something is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By the engine's own client; Podman's is buildah.
    Own,
    /// By the stock client and buildx.
    Buildx,
    /// By the stock client without buildx.
    Classic,
}

/// Who builds, and how.
struct Way {
    /// In the tables.
    name: &'static str,
    contender: usize,
    how: How,
}

/// The rows of these names that are wanted.
pub fn some(
    names: &[&'static str],
    contenders: &mut [Contender],
    options: &Options,
) -> Result<Vec<Row>, String> {
    let plugin = contender::plugin("docker-buildx");
    if plugin.is_none() {
        say("SKIPPED: builds by BuildKit: the plug-in docker-buildx is not here");
    }
    let material = Material::make(plugin.as_deref())?;
    for contender in contenders.iter() {
        memory::forget_peaks(&contender.group);
    }
    let wanted = names.iter().filter(|name| options.wants(name));
    let rows = wanted.map(|name| row(name, contenders, options, &material));
    let rows = rows.collect();
    for contender in contenders {
        contender.peak = contender.peak.max(memory::highest(&contender.group));
    }
    rows
}

fn row(
    name: &'static str,
    contenders: &mut [Contender],
    options: &Options,
    material: &Material,
) -> Result<Row, String> {
    let docker = |times| Target::times("docker", times);
    let (title, stock, targets) = match name {
        "build-run" => (
            "`build --no-cache` of 20 small RUN steps, the whole process",
            false,
            vec![
                docker(8.0),
                Target::times("docker-classic", 8.0),
                Target::times("podman", 5.0),
            ],
        ),
        "build-cached" => ("the same, all from the cache", false, vec![docker(5.0)]),
        "build-cached-stock" => (
            "the same by the stock buildx, all from the cache",
            true,
            vec![docker(1.5)],
        ),
        "build-context" => (
            "`COPY . .` of 1 GB in 20,000 files, one of them changed since the last build",
            false,
            vec![docker(5.0)],
        ),
        "build-context-stock" => ("the same by the stock buildx", true, vec![docker(5.0)]),
        "build-stages" => (
            "a diamond of 8 stages, each with some tenths of a second of one processor",
            false,
            vec![Target::times("docker-classic", 1.5), docker(1.0)],
        ),
        _ => (
            "`build --no-cache` with COPY of 50,000 files, the context known",
            false,
            vec![docker(2.0)],
        ),
    };
    let mut ways = ways(contenders, stock, material);
    let mut series: Vec<Series> = ways.iter().map(|way| Series::new(way.name)).collect();
    let context = material.context(name)?;
    let fresh = matches!(name, "build-run" | "build-stages" | "build-copy");
    let prepare = |way: &mut Way| {
        // It keeps no context, and the cache is not used.
        if fresh && way.how == How::Classic {
            return Ok(());
        }
        let contender = &mut contenders[way.contender];
        build(contender, way, material, &context, false).map(drop)
    };
    prepared(prepare, &mut ways, &mut series)?;
    let rounds = options.rounds.min(MOST_ROUNDS);
    turns(rounds, &mut ways, &mut series, |way, series| {
        if name.starts_with("build-context") {
            material.change(&context, series.wall.len(), way.name)?;
        }
        let contender = &mut contenders[way.contender];
        let group = Arc::clone(&contender.group);
        series.client(&group, || build(contender, way, material, &context, fresh))?;
        match name.starts_with("build-co") {
            // Writing back is not the next one's.
            true => crate::command::run(&["sync"]),
            false => Ok(()),
        }
    })?;
    Ok(Row {
        name: name.to_owned(),
        title: title.to_owned(),
        series,
        targets,
    })
}

/// Who takes part in a row.
fn ways(contenders: &[Contender], stock: bool, material: &Material) -> Vec<Way> {
    let mut ways = Vec::new();
    for (contender, who) in contenders.iter().enumerate() {
        let mut add = |name, how| {
            if how != How::Buildx || material.has_buildx {
                ways.push(Way {
                    name,
                    contender,
                    how,
                });
            }
        };
        match (who.name, stock) {
            ("gantry", false) => add("gantry", How::Own),
            ("gantry", true) => add("gantry", How::Buildx),
            ("docker", _) => {
                add("docker", How::Buildx);
                if !stock {
                    add("docker-classic", How::Classic);
                }
            }
            ("podman", false) => add("podman", How::Own),
            _ => {}
        }
    }
    ways
}

fn build(
    contender: &mut Contender,
    way: &Way,
    material: &Material,
    context: &Path,
    fresh: bool,
) -> Result<Done, String> {
    let path = context.display().to_string();
    let tag = format!("bench/{}", way.name);
    let mut args = vec!["build", "-q", "--network", "none", "-t", &tag];
    let parent = contender.group.containers();
    if way.name == "podman" {
        args.extend(["--layers", "--cgroup-parent", &parent]);
    }
    if fresh {
        args.push("--no-cache");
    }
    args.push(&path);
    let config = format!("DOCKER_CONFIG={}", material.config(way.how).display());
    match way.how {
        How::Own => contender.client(&args),
        How::Buildx => {
            let environment = [
                &config,
                "DOCKER_BUILDKIT=1",
                "BUILDX_NO_DEFAULT_ATTESTATIONS=1",
            ];
            contender.stock_with(&environment, &args)
        }
        How::Classic => contender.stock_with(&[&config, "DOCKER_BUILDKIT=0"], &args),
    }
}

/// The most memory that each daemon had in all the rows before.
pub fn peaks(contenders: &mut [Contender], _: &Options) -> Result<Row, String> {
    let series = contenders.iter().map(|contender| {
        let mut series = Series::new(contender.name);
        // Of who has built nothing there is nothing to be told.
        if contender.peak != 0 {
            series.memory.push(contender.peak as f64 / MIB);
        }
        series
    });
    Ok(Row {
        name: "build-memory".to_owned(),
        title: "the most memory of the daemon in the rows of builds before".to_owned(),
        series: series.collect(),
        targets: vec![Target::memory(96.0)],
    })
}
