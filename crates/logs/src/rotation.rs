//! File names of a rotated log: `path` is the newest, `path.1` the one before.
//! Rotated files may be compressed: `path.1.gz`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the `age`-th file; 0 is the newest.
pub(crate) fn name(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    with_suffix(path, &format!(".{age}"))
}

/// The name of the `age`-th file when it is compressed.
pub(crate) fn packed_name(path: &Path, age: u32) -> PathBuf {
    with_suffix(path, &format!(".{age}.gz"))
}

/// The name of the file that is just being compressed.
pub(crate) fn unfinished_name(path: &Path) -> PathBuf {
    with_suffix(path, ".gz.tmp")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Moves every file one further, from the oldest on, and so makes place for a
/// new `path`. With `max_file` 1 the old one is removed: whoever reads it keeps
/// it open. A missing file in the row is no error.
pub(crate) fn shift(path: &Path, max_file: u32) -> io::Result<()> {
    if max_file <= 1 {
        return ignore_missing(fs::remove_file(path));
    }
    // Both forms of the oldest: the next one may have the other form.
    let oldest = max_file - 1;
    ignore_missing(fs::remove_file(name(path, oldest)))?;
    ignore_missing(fs::remove_file(packed_name(path, oldest)))?;
    for age in (0..oldest).rev() {
        ignore_missing(fs::rename(name(path, age), name(path, age + 1)))?;
        if age > 0 {
            let (from, to) = (packed_name(path, age), packed_name(path, age + 1));
            ignore_missing(fs::rename(from, to))?;
        }
    }
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
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

    #[test]
    fn compressed_ones_move_along() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for (file, text) in [
            (path.clone(), "new"),
            (packed_name(&path, 1), "old"),
            (packed_name(&path, 2), "oldest"),
        ] {
            fs::write(file, text).unwrap();
        }
        shift(&path, 3).unwrap();
        assert_eq!(fs::read_to_string(name(&path, 1)).unwrap(), "new");
        assert_eq!(fs::read_to_string(packed_name(&path, 2)).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
