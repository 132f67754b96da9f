//! Capabilities as the kernel counts them.

use std::fmt;

/// A set of capabilities: bit `n` is capability number `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapabilityMask(pub u64);

/// All capabilities by number, without the prefix `CAP_`.
pub(crate) const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The number of `CAP_SYS_ADMIN`.
pub(crate) const SYS_ADMIN: u32 = 21;

impl CapabilityMask {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// The number of a capability by name, `CAP_` or not, in any case.
    pub fn number(name: &str) -> Option<u32> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let index = NAMES.iter().position(|known| *known == bare)?;
        u32::try_from(index).ok()
    }

    /// The set of these names; the first that is unknown is the error.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut mask = Self::EMPTY;
        for name in names {
            mask.0 |= 1 << Self::number(name).ok_or(name)?;
        }
        Ok(mask)
    }

    /// Whether capability `number` is in.
    pub fn has(self, number: u32) -> bool {
        number < 64 && self.0 & (1 << number) != 0
    }

    /// Whether the capability of this name is in.
    pub fn has_name(self, name: &str) -> bool {
        Self::number(name).is_some_and(|number| self.has(number))
    }

    /// The names, with `CAP_`, by number.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0u32..)
            .zip(NAMES)
            .filter(move |(number, _)| self.has(*number))
            .map(|(_, name)| format!("CAP_{name}"))
    }

    /// The set as the spec writes it.
    pub fn to_oci(self) -> Vec<String> {
        self.names().collect()
    }

    /// The set that the spec writes. Names that nobody knows are passed over: a
    /// newer specification may have more than this.
    pub fn from_oci(names: &[String]) -> Self {
        let numbers = names.iter().filter_map(|name| Self::number(name));
        Self(numbers.fold(0, |mask, number| mask | 1 << number))
    }
}

impl fmt::Display for CapabilityMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_of_the_spec_is_known() {
        let all = CapabilityMask((1 << NAMES.len()) - 1);
        let oci = all.to_oci();
        assert_eq!(oci.len(), NAMES.len());
        assert_eq!(CapabilityMask::from_oci(&oci), all);
    }

    #[test]
    fn names_are_read_in_any_case() {
        let mask = CapabilityMask::from_names(["CAP_SYS_ADMIN", "chown"]).unwrap();
        assert_eq!(mask.0, 1 << SYS_ADMIN | 1);
        assert_eq!(CapabilityMask::from_names(["CAP_NONE"]), Err("CAP_NONE"));
        assert_eq!(
            mask.names().collect::<Vec<_>>(),
            ["CAP_CHOWN", "CAP_SYS_ADMIN"]
        );
    }
}
