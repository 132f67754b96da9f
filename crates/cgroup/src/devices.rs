//! Device access: v1's `devices`, on v2 a BPF program.

use crate::device_program;
use crate::error::Result;
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::{DeviceKind, DeviceRule};

/// Applies the rules in order. On v2 a later call can only take away.
/// Where neither way exists rules are passed over only if they allow everything.
pub(crate) fn apply(group: &Cgroup, rules: &[DeviceRule]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    if let Some(dir) = group.v1_dir(Controller::Devices) {
        for same in rules.chunk_by(|a, b| a.allow == b.allow) {
            let allow = same.first().is_some_and(|rule| rule.allow);
            let file = if allow {
                "devices.allow"
            } else {
                "devices.deny"
            };
            dir.write_each(file, same.iter().map(v1_line))?;
        }
        return Ok(());
    }
    match group.dir_fd()? {
        Some(fd) => device_program::attach(&fd, rules),
        None if rules.iter().all(|rule| rule.allow) => Ok(()),
        None => Err(crate::Error::MissingController {
            controller: "devices",
            limit: "device access",
        }),
    }
}

/// `c 1:3 rwm`, or `a` for everything.
fn v1_line(rule: &DeviceRule) -> String {
    let kind = match rule.kind {
        DeviceKind::All => return "a".to_owned(),
        DeviceKind::Character => 'c',
        DeviceKind::Block => 'b',
    };
    let number = |n: Option<i64>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let access = rule.access;
    let letters = [(access.read, 'r'), (access.write, 'w'), (access.mknod, 'm')];
    let letters: String = letters
        .into_iter()
        .filter_map(|(on, letter)| on.then_some(letter))
        .collect();
    let (major, minor) = (number(rule.major), number(rule.minor));
    format!("{kind} {major}:{minor} {letters}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Access;

    #[test]
    fn rules_as_v1_writes_them() {
        let rule = DeviceRule {
            allow: true,
            kind: DeviceKind::Character,
            major: Some(136),
            minor: None,
            access: Access::ALL,
        };
        assert_eq!(v1_line(&rule), "c 136:* rwm");
        let all = DeviceRule {
            kind: DeviceKind::All,
            ..rule
        };
        assert_eq!(v1_line(&all), "a");
    }
}
