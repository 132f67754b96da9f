//! What `/proc` says about a process: whether it is still the one we know.

use std::fs;

/// A process, told from later ones of the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub start_time: u64,
    /// Ended, not yet reaped.
    pub zombie: bool,
}

/// Looks a process up; `None` if there is none.
pub(super) fn identify(pid: i32) -> Option<Identity> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, brackets and spaces too.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    Some(Identity {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// Owner, parent and command line of a process, for `ps`.
pub(super) fn describe(pid: u32) -> Option<(u32, u32, String)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |key: &str| -> Option<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    Some((number("Uid:")?, number("PPid:")?, words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive() {
        let me = std::process::id();
        let identity = identify(me as i32).unwrap();
        assert!(!identity.zombie && identity.start_time > 0);
        assert!(describe(me).unwrap().2.contains("gantry"));
        assert_eq!(identify(i32::MAX), None);
    }
}
