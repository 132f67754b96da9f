//! The pages of help, and commands whose names are nearly what was typed.

use crate::args::{command_help, flag_lines};
use crate::commands::{Command, GROUPS, commands};
use crate::plugins::Plugin;
use crate::settings::GLOBAL_FLAGS;

/// The commands that are used most, in the order they are shown.
const COMMON: [&str; 9] = [
    "run", "exec", "ps", "pull", "push", "images", "search", "version", "info",
];

/// The help of one command, as it was called.
pub(crate) fn command(program: &str, command: &Command, invoked: &str) -> String {
    let mut aliases = vec![format!("{program} {}", command.path)];
    let others = command.aliases.iter();
    aliases.extend(others.map(|alias| format!("{program} {alias}")));
    let flags: Vec<_> = command
        .flags
        .iter()
        .flat_map(|table| table.iter())
        .collect();
    let text = match command.detail {
        "" => command.summary.to_owned(),
        detail => format!("{}\n\n{detail}", command.summary),
    };
    let usage = command.usage.replace("\tdocker ", &format!("\t{program} "));
    command_help(program, invoked, &usage, &text, &aliases, &flags)
}

fn rows(out: &mut String, rows: &[(&str, &str)]) {
    for (name, summary) in rows {
        out.push_str(&format!("  {name:<11} {summary}\n"));
    }
}

/// The help of the program.
pub(crate) fn top(program: &str, plugins: &[Plugin]) -> String {
    let mut all: Vec<(&str, &str)> = commands()
        .filter(|command| !command.hidden)
        .filter_map(|command| {
            let words = std::iter::once(command.path).chain(command.aliases.iter().copied());
            let name = words.into_iter().find(|name| !name.contains(' '))?;
            Some((name, command.summary))
        })
        .collect();
    all.sort_unstable();
    let common: Vec<(&str, &str)> = COMMON
        .iter()
        .filter_map(|name| all.iter().find(|(other, _)| other == name).copied())
        .collect();
    all.retain(|(name, _)| !COMMON.contains(name));
    let groups: Vec<(&str, &str)> = GROUPS
        .iter()
        .copied()
        .filter(|(name, _)| !members(name).is_empty())
        .collect();
    let mut out =
        format!("Usage:  {program} [OPTIONS] COMMAND\n\nContainers, the way you know them\n");
    out.push_str("\nCommon Commands:\n");
    rows(&mut out, &common);
    out.push_str("\nManagement Commands:\n");
    let shown = plugins.iter().filter(|plugin| plugin.is_shown());
    let shown: Vec<(String, &str)> = shown
        .map(|plugin| (format!("{}*", plugin.name), plugin.summary()))
        .collect();
    let mut groups = groups;
    groups.extend(
        shown
            .iter()
            .map(|(name, summary)| (name.as_str(), *summary)),
    );
    groups.sort_unstable();
    rows(&mut out, &groups);
    out.push_str("\nCommands:\n");
    rows(&mut out, &all);
    out.push_str("\nOther programs in this one:\n");
    rows(
        &mut out,
        &[
            ("daemon", "The engine: serves the API on a socket"),
            (
                "registry",
                "A registry: serves images, and collects garbage",
            ),
            ("runtime", "The OCI runtime, with runc's command line"),
        ],
    );
    let faults = plugins
        .iter()
        .filter_map(|plugin| Some((plugin.name.as_str(), plugin.fault.as_deref()?)));
    let faults: Vec<(&str, &str)> = faults.collect();
    if !faults.is_empty() {
        out.push_str("\nInvalid Plugins:\n");
        rows(&mut out, &faults);
    }
    out.push_str("\nGlobal Options:\n");
    out.push_str(&flag_lines(&GLOBAL_FLAGS.iter().collect::<Vec<_>>()));
    out.push_str(&format!(
        "\nRun '{program} COMMAND --help' for more information on a command.\n"
    ));
    out
}

/// The commands of a group and what they do.
fn members(group: &str) -> Vec<(&'static str, &'static str)> {
    let prefix = format!("{group} ");
    let mut all: Vec<(&str, &str)> = commands()
        .filter(|command| !command.hidden)
        .filter_map(|command| Some((command.path.strip_prefix(&prefix)?, command.summary)))
        .collect();
    all.sort_unstable();
    all
}

/// The help of a group; `None` when none of its commands work yet.
pub(crate) fn group(program: &str, group: &str, summary: &str) -> Option<String> {
    let members = members(group);
    if members.is_empty() {
        return None;
    }
    let mut out = format!("Usage:  {program} {group} COMMAND\n\n{summary}\n\nCommands:\n");
    rows(&mut out, &members);
    out.push_str(&format!(
        "\nRun '{program} {group} COMMAND --help' for more information on a command.\n"
    ));
    Some(out)
}

/// How many letters have to be added, removed, changed or swapped with their
/// neighbour to make `b` of `a`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in table.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in table[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (table[i - 1][j] + 1)
                .min(table[i][j - 1] + 1)
                .min(table[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = least;
        }
    }
    table[a.len()][b.len()]
}

/// Commands with nearly the name of `path`, which is none.
pub(crate) fn near_commands(path: &str) -> Vec<String> {
    let (group, word) = match path.split_once(' ') {
        Some((group, word)) => (format!("{group} "), word),
        None => (String::new(), path),
    };
    let mut near: Vec<(usize, String)> = commands()
        .filter(|command| !command.hidden)
        .flat_map(|command| std::iter::once(command.path).chain(command.aliases.iter().copied()))
        .filter_map(|name| name.strip_prefix(group.as_str()))
        .filter(|name| !name.contains(' '))
        .chain(
            GROUPS
                .iter()
                .map(|(name, _)| *name)
                .filter(|_| group.is_empty()),
        )
        .map(|name| {
            let far = match name.starts_with(word) && word.len() > 1 {
                true => 1,
                false => distance(word, name),
            };
            (far, format!("{group}{name}"))
        })
        .filter(|(far, _)| *far <= if word.len() > 5 { 2 } else { 1 })
        .collect();
    near.sort();
    near.dedup();
    near.truncate(5);
    near.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        assert_eq!(distance("rnu", "run"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(near_commands("rnu"), ["run"]);
        assert_eq!(near_commands("container lss"), ["container ls"]);
        assert!(near_commands("frobnicate").is_empty());
    }

    #[test]
    fn every_command_is_in_some_help() {
        let top = top("gantry", &[]);
        for name in COMMON {
            assert!(top.contains(&format!("\n  {name} ")), "{name}");
        }
        let system = group("gantry", "system", "x").unwrap();
        assert!(system.contains("  df ") && !system.contains("dial-stdio"));
        assert_eq!(group("gantry", "swarm", "x"), None);
    }
}
