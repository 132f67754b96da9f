//! The kinds of work. Each file is one of them, or a few that belong together;
//! each row runs its contenders in turns.

mod cycle;
mod exec;
mod load;
mod logs;
mod many;
mod memory;
mod run;
mod runtime;

use crate::contender::{self, Contender};
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::{report, say};

/// A kind of work that needs running engines.
struct Work {
    name: &'static str,
    run: fn(&mut [Contender], &Options) -> Result<Row, String>,
}

/// In the order of the table.
const WORK: &[Work] = &[
    Work {
        name: "api-none",
        run: cycle::none,
    },
    Work {
        name: "api-bridge",
        run: cycle::bridge,
    },
    Work {
        name: "run",
        run: run::own,
    },
    Work {
        name: "run-stock",
        run: run::stock,
    },
    Work {
        name: "exec-api",
        run: exec::api,
    },
    Work {
        name: "exec-client",
        run: exec::client,
    },
    Work {
        name: "many-start",
        run: many::start,
    },
    Work {
        name: "many-remove",
        run: many::remove,
    },
    Work {
        name: "memory-idle",
        run: memory::idle,
    },
    Work {
        name: "memory-1",
        run: memory::with_1,
    },
    Work {
        name: "memory-10",
        run: memory::with_10,
    },
    Work {
        name: "memory-50",
        run: memory::with_50,
    },
    Work {
        name: "logs",
        run: logs::read,
    },
    Work {
        name: "load",
        run: load::load,
    },
];

/// Measures what is wanted; whether every target was reached.
pub fn run(options: &Options) -> Result<bool, String> {
    let wanted: Vec<&Work> = WORK.iter().filter(|w| options.wants(w.name)).collect();
    let runtimes: Vec<_> = runtime::SETTINGS
        .iter()
        .filter(|setting| options.wants(setting.name))
        .collect();
    if options.list {
        for name in wanted
            .iter()
            .map(|w| w.name)
            .chain(runtimes.iter().map(|s| s.name))
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
    if !wanted.is_empty() {
        let mut contenders = contender::all(options)?;
        for work in wanted {
            match (work.run)(&mut contenders, options) {
                Ok(row) => done(row)?,
                // The other rows are worth having.
                Err(error) => failed.push(format!("{}: {error}", work.name)),
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
    mut work: impl FnMut(&mut Contender, &mut Series) -> Result<(), String>,
) -> Result<Row, String> {
    let mut series: Vec<Series> = contenders.iter().map(|c| Series::new(c.name)).collect();
    for _ in 0..rounds {
        for (contender, series) in contenders.iter_mut().zip(&mut series) {
            work(contender, series)?;
        }
    }
    Ok(Row {
        name: row.0.to_owned(),
        title: row.1,
        series,
        targets,
    })
}
