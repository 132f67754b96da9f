//! Profiles as engines keep them: OCI's document plus conditions on the
//! capabilities, the architecture and the kernel. Resolved here.

use gantry_oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use gantry_types::ErrorKind;
use serde::Deserialize;

use crate::capability::CapabilityMask;

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It is not JSON of the right shape.
    #[error("decoding seccomp profile failed: {0}")]
    Syntax(String),
    /// Two ways to say a thing are used at once.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// It cannot be compiled.
    #[error("{0}")]
    Compile(String),
}

impl ProfileError {
    /// The user's profile is at fault.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidArgument
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchEntry>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    syscalls: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchEntry {
    architecture: Arch,
    #[serde(rename = "subArchitectures")]
    sub: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<Option<LinuxSeccompArg>>>,
    includes: Option<When>,
    excludes: Option<When>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct When {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Go's name of this architecture, as profiles use it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

const NATIVE: Arch = if cfg!(target_arch = "aarch64") {
    Arch::Aarch64
} else {
    Arch::X86_64
};

/// Reads a profile and resolves its conditions for a process with these
/// (bounding) capabilities on this machine. Plain OCI documents are profiles too.
pub fn from_profile(
    json: &str,
    capabilities: CapabilityMask,
) -> Result<LinuxSeccomp, ProfileError> {
    let profile: Profile =
        serde_json::from_str(json).map_err(|e| ProfileError::Syntax(e.to_string()))?;
    let some = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if some(&profile.architectures) && profile.arch_map.as_ref().is_some_and(|m| !m.is_empty()) {
        return Err(ProfileError::Ambiguous(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
        ));
    }
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let architectures = architectures(&profile);
    let mut rules = Vec::new();
    for entry in profile.syscalls.unwrap_or_default() {
        if applies(&entry, capabilities, &kernel) {
            rules.push(rule(entry)?);
        }
    }
    Ok(LinuxSeccomp {
        default_action: profile.default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags,
        // Nobody would hand the listener over: such a profile does not compile.
        listener_path: None,
        listener_metadata: None,
        syscalls: rules,
    })
}

fn architectures(profile: &Profile) -> Vec<Arch> {
    if let Some(listed) = &profile.architectures {
        return listed.clone();
    }
    let entries = profile.arch_map.iter().flatten();
    let mine = entries.filter(|entry| entry.architecture == NATIVE);
    mine.flat_map(|entry| {
        let sub = entry.sub.iter().flatten().copied();
        std::iter::once(entry.architecture).chain(sub)
    })
    .collect()
}

fn applies(entry: &Entry, capabilities: CapabilityMask, kernel: &str) -> bool {
    let here = |arches: &Vec<String>| arches.iter().any(|arch| arch == ARCHITECTURE);
    let new_enough = |version: &String| at_least(kernel, version);
    let none = When::default();
    let (out, only) = (
        entry.excludes.as_ref().unwrap_or(&none),
        entry.includes.as_ref().unwrap_or(&none),
    );
    let caps = |when: &When| when.caps.clone().unwrap_or_default();
    let excluded = out.arches.as_ref().is_some_and(here)
        || caps(out).iter().any(|cap| capabilities.has_name(cap))
        || out.min_kernel.as_ref().is_some_and(new_enough);
    let listed = only.arches.as_ref().filter(|arches| !arches.is_empty());
    !excluded
        && listed.is_none_or(here)
        && caps(only).iter().all(|cap| capabilities.has_name(cap))
        && only.min_kernel.as_ref().is_none_or(new_enough)
}

fn rule(entry: Entry) -> Result<LinuxSyscall, ProfileError> {
    let names = match (entry.name.filter(|n| !n.is_empty()), entry.names) {
        (Some(_), Some(names)) if !names.is_empty() => {
            return Err(ProfileError::Ambiguous(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
            ));
        }
        (Some(name), _) => vec![name],
        (None, names) => names.unwrap_or_default(),
    };
    Ok(LinuxSyscall {
        names,
        action: entry.action,
        errno_ret: entry.errno_ret,
        args: entry.args.into_iter().flatten().flatten().collect(),
    })
}

/// Whether kernel release `release` ("6.1.0-13-amd64") is at least `version` ("4.8").
fn at_least(release: &str, version: &str) -> bool {
    let two = |text: &str| {
        let mut parts = text
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap_or(0));
        (parts.next().unwrap_or(0u32), parts.next().unwrap_or(0u32))
    };
    two(release) >= two(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_compare_by_number() {
        assert!(at_least("6.18.44-x", "4.8"));
        assert!(at_least("4.10.0", "4.8"));
        assert!(!at_least("4.7", "4.8"));
    }

    #[test]
    fn conditions_are_resolved() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"name":"a","action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["b"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]},"args":null},
            {"names":["c"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},
            {"names":["d"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}}]}"#;
        let names = |caps| -> Vec<String> {
            let spec = from_profile(text, caps).unwrap();
            spec.syscalls
                .into_iter()
                .flat_map(|rule| rule.names)
                .collect()
        };
        assert_eq!(names(CapabilityMask::EMPTY), ["b"]);
        assert_eq!(names(CapabilityMask(1 << 21)), ["a"]);
    }

    #[test]
    fn bad_profiles_are_refused() {
        let none = CapabilityMask::EMPTY;
        assert!(matches!(
            from_profile("{", none),
            Err(ProfileError::Syntax(_))
        ));
        let both = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#;
        assert!(matches!(
            from_profile(both, none),
            Err(ProfileError::Ambiguous(_))
        ));
    }
}
