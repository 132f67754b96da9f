//! A container's whole life over the API.

use super::in_turns;
use crate::api;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;

/// Without a network.
pub fn none(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    cycle("api-none", "none", 10.0, contenders, options)
}

/// On the default bridge.
pub fn bridge(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    cycle("api-bridge", "bridge", 12.0, contenders, options)
}

fn cycle(
    name: &str,
    network: &str,
    times: f64,
    contenders: &mut [Contender],
    options: &Options,
) -> Result<Row, String> {
    let title = format!("API create + start + wait + remove of `true`, network {network}");
    let targets = vec![Target::times("docker", times)];
    in_turns(
        (name, title),
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let cgroup = contender.group.containers();
            let container = api::Container {
                command: &["true"],
                network,
                cgroup: &cgroup,
            };
            series.time(&contender.group, || {
                api::cycle(&contender.socket, &container)
            })
        },
    )
}
