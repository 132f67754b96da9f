//! `run --rm --network none IMAGE true`, the whole process of the client.

use std::sync::Arc;

use super::in_turns;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;

/// Each engine's own command line.
pub fn own(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "`gantry run`, `docker run`, `podman run` of `true`, the whole process".to_owned();
    let targets = vec![Target::times("docker", 10.0), Target::times("podman", 8.0)];
    in_turns(
        ("run", title),
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let group = Arc::clone(&contender.group);
            series.client(&group, || contender.run_true())
        },
    )
}

/// The stock docker client on this engine and on Docker.
pub fn stock(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "`docker run` of `true` by the stock client, the whole process".to_owned();
    let targets = vec![Target::times("docker", 3.0)];
    let count = contenders.iter().take_while(|c| c.name != "podman").count();
    let contenders = &mut contenders[..count];
    in_turns(
        ("run-stock", title),
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let group = Arc::clone(&contender.group);
            series.client(&group, || contender.stock_run_true())
        },
    )
}
