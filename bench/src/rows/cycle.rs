//! A container's whole life over the API.

use super::in_turns;
use crate::api;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;

/// Without a network.
pub fn none(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    cycle("api-none", ("none", None), 10.0, contenders, options)
}

/// On the default bridge.
pub fn bridge(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    cycle("api-bridge", ("bridge", None), 12.0, contenders, options)
}

/// On a network, with a port if one is given.
pub fn cycle(
    name: &str,
    (network, port): (&str, Option<u16>),
    times: f64,
    contenders: &mut [Contender],
    options: &Options,
) -> Result<Row, String> {
    let with = port.map_or_else(String::new, |port| format!(", port {port} published"));
    let title = format!("API create + start + wait + remove of `true`, network {network}{with}");
    let ports: Vec<u16> = port.into_iter().collect();
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
                ports: &ports,
            };
            series.time(&contender.group, || {
                api::cycle(&contender.socket, &container)
            })
        },
    )
}
