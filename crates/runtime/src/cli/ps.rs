//! `ps`: the lines of the machine's own `ps` that are about a container.

use std::process::{Command, Stdio};

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::manage::{own_cgroup, table};
use super::{Context, output, process, store};

/// Options of `ps`.
pub(super) const OPTIONS: &[Flag] = &[Flag::value(
    "format",
    Some('f'),
    "table (the default), or json",
)];

/// `ps`.
pub(super) fn ps(context: &Context, args: &Arguments) -> Result<i32> {
    let record = store::look(context, &args.rest()[0])?;
    let pids = own_cgroup(&record)?.pids()?;
    match args.value("format").unwrap_or("table") {
        "json" => {
            let text = serde_json::to_string(&pids).unwrap_or_default();
            output::print(&(text + "\n"));
        }
        "table" => match listed(&args.rest()[1..])? {
            Some(all) => output::print(&those_of(&all, &pids)?),
            // A machine without the program still has `/proc`.
            None if args.rest().len() == 1 => output::print(&own_table(&pids)),
            None => return Err(Error::State("ps: executable file not found".to_owned())),
        },
        _ => return Err(Error::Usage("invalid format option".to_owned())),
    }
    Ok(0)
}

/// What `ps` has to say of all processes; `None` if there is no such program.
fn listed(words: &[String]) -> Result<Option<String>> {
    let mut command = Command::new("ps");
    match words {
        [] => command.arg("-ef"),
        words => command.args(words),
    };
    let output = match command.stdin(Stdio::null()).output() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::file("execute", std::path::Path::new("ps")))?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap_or(-1);
        return Err(Error::State(format!("exit status {code}: {said}")));
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// The heading, and the lines whose `PID` is one of these.
fn those_of(all: &str, pids: &[u32]) -> Result<String> {
    let heading = all.lines().next().unwrap_or_default();
    let column = heading.split_whitespace().position(|name| name == "PID");
    let column =
        column.ok_or_else(|| Error::State("couldn't find PID field in ps output".to_owned()))?;
    let is_one = |line: &&str| {
        let pid = line.split_whitespace().nth(column);
        pid.and_then(|pid| pid.parse().ok())
            .is_some_and(|pid: u32| pids.contains(&pid))
    };
    let lines = all.lines().skip(1).filter(is_one);
    Ok(std::iter::once(heading)
        .chain(lines)
        .map(|line| format!("{line}\n"))
        .collect())
}

fn own_table(pids: &[u32]) -> String {
    let head = ["UID", "PID", "PPID", "CMD"].map(str::to_owned);
    let row = |pid: &u32| {
        let (uid, parent, command) = process::describe(*pid)?;
        Some([
            uid.to_string(),
            pid.to_string(),
            parent.to_string(),
            command,
        ])
    };
    let rows = std::iter::once(head).chain(pids.iter().filter_map(row));
    table(&rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_are_shown() {
        let all = "USER   PID CMD\nroot     1 init 7\nann     17 sh\nann      7 ls\n";
        let shown = those_of(all, &[7, 17]).unwrap();
        assert_eq!(shown, "USER   PID CMD\nann     17 sh\nann      7 ls\n");
        assert!(those_of("USER CMD\nroot x\n", &[7]).is_err());
    }
}
