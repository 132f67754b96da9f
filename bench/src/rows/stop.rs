//! The end of a container that runs.

use super::in_turns;
use crate::api;
use crate::contender::Contender;
use crate::measure::{Row, Target};
use crate::options::Options;

/// Ends at the first signal, as a server does; a shell is what the image has.
const SERVER: [&str; 3] = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do sleep 100000 & wait; done",
];

/// Asked to end: from the request until it has ended.
pub fn stop(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "API stop of a running container that obeys, network none".to_owned();
    ended(
        ("stop", title),
        &SERVER,
        contenders,
        options,
        |contender, id| api::stop(&contender.socket, id),
    )
}

/// Removed by force: from the request until it is gone.
pub fn remove(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "API removal by force of a running container, network none".to_owned();
    let sleeper = ["sleep", "100000"];
    ended(
        ("remove-running", title),
        &sleeper,
        contenders,
        options,
        |contender, id| api::discard(&contender.socket, id),
    )
}

fn ended(
    row: (&str, String),
    command: &[&str],
    contenders: &mut [Contender],
    options: &Options,
    end: impl Fn(&Contender, &str) -> Result<(), String>,
) -> Result<Row, String> {
    let targets = vec![Target::times("docker", 8.0)];
    in_turns(
        row,
        contenders,
        options.rounds,
        targets,
        |contender, series| {
            let cgroup = contender.group.containers();
            let container = api::Container {
                command,
                network: "none",
                cgroup: &cgroup,
                ports: &[],
            };
            let id = api::launch(&contender.socket, &container)?;
            // A first process that has not set its trap yet would not hear the signal.
            std::thread::sleep(std::time::Duration::from_millis(100));
            series.time(&contender.group, || end(contender, &id))?;
            // Gone already, where that was what was timed.
            let _ = api::discard(&contender.socket, &id);
            Ok(())
        },
    )
}
