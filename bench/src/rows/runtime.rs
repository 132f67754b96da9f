//! The bare OCI runtimes on one bundle: no daemon, no client. All of them run in
//! the peers' mount namespace, started by one worker there: nothing of `nsenter`
//! is in the figures, and all see the same cgroup hierarchies.

use std::time::Duration;

use crate::command::{run, words};
use crate::cpu::CpuGroup;
use crate::measure::{Bound, Quantity, Row, Series, Target};
use crate::options::Options;
use crate::rootfs::Rootfs;
use crate::say;
use crate::worker::Worker;

/// One way to compare them.
pub struct Setting {
    /// The row's name.
    pub name: &'static str,
    title: &'static str,
    /// What `enter` shows: `v1` as it is here, or `v2` alone.
    cgroup: &'static str,
    /// Before each run. After a pause, the first process that enters a cgroup v1
    /// waits for an RCU grace period.
    pause: Duration,
    /// What is done with each container.
    steps: Steps,
    /// How many times as much crun and runc need.
    crun: f64,
    runc: Option<f64>,
}

/// What is done with a container.
#[derive(Clone, Copy)]
enum Steps {
    /// `run`.
    Run,
    /// `create`, `start`, `state`, `delete --force`, one after another.
    Each,
}

impl Steps {
    /// The commands behind `--root`, each with what stands before the id.
    fn commands(self, bundle: &str) -> Vec<Vec<String>> {
        match self {
            Self::Run => vec![words(&["run", "--bundle", bundle])],
            Self::Each => vec![
                words(&["create", "--bundle", bundle]),
                words(&["start"]),
                words(&["state"]),
                words(&["delete", "--force"]),
            ],
        }
    }
}

/// What is compared.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "runtime-v1",
        title: "`gantry runtime run`, `crun run`, `runc run` of `true`, cgroup v1, with pauses",
        cgroup: "v1",
        pause: Duration::from_millis(400),
        steps: Steps::Run,
        crun: 1.0 / 0.7,
        runc: Some(1.0 / 0.4),
    },
    Setting {
        name: "runtime-v1-tight",
        title: "the same without pauses",
        cgroup: "v1",
        pause: Duration::ZERO,
        steps: Steps::Run,
        crun: 1.0 / 0.7,
        runc: Some(1.0 / 0.4),
    },
    Setting {
        name: "runtime-v2",
        title: "the same with pauses, cgroup v2 alone",
        cgroup: "v2",
        pause: Duration::from_millis(400),
        steps: Steps::Run,
        crun: 2.0,
        runc: None,
    },
    Setting {
        name: "runtime-steps-v1",
        title: "`create`, `start`, `state`, `delete --force` of `true`, cgroup v1, with pauses",
        cgroup: "v1",
        pause: Duration::from_millis(400),
        steps: Steps::Each,
        crun: 1.0 / 0.75,
        runc: None,
    },
    Setting {
        name: "runtime-steps-v2",
        title: "the same, cgroup v2 alone",
        cgroup: "v2",
        pause: Duration::from_millis(400),
        steps: Steps::Each,
        crun: 1.0 / 0.6,
        runc: None,
    },
];

/// crun's peak memory that is to be stayed below, in MiB.
const PEAK: f64 = 3.5;

/// Measures one setting; `None` when the peers are not here.
pub fn compare(setting: &Setting, options: &Options) -> Result<Option<Row>, String> {
    let Some(peers) = &options.peers else {
        say(&format!(
            "SKIPPED: {}: ../shared/peers is not here",
            setting.name
        ));
        return Ok(None);
    };
    let group = CpuGroup::make("runtimes")?;
    let rootfs = Rootfs::make()?;
    let bundle = rootfs.bundle().display().to_string();
    let inside = [
        "env",
        &format!("PEERS_CGROUP={}", setting.cgroup),
        &format!("{peers}/enter"),
    ];
    let mut worker =
        Worker::start(|own| group.inside("client", &[&words(&inside)[..], &own[..]].concat()))?;
    let mut runtimes = Vec::new();
    for (name, program) in [
        ("gantry runtime", words(&[&options.gantry, "runtime"])),
        ("crun", words(&["crun"])),
        ("runc", words(&["runc"])),
    ] {
        runtimes.push((Series::new(name), program));
    }
    write_spec(&options.gantry, &bundle, &group.containers())?;
    // Where runtimes keep their state: in memory, in the peers' own `/run`.
    let root = format!("/run/gantry-bench-{}", std::process::id());
    for round in 0..options.rounds {
        for (series, program) in &mut runtimes {
            std::thread::sleep(setting.pause);
            let id = format!("bench-{round}");
            let mut peak = 0;
            series.sample(&group, || {
                let mut wall = 0;
                for command in setting.steps.commands(&bundle) {
                    let root = words(&["--root", &root]);
                    let id = words(&[&id]);
                    let done = worker.run(&[&program[..], &root, &command, &id].concat())?;
                    peak = peak.max(done.peak);
                    wall += done.wall;
                }
                Ok(Duration::from_nanos(wall))
            })?;
            series.memory.push(peak as f64 / f64::from(1 << 20));
        }
    }
    Ok(Some(Row {
        name: setting.name.to_owned(),
        title: setting.title.to_owned(),
        series: runtimes.into_iter().map(|(series, _)| series).collect(),
        targets: targets(setting),
    }))
}

fn targets(setting: &Setting) -> Vec<Target> {
    let mut targets = vec![Target::times("crun", setting.crun)];
    targets.extend(setting.runc.map(|times| Target::times("runc", times)));
    targets.push(Target::memory(PEAK));
    targets.push(Target {
        quantity: Quantity::Memory,
        bound: Bound::Times {
            contender: "crun".to_owned(),
            at_least: 1.0,
        },
    });
    targets
}

/// Our own `spec`, which is Docker's defaults, without a terminal.
fn write_spec(gantry: &str, bundle: &str, cgroup: &str) -> Result<(), String> {
    let path = format!("{bundle}/config.json");
    let _ = std::fs::remove_file(&path);
    run(&[gantry, "runtime", "spec", "--bundle", bundle])?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut spec: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = vec!["true"].into();
    spec["linux"]["cgroupsPath"] = format!("{cgroup}/run").into();
    std::fs::write(&path, spec.to_string()).map_err(|error| format!("{path}: {error}"))
}
