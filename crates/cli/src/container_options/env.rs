//! `--env`, `--env-file`, `--label`, `--label-file`: pairs from flags and files.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::Read;

const MAX_FILE: u64 = 16 << 20;

/// The lines of a file of pairs, without comments and blank lines.
fn lines(path: &str) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {path}: no such file or directory"),
        _ => format!("open {path}: {error}"),
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(fail)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split('=').next().unwrap_or("");
        if key.is_empty() {
            return Err(format!(
                "invalid env file ({path}): no variable name on line '{line}'"
            ));
        }
        if key.contains(char::is_whitespace) {
            return Err(format!(
                "invalid env file ({path}): variable '{key}' contains whitespaces"
            ));
        }
        out.push(line.to_owned());
    }
    Ok(out)
}

/// The environment: files first, then flags; a bare name takes this process's
/// value, and is left out when there is none.
pub(crate) fn environment(files: &[String], flags: &[String]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut add = |entry: &str, keep_bare: bool| {
        if entry.contains('=') {
            out.push(entry.to_owned());
        } else if let Ok(value) = std::env::var(entry) {
            out.push(format!("{entry}={value}"));
        } else if keep_bare {
            out.push(entry.to_owned());
        }
    };
    for file in files {
        for line in lines(file)? {
            add(&line, false);
        }
    }
    for flag in flags {
        add(flag, true);
    }
    Ok(last_of_each(out))
}

/// Of several values of one variable the last is kept, in the first's place.
fn last_of_each(entries: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(entries.len());
    for entry in entries {
        let same = |other: &&mut String| other.split('=').next() == entry.split('=').next();
        match out.iter_mut().find(same) {
            Some(slot) => *slot = entry,
            None => out.push(entry),
        }
    }
    out
}

/// Labels: files first, then flags.
pub(super) fn labels(
    files: &[String],
    flags: &[String],
) -> Result<BTreeMap<String, String>, String> {
    let mut all = Vec::new();
    for file in files {
        // A line without a value is no label, in Docker as here.
        all.extend(lines(file)?.into_iter().filter(|line| line.contains('=')));
    }
    all.extend_from_slice(flags);
    Ok(pairs(&all))
}

/// `key=value` pairs; a bare key has the empty value.
pub(crate) fn pairs(entries: &[String]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|entry| {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            (key.to_owned(), value.to_owned())
        })
        .into_map()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        std::fs::write(&path, "# no\n\n  A=1\nGANTRY_TEST_UNSET_NAME\nB=2 # kept\n").unwrap();
        let file = path.to_string_lossy().into_owned();
        let found = environment(
            &[file],
            &["A=3".to_owned(), "GANTRY_TEST_UNSET_NAME".to_owned()],
        );
        assert_eq!(
            found.unwrap(),
            ["A=3", "B=2 # kept", "GANTRY_TEST_UNSET_NAME"]
        );
        assert!(environment(&["/nonexistent".to_owned()], &[]).is_err());
    }
}
