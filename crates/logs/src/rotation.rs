//! File names of a rotated log: `path` is the newest, `path.1` the one before.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the `age`-th file; 0 is the newest.
pub(crate) fn name(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    PathBuf::from(name)
}

/// Moves every file one further, from the oldest on, and so makes place for a
/// new `path`. With `max_file` 1 the old one is removed: whoever reads it keeps
/// it open. A missing file in the row is no error.
pub(crate) fn shift(path: &Path, max_file: u32) -> io::Result<()> {
    let ignore_missing = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if max_file <= 1 {
        return ignore_missing(fs::remove_file(path));
    }
    for age in (0..max_file - 1).rev() {
        ignore_missing(fs::rename(name(path, age), name(path, age + 1)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_move_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for round in 0..4 {
            fs::write(&path, round.to_string()).unwrap();
            shift(&path, 3).unwrap();
        }
        assert!(!path.exists());
        let read = |age| fs::read_to_string(name(&path, age)).unwrap();
        assert_eq!((read(1), read(2)), ("3".to_owned(), "2".to_owned()));
        assert!(!name(&path, 3).exists());
    }
}
