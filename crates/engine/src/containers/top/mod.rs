//! The processes of a container, as `ps` shows them. Docker runs the host's
//! `ps` and takes its lines apart; here the lines are made from `/proc`, and
//! taken apart in the same way, so that clients see the same cells.

mod arguments;
mod columns;
mod passwd;
mod process;

use std::collections::BTreeSet;

use gantry_api::ContainerTop;

use super::Containers;
use crate::error::{Error, Result};
use arguments::Layout;
use columns::System;
use process::Process;

/// What Docker gives to `ps` when the client says nothing.
const DEFAULT: &str = "-ef";

impl Containers {
    /// Lists the processes of a running container, shown as `ps` shows them with
    /// these arguments.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotRunning`; `UnsupportedOption` for what `ps` knows
    /// and this does not; `Failed` for what nobody knows.
    pub fn top(&self, idref: &str, arguments: Option<&str>) -> Result<ContainerTop> {
        let given = arguments.filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
        let container = self.inner.find(idref)?;
        container.wait_started();
        let state = container.state();
        if state.restarting() {
            return Err(Error::restarting(container.id()));
        }
        if !state.running() {
            return Err(Error::NotRunning(container.id().to_string()));
        }
        let layout = arguments::parse(given)?;
        let pids: BTreeSet<u32> = container.link()?.processes()?.into_iter().collect();
        let system = System::look();
        let mut lines = Vec::with_capacity(pids.len() + 1);
        lines.extend(layout.title());
        // What ends meanwhile is not listed.
        for process in pids.iter().filter_map(|pid| Process::read(*pid)) {
            lines.push(line(&layout, &process, &system));
        }
        let top = take_apart(&lines, &pids)?;
        self.inner.publish(&container, "top", &[]);
        Ok(top)
    }
}

fn line(layout: &Layout, process: &Process, system: &System) -> String {
    let cells: Vec<String> = layout
        .columns
        .iter()
        .map(|(_, column)| columns::cell(*column, process, system))
        .collect();
    cells.join(" ")
}

/// Finds the cells of lines whose first one has the titles; the last cell takes
/// what is left of its line.
fn take_apart(lines: &[String], pids: &BTreeSet<u32>) -> Result<ContainerTop> {
    let words = |line: &String| -> Vec<String> {
        line.split(|c: char| c.is_ascii_whitespace() || c == '\x0b')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let titles = lines.first().map(words).unwrap_or_default();
    let Some(at) = titles.iter().position(|title| title == "PID") else {
        let text = "Couldn't find PID field in ps output";
        return Err(Error::Failed(text.to_owned()));
    };
    let mut processes = Vec::new();
    for line in lines.iter().skip(1) {
        let mut cells = words(line);
        let pid = cells.get(at).map_or("", String::as_str);
        let number: u32 = pid.parse().map_err(|_| {
            let text =
                format!("Unexpected pid '{pid}': strconv.Atoi: parsing \"{pid}\": invalid syntax");
            Error::Failed(text)
        })?;
        if pids.contains(&number) {
            let last = titles.len() - 1;
            let rest = cells.split_off(last.min(cells.len())).join(" ");
            cells.push(rest);
            processes.push(cells);
        }
    }
    Ok(ContainerTop {
        processes: (!processes.is_empty()).then_some(processes),
        titles,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(lines: &[&str]) -> Result<ContainerTop> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        take_apart(&lines, &BTreeSet::from([7, 8]))
    }

    #[test]
    fn the_last_cell_takes_the_rest() {
        let top = apart(&["PID CMD", "7 sleep 10", "8 sh", "9 other"]).unwrap();
        assert_eq!(top.titles, ["PID", "CMD"]);
        assert_eq!(
            top.processes.unwrap(),
            [
                ["7", "sleep 10"].map(str::to_owned),
                ["8", "sh"].map(str::to_owned)
            ]
        );
    }

    #[test]
    fn without_a_pid_there_is_no_list() {
        let message = apart(&["CMD", "sh"]).unwrap_err().to_string();
        assert_eq!(message, "Couldn't find PID field in ps output");
        // A command with a number where the pid is looked for, as in Docker.
        assert_eq!(apart(&["CMD PID", "sleep 10 7"]).unwrap().processes, None);
        let message = apart(&["CMD PID", "sleep x 7"]).unwrap_err().to_string();
        assert!(message.starts_with("Unexpected pid 'x'"), "{message}");
    }

    #[test]
    fn this_process_is_shown() {
        let system = System::look();
        let own = Process::read(std::process::id()).unwrap();
        for arguments in [DEFAULT, "aux", "-o pid,cmd", "-eF", "-l", "l", "j", "-j"] {
            let layout = arguments::parse(arguments).unwrap();
            let lines = vec![layout.title().unwrap(), line(&layout, &own, &system)];
            let top = take_apart(&lines, &BTreeSet::from([std::process::id()])).unwrap();
            let cells = &top.processes.unwrap()[0];
            assert_eq!(cells.len(), top.titles.len(), "{arguments}");
            let at = top.titles.iter().position(|title| title == "PID").unwrap();
            assert_eq!(cells[at], std::process::id().to_string());
        }
    }
}
