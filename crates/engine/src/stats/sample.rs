//! One measurement of one container.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::fs;

use gantry_api::InterfaceStats;
use gantry_cgroup::{Cgroup, Stats};

use super::machine::Processors;
use crate::clock::now_nano;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Its cgroup, below each hierarchy's root.
    pub(crate) cgroup: String,
    /// A process of it, through which its interfaces are seen.
    pub(crate) pid: i32,
}

/// A measurement.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Nanoseconds since the epoch.
    pub(crate) read: i64,
    pub(super) group: Stats,
    pub(super) processors: Processors,
    pub(super) networks: BTreeMap<String, InterfaceStats>,
}

/// Measures. `None` when its cgroup is gone.
pub(crate) fn take(subject: &Subject) -> Option<Sample> {
    let group = Cgroup::open(&subject.cgroup).ok()?;
    Some(Sample {
        group: group.stats(),
        processors: Processors::now(),
        networks: networks(subject.pid),
        read: now_nano(),
    })
}

/// The interfaces in the network namespace of a process, as long as that is not
/// the engine's own. They are read from outside: nobody has to go in.
fn networks(pid: i32) -> BTreeMap<String, InterfaceStats> {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    let theirs = namespace(&pid.to_string());
    if theirs.is_none() || theirs == namespace("self") {
        return BTreeMap::new();
    }
    parse(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

/// `eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop …`
fn parse(text: &str) -> BTreeMap<String, InterfaceStats> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let name = name.trim();
        let fields: Vec<u64> = numbers
            .split_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        let at = |index: usize| fields.get(index).copied();
        let counters = InterfaceStats {
            rx_bytes: at(0)?,
            rx_packets: at(1)?,
            rx_errors: at(2)?,
            rx_dropped: at(3)?,
            tx_bytes: at(8)?,
            tx_packets: at(9)?,
            tx_errors: at(10)?,
            tx_dropped: at(11)?,
        };
        (name != "lo").then(|| (name.to_owned(), counters))
    };
    text.lines().filter_map(line).into_map()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0\n  \
            eth0:     736       8    1    2    0     0          0         0      126       3    4    5    0     0       0          0\n";
        let found = parse(text);
        assert_eq!(found.len(), 1);
        let expected = InterfaceStats {
            rx_bytes: 736,
            rx_packets: 8,
            rx_errors: 1,
            rx_dropped: 2,
            tx_bytes: 126,
            tx_packets: 3,
            tx_errors: 4,
            tx_dropped: 5,
        };
        assert_eq!(found["eth0"], expected);
    }

    #[test]
    fn the_engines_own_interfaces_are_nobodys() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(networks(own).is_empty());
    }
}
