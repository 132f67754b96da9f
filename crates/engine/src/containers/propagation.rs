//! Bind mounts that pass later mounts on: their source must lie on a mount of
//! the host that does so, else the option would mean nothing.

use std::path::{Path, PathBuf};

use super::mounts::MountPoint;
use crate::error::{Error, Result};

/// Checks the bind mounts of a container.
///
/// # Errors
/// `Start`, in Docker's words.
pub(super) fn check(mounts: &[MountPoint]) -> Result<()> {
    let kind = |mount: &MountPoint| mount.propagation().trim_start_matches('r').to_owned();
    let mut passing = mounts
        .iter()
        .filter(|mount| matches!(kind(mount).as_str(), "shared" | "slave"))
        .peekable();
    if passing.peek().is_none() {
        return Ok(());
    }
    let path = "/proc/self/mountinfo";
    let table = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    passing.try_for_each(|mount| check_one(mount.source(), &kind(mount), &table))
}

fn check_one(source: &str, kind: &str, table: &str) -> Result<()> {
    let resolved = std::fs::canonicalize(source).unwrap_or_else(|_| PathBuf::from(source));
    let (point, options) = mount_of(&resolved, table)
        .ok_or_else(|| Error::spec(format!("could not find source mount of {source}")))?;
    let (works, wanted) = match kind {
        "shared" => (options.contains("shared:"), "shared"),
        _ => (
            options.contains("shared:") || options.contains("master:"),
            "shared or slave",
        ),
    };
    match works {
        true => Ok(()),
        false => Err(Error::spec(format!(
            "path {source} is mounted on {} but it is not a {wanted} mount",
            point.display()
        ))),
    }
}

/// The mount that a path lies on, and its optional fields.
fn mount_of(path: &Path, table: &str) -> Option<(PathBuf, String)> {
    let lines = table.lines().filter_map(|line| {
        let (before, _) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let point = PathBuf::from(unescape(fields.nth(4)?));
        // Past the options of the mount itself.
        let optional: Vec<&str> = fields.skip(1).collect();
        path.starts_with(&point)
            .then(|| (point, optional.join(" ")))
    });
    // The last of those on one place is the one on top.
    lines.max_by_key(|(point, _)| point.components().count())
}

/// The kernel writes white space and backslashes as `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::mounts::{Bind, Mounted};
    use super::*;

    const TABLE: &str = "27 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n\
        30 27 0:5 / /a\\040b rw shared:7 - tmpfs tmpfs rw\n\
        31 27 0:6 / /slave rw master:3 propagate_from:2 - tmpfs tmpfs rw\n";

    #[test]
    fn the_nearest_mount_decides() {
        check_one("/a b/c", "shared", TABLE).unwrap();
        check_one("/a b", "slave", TABLE).unwrap();
        check_one("/slave/x", "slave", TABLE).unwrap();
        for (source, kind, message) in [
            (
                "/slave/x",
                "shared",
                "path /slave/x is mounted on /slave but it is not a shared mount",
            ),
            (
                "/slavery",
                "slave",
                "path /slavery is mounted on / but it is not a shared or slave mount",
            ),
        ] {
            let error = check_one(source, kind, TABLE).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn private_ones_are_not_looked_at() {
        let private = MountPoint {
            target: "/x".to_owned(),
            read_only: false,
            mode: String::new(),
            what: Mounted::Bind(Bind {
                source: "/nonexistent".to_owned(),
                propagation: "rprivate".to_owned(),
                ..Bind::default()
            }),
        };
        check(&[private]).unwrap();
    }
}
