//! A hundred containers, eight at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::in_turns;
use crate::api;
use crate::contender::Contender;
use crate::measure::{Row, Series, Target};
use crate::options::Options;

/// How many containers.
const COUNT: usize = 100;
/// How many at the same time.
const AT_A_TIME: usize = 8;

/// Creating and starting them, and removing them while they run: two rows.
pub fn both(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let mut removals: Vec<Series> = contenders.iter().map(|c| Series::new(c.name)).collect();
    let targets = vec![Target::times("docker", 10.0)];
    let title =
        format!("API create + start of {COUNT} containers, {AT_A_TIME} at a time, network none");
    let started = in_turns(
        ("many-start", title),
        contenders,
        options.rounds,
        targets.clone(),
        |contender, series| {
            let ids = launch(contender, series)?;
            let removal = removals.iter_mut().find(|s| s.contender == contender.name);
            discard(
                contender,
                &ids,
                removal.ok_or("a contender without a series")?,
            )
        },
    )?;
    let removed = Row {
        name: "many-remove".to_owned(),
        title: format!("API removal by force of {COUNT} running containers, {AT_A_TIME} at a time"),
        series: removals,
        targets,
    };
    Ok(vec![started, removed])
}

fn launch(contender: &Contender, series: &mut Series) -> Result<Vec<String>, String> {
    let cgroup = contender.group.containers();
    let container = api::Container {
        command: &["sleep", "100000"],
        network: "none",
        cgroup: &cgroup,
        ports: &[],
    };
    let ids = Mutex::new(Vec::new());
    let socket = contender.socket.as_path();
    series.time(&contender.group, || {
        at_once(COUNT, |_| {
            let id = api::launch(socket, &container)?;
            ids.lock().map_err(|_| "a thread panicked")?.push(id);
            Ok(())
        })
    })?;
    ids.into_inner().map_err(|_| "a thread panicked".to_owned())
}

fn discard(contender: &Contender, ids: &[String], series: &mut Series) -> Result<(), String> {
    let socket = contender.socket.as_path();
    series.time(&contender.group, || {
        at_once(ids.len(), |number| api::discard(socket, &ids[number]))
    })
}

/// `work` for the numbers below `count`, some at a time; the first error ends it.
fn at_once(count: usize, work: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let one_after_another = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME)
            .map(|_| scope.spawn(one_after_another))
            .collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.map_err(|_| "a thread panicked".to_owned())?)
            .fold(Ok(()), Result::and)
    })
}
