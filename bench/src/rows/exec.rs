//! `true` in a container that runs already.

use std::sync::Arc;

use super::in_turns;
use crate::api;
use crate::contender::Contender;
use crate::measure::Row;
use crate::options::Options;

/// The container's name.
const NAME: &str = "bench-exec";

/// Over the API: create, start until the end of the output, inspect.
pub fn api(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title = "API exec of `true`: create + start until the end + inspect".to_owned();
    with_container(contenders, |contenders| {
        let row = ("exec-api", title);
        in_turns(
            row,
            contenders,
            options.rounds,
            Vec::new(),
            |contender, series| {
                series.time(&contender.group, || api::exec(&contender.socket, NAME))
            },
        )
    })
}

/// By each engine's own command line.
pub fn client(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let title =
        "`gantry exec`, `docker exec`, `podman exec` of `true`, the whole process".to_owned();
    with_container(contenders, |contenders| {
        let row = ("exec-client", title);
        in_turns(
            row,
            contenders,
            options.rounds,
            Vec::new(),
            |contender, series| {
                let group = Arc::clone(&contender.group);
                series.client(&group, || contender.client(&["exec", NAME, "true"]))
            },
        )
    })
}

fn with_container(
    contenders: &mut [Contender],
    work: impl FnOnce(&mut [Contender]) -> Result<Row, String>,
) -> Result<Row, String> {
    for contender in contenders.iter_mut() {
        contender.stay(NAME, &["sleep", "100000"])?;
    }
    let row = work(contenders);
    for contender in contenders.iter_mut() {
        contender.remove(NAME)?;
    }
    row
}
