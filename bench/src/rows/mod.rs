//! The kinds of work. Each file is one of them, or a few that belong together;
//! each row runs its contenders in turns.

mod builds;
mod compose;
mod cycle;
mod exec;
mod files;
mod floor;
mod load;
mod logs;
mod many;
mod memory;
mod network;
mod pull;
mod push;
mod registry;
mod run;
mod runtime;
mod save;
mod stop;
mod thousand;
mod volumes;

use crate::contender::{self, Contender};
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::{report, say};

/// A kind of work that needs running engines.
struct Work {
    /// Names of the rows that it gives.
    names: &'static [&'static str],
    run: fn(&mut [Contender], &Options) -> Result<Vec<Row>, String>,
}

/// In the order of the table.
const WORK: &[Work] = &[
    Work {
        names: &["api-none"],
        run: |c, o| cycle::none(c, o).map(one),
    },
    Work {
        names: &["api-bridge"],
        run: |c, o| cycle::bridge(c, o).map(one),
    },
    Work {
        names: network::NAMES,
        run: network::all,
    },
    Work {
        names: &["run"],
        run: |c, o| run::own(c, o).map(one),
    },
    Work {
        names: &["run-stock"],
        run: |c, o| run::stock(c, o).map(one),
    },
    Work {
        names: &["exec-api"],
        run: |c, o| exec::api(c, o).map(one),
    },
    Work {
        names: &["exec-client"],
        run: |c, o| exec::client(c, o).map(one),
    },
    Work {
        names: &["many-start", "many-remove"],
        run: many::both,
    },
    Work {
        names: compose::NAMES,
        run: compose::both,
    },
    Work {
        names: &["stop"],
        run: |c, o| stop::stop(c, o).map(one),
    },
    Work {
        names: &["remove-running"],
        run: |c, o| stop::remove(c, o).map(one),
    },
    Work {
        names: &["ps-1000"],
        run: |c, o| thousand::list(c, o).map(one),
    },
    Work {
        names: &["start-1000", "memory-1000"],
        run: thousand::running,
    },
    Work {
        names: &["memory-idle"],
        run: |c, o| memory::idle(c, o).map(one),
    },
    Work {
        names: &["memory-1"],
        run: |c, o| memory::with_1(c, o).map(one),
    },
    Work {
        names: &["memory-10"],
        run: |c, o| memory::with_10(c, o).map(one),
    },
    Work {
        names: &["memory-50"],
        run: |c, o| memory::with_50(c, o).map(one),
    },
    Work {
        names: &["logs"],
        run: |c, o| logs::read(c, o).map(one),
    },
    Work {
        names: files::NAMES,
        run: files::all,
    },
    Work {
        names: &["copy-up"],
        run: |c, o| volumes::copy_up(c, o).map(one),
    },
    Work {
        names: &["logs-write"],
        run: |c, o| logs::write(c, o).map(one),
    },
    Work {
        names: &["load"],
        run: |c, o| load::load(c, o).map(one),
    },
    Work {
        names: pull::NAMES,
        run: pull::all,
    },
    Work {
        names: &["save"],
        run: |c, o| save::save(c, o).map(one),
    },
    Work {
        names: push::NAMES,
        run: push::all,
    },
    Work {
        names: &["build-run"],
        run: |c, o| builds::some(&["build-run"], c, o),
    },
    Work {
        names: &["build-cached", "build-cached-stock"],
        run: |c, o| builds::some(&["build-cached", "build-cached-stock"], c, o),
    },
    Work {
        names: &["build-context", "build-context-stock"],
        run: |c, o| builds::some(&["build-context", "build-context-stock"], c, o),
    },
    Work {
        names: &["build-stages"],
        run: |c, o| builds::some(&["build-stages"], c, o),
    },
    Work {
        names: &["build-copy"],
        run: |c, o| builds::some(&["build-copy"], c, o),
    },
    Work {
        names: &["build-memory"],
        run: |c, o| builds::peaks(c, o).map(one),
    },
];

fn one(row: Row) -> Vec<Row> {
    vec![row]
}

/// Measures what is wanted; whether every target was reached.
pub fn run(options: &Options) -> Result<bool, String> {
    let wanted: Vec<&Work> = WORK
        .iter()
        .filter(|work| work.names.iter().any(|name| options.wants(name)))
        .collect();
    let runtimes: Vec<_> = runtime::SETTINGS
        .iter()
        .filter(|setting| options.wants(setting.name))
        .collect();
    if options.list {
        for name in wanted
            .iter()
            .flat_map(|work| work.names)
            .chain(runtimes.iter().map(|setting| &setting.name))
            .chain(registry::NAMES.iter().filter(|name| options.wants(name)))
        {
            say(name);
        }
        return Ok(true);
    }
    say(&format!(
        "{} rounds, in turns; medians (and the middle 80 %) of wall time and of processor time \
         of engine, containers and client; xN: how many times what gantry needs",
        options.rounds
    ));
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    let mut reached = true;
    let mut done = |row: Row| {
        reached &= report::print(&row);
        rows.push(row);
        match &options.json {
            Some(path) => report::write(path, &rows, options.rounds),
            None => Ok(()),
        }
    };
    for setting in runtimes {
        runtime::compare(setting, options)?.map_or(Ok(()), &mut done)?;
    }
    if registry::NAMES.iter().any(|name| options.wants(name)) {
        registry::compare(options)?
            .into_iter()
            .try_for_each(&mut done)?;
    }
    if !wanted.is_empty() {
        let mut contenders = contender::all(options)?;
        for work in wanted {
            crate::ending::stop_here();
            match (work.run)(&mut contenders, options) {
                Ok(all) => all.into_iter().try_for_each(&mut done)?,
                // The other rows are worth having.
                Err(error) => failed.push(format!("{}: {error}", work.names.join(", "))),
            }
        }
    }
    for failure in &failed {
        say(&format!("FAILED: {failure}"));
    }
    Ok(reached && failed.is_empty())
}

/// One piece of work for each contender in turns.
fn in_turns(
    row: (&str, String),
    contenders: &mut [Contender],
    rounds: usize,
    targets: Vec<Target>,
    work: impl FnMut(&mut Contender, &mut Series) -> Result<(), String>,
) -> Result<Row, String> {
    in_turns_after(|_| Ok(()), row, contenders, rounds, targets, work)
}

/// The same after each was prepared, untimed.
fn in_turns_after(
    prepare: impl FnMut(&mut Contender) -> Result<(), String>,
    row: (&str, String),
    contenders: &mut [Contender],
    rounds: usize,
    targets: Vec<Target>,
    work: impl FnMut(&mut Contender, &mut Series) -> Result<(), String>,
) -> Result<Row, String> {
    let mut series: Vec<Series> = contenders.iter().map(|c| Series::new(c.name)).collect();
    prepared(prepare, contenders, &mut series)?;
    turns(rounds, contenders, &mut series, work)?;
    Ok(Row {
        name: row.0.to_owned(),
        title: row.1,
        series,
        targets,
    })
}

/// Prepares each of `who`; a peer that cannot be prepared has failed.
fn prepared<T>(
    mut prepare: impl FnMut(&mut T) -> Result<(), String>,
    who: &mut [T],
    series: &mut [Series],
) -> Result<(), String> {
    for (number, (one, series)) in who.iter_mut().zip(series).enumerate() {
        series.bear(number == 0, prepare(one))?;
    }
    // Else the first rounds are measured while this is being written.
    rustix::fs::sync();
    Ok(())
}

/// Rounds of work for each of `who` in turns, the first one being this engine: its
/// failure is an error, that of a peer ends the peer's part.
fn turns<T>(
    rounds: usize,
    who: &mut [T],
    series: &mut [Series],
    mut work: impl FnMut(&mut T, &mut Series) -> Result<(), String>,
) -> Result<(), String> {
    for _ in 0..rounds {
        crate::ending::stop_here();
        for (number, (one, series)) in who.iter_mut().zip(&mut *series).enumerate() {
            if !series.is_over() {
                let done = work(one, series);
                series.bear(number == 0, done)?;
            }
        }
    }
    Ok(())
}
