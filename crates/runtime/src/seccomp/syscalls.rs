//! System call numbers by name.
//!
//! The tables are text files of `name number` lines, sorted by name (as
//! libseccomp 2.6 and Linux 6.x number them).

use std::collections::HashMap;

use gantry_oci::Arch;

/// The bit that marks an x32 call in `seccomp_data.nr`.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The table of an architecture, read.
pub(super) struct Table {
    numbers: HashMap<&'static str, u32>,
}

impl Table {
    /// The table of `arch`, if there is one.
    pub(super) fn of(arch: Arch) -> Option<Self> {
        let (text, bit) = match arch {
            Arch::X86_64 => (include_str!("tables/x86_64.txt"), 0),
            Arch::X86 => (include_str!("tables/x86.txt"), 0),
            Arch::X32 => (include_str!("tables/x32.txt"), X32_BIT),
            Arch::Aarch64 => (include_str!("tables/aarch64.txt"), 0),
            Arch::Arm => (include_str!("tables/arm.txt"), 0),
            _ => return None,
        };
        let entry = |line: &'static str| {
            let (name, number) = line.split_once(' ')?;
            Some((name, number.parse::<u32>().ok()? | bit))
        };
        let numbers = text.lines().filter_map(entry).collect();
        Some(Self { numbers })
    }

    /// The number of a call, if this architecture has it.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }
}

/// Calls that 32-bit x86 can also make through another one, whose first argument
/// tells which: name and number for `socketcall`, then for `ipc`.
const SOCKET_CALLS: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// See [`SOCKET_CALLS`].
const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The other way to make a call on this architecture: the call through which it
/// goes, and its number there. A rule for the one must hold for the other.
pub(super) fn multiplexed(arch: Arch, name: &str) -> Option<(&'static str, u64)> {
    if arch != Arch::X86 {
        return None;
    }
    let find = |list: &[(&str, u64)]| list.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let socket = find(&SOCKET_CALLS).map(|number| ("socketcall", number));
    socket.or_else(|| find(&IPC_CALLS).map(|number| ("ipc", number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree_with_libc() {
        let table = Table::of(Arch::X86_64).unwrap();
        for (name, number) in [
            ("read", libc::SYS_read),
            ("clone3", libc::SYS_clone3),
            ("openat2", libc::SYS_openat2),
            ("mount_setattr", libc::SYS_mount_setattr),
            ("mknodat", libc::SYS_mknodat),
        ] {
            assert_eq!(table.number(name).map(i64::from), Some(number), "{name}");
        }
        assert_eq!(table.number("socketcall"), None);
        let x86 = Table::of(Arch::X86).unwrap();
        assert_eq!(x86.number("socketcall"), Some(102));
        let x32 = Table::of(Arch::X32).unwrap();
        assert_eq!(x32.number("read"), Some(X32_BIT));
        assert!(Table::of(Arch::Mips).is_none());
    }
}
