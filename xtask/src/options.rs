//! The table of options in `docs/options.md`, held against the flags of our client
//! and against the tests that it names.

use std::collections::BTreeSet;
use std::path::Path;

use crate::run::Failure;

const TABLE: &str = "docs/options.md";
const FLAGS: &str = "crates/cli/src/container_options/flags.rs";
const TESTS: &str = "tests/e2e";

/// Every breach of what the table promises.
pub fn breaches(root: &Path) -> Result<Vec<String>, Failure> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path))
            .map_err(|error| Failure::new(format!("{path}: {error}")))
    };
    let (table, flags) = (read(TABLE)?, read(FLAGS)?);
    let mut breaches = Vec::new();
    let mut told = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| `-")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [options, .., test] = cells.as_slice() else {
            breaches.push(format!("{TABLE}: not a row: {line}"));
            continue;
        };
        let names: Vec<&str> = options
            .split(['`', ',', ' '])
            .filter_map(|word| word.strip_prefix("--"))
            .collect();
        for test in test.split(", ").filter(|test| !shows(root, test, &names)) {
            breaches.push(format!("{TABLE}: {options}: there is no test {test} of it"));
        }
        told.extend(names);
    }
    for name in flag_names(&flags).filter(|name| !told.contains(name)) {
        breaches.push(format!("{TABLE}: --{name} is missing"));
    }
    Ok(breaches)
}

/// The first text in each `flag(…)`.
fn flag_names(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("flag(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

/// Whether a test is there: a transcript that uses one of the options (in either
/// form), or a function of that name.
fn shows(root: &Path, test: &str, names: &[&str]) -> bool {
    let tests = root.join(TESTS);
    let Some((file, function)) = test.rsplit_once("::") else {
        let path = tests.join("transcripts").join(format!("{test}.txt"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let commands: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(['$', '>']))
            .collect();
        let used = |name: &str| commands.iter().any(|line| uses(line, name));
        return names.iter().any(|name| used(name));
    };
    let (file, wanted) = (file.replace("::", "/"), format!("fn {function}("));
    [format!("{file}.rs"), format!("{file}/mod.rs")]
        .iter()
        .filter_map(|name| std::fs::read_to_string(tests.join(name)).ok())
        .any(|text| text.contains(&wanted))
}

/// Whether a command line has the option `--name`, or its short form.
fn uses(line: &str, name: &str) -> bool {
    let long = format!("--{name}");
    let short = SHORT.iter().find(|(_, long)| *long == name);
    let mut words = line.split([' ', '=', '\'', '"']);
    words.any(|word| word == long || short.is_some_and(|(letter, _)| is_short(word, *letter)))
}

/// `-i` or `-it`.
fn is_short(word: &str, letter: char) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    letters.len() < 4 && !letters.starts_with('-') && letters.contains(letter)
}

const SHORT: [(char, &str); 14] = [
    ('a', "attach"),
    ('c', "cpu-shares"),
    ('d', "detach"),
    ('e', "env"),
    ('h', "hostname"),
    ('i', "interactive"),
    ('l', "label"),
    ('m', "memory"),
    ('P', "publish-all"),
    ('p', "publish"),
    ('t', "tty"),
    ('u', "user"),
    ('v', "volume"),
    ('w', "workdir"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_commands() {
        for (line, name, found) in [
            ("$ docker run --cpus 1 x", "cpus", true),
            ("$ docker run --cpus=1 x", "cpus", true),
            ("$ for o in '--cpus 1'; do", "cpus", true),
            ("$ docker run --cpus 1 x", "cpu", false),
            ("$ docker run -it x", "tty", true),
            ("$ docker run --tmpfs x", "tty", false),
        ] {
            assert_eq!(uses(line, name), found, "{line}");
        }
    }

    #[test]
    fn flags_are_read_from_the_source() {
        let source = "flag(\"env\", Kind::Env),\n    flag(\n        \"env-file\",\n";
        assert_eq!(flag_names(source).collect::<Vec<_>>(), ["env", "env-file"]);
    }
}
