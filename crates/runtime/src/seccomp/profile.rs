//! Profiles as engines keep them: OCI's document plus conditions on the
//! capabilities, the architecture and the kernel. Resolved here.

use gantry_oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use gantry_types::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capability::CapabilityMask;

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It is not JSON of the right shape.
    #[error("Decoding seccomp profile failed: {0}")]
    Syntax(String),
    /// A word in it means nothing, or what it asks for cannot be had.
    #[error("{0}")]
    Rejected(String),
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
    #[serde(default)]
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchEntry>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<String>,
    syscalls: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchEntry {
    architecture: String,
    #[serde(rename = "subArchitectures")]
    sub: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    names: Option<Vec<String>>,
    #[serde(default)]
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Option<Argument>>>,
    includes: Option<When>,
    excludes: Option<When>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    value: u64,
    #[serde(default)]
    value_two: u64,
    #[serde(default)]
    op: String,
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
/// `None`: the profile says nothing at all.
pub fn from_profile(
    json: &str,
    capabilities: CapabilityMask,
) -> Result<Option<LinuxSeccomp>, ProfileError> {
    let profile: Profile =
        serde_json::from_str(json).map_err(|error| ProfileError::Syntax(syntax(json, &error)))?;
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
    let architectures = architectures(&profile)?;
    let mut rules = Vec::new();
    for entry in profile.syscalls.unwrap_or_default() {
        check_kernels(&entry)?;
        if applies(&entry, capabilities, &kernel) {
            rules.push(rule(entry)?);
        }
    }
    if profile.default_action.is_empty() && rules.is_empty() {
        return Ok(None);
    }
    let default_action = word(&profile.default_action, "action")?;
    refuse_notification(default_action, &rules, profile.listener_path.as_deref())?;
    Ok(Some(LinuxSeccomp {
        default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags,
        // Nobody would hand the listener over: such a profile is refused above.
        listener_path: None,
        listener_metadata: None,
        syscalls: rules,
    }))
}

/// Why the text is no profile: in Go's words what it is as a whole, else in ours.
fn syntax(json: &str, error: &serde_json::Error) -> String {
    let kind = match serde_json::from_str(json) {
        Ok(Value::Array(_)) => "array",
        Ok(Value::String(_)) => "string",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        _ => return error.to_string(),
    };
    format!("json: cannot unmarshal {kind} into Go value of type seccomp.Seccomp")
}

/// Nobody here decides about system calls while they wait.
fn refuse_notification(
    default: LinuxSeccompAction,
    rules: &[LinuxSyscall],
    listener: Option<&str>,
) -> Result<(), ProfileError> {
    let notify = LinuxSeccompAction::Notify;
    let text = match listener.unwrap_or_default() {
        _ if default == notify => "SCMP_ACT_NOTIFY cannot be used as default action",
        _ if rules.iter().all(|rule| rule.action != notify) => return Ok(()),
        "" => "seccomp listenerPath is not set",
        _ => "SCMP_ACT_NOTIFY is not supported",
    };
    Err(ProfileError::Rejected(format!(
        "unable to start container process: error during container init: {text}"
    )))
}

/// One of the words that the specification knows.
fn word<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, ProfileError> {
    let unknown = format!("string {text} is not a valid {what} for seccomp");
    serde_json::from_value(Value::from(text)).map_err(|_| ProfileError::Rejected(unknown))
}

fn architectures(profile: &Profile) -> Result<Vec<Arch>, ProfileError> {
    let arch = |text: &String| word(text, "arch");
    if let Some(listed) = &profile.architectures {
        return listed.iter().map(arch).collect();
    }
    let entries = profile.arch_map.iter().flatten();
    let mine = entries.filter(|entry| word(&entry.architecture, "arch") == Ok(NATIVE));
    let names = mine.flat_map(|entry| {
        let sub = entry.sub.iter().flatten();
        std::iter::once(&entry.architecture).chain(sub)
    });
    names.map(arch).collect()
}

/// Versions of kernels are two numbers.
fn check_kernels(entry: &Entry) -> Result<(), ProfileError> {
    let conditions = entry.includes.iter().chain(&entry.excludes);
    for version in conditions.filter_map(|when| when.min_kernel.as_ref()) {
        let numbers: Vec<_> = version.split('.').map(str::parse::<u32>).collect();
        if !matches!(numbers.as_slice(), [Ok(_), Ok(_)]) {
            return Err(ProfileError::Syntax(format!(
                "invalid kernel version: \"{version}\", expected \"<kernel>.<major>\""
            )));
        }
    }
    Ok(())
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
    let args = entry.args.into_iter().flatten().flatten();
    let args = args.map(|arg| {
        Ok(LinuxSeccompArg {
            index: arg.index,
            value: arg.value,
            value_two: arg.value_two,
            op: word(&arg.op, "operator")?,
        })
    });
    Ok(LinuxSyscall {
        names,
        action: word(&entry.action, "action")?,
        errno_ret: entry.errno_ret,
        args: args.collect::<Result<_, _>>()?,
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
            let spec = from_profile(text, caps).unwrap().unwrap();
            spec.syscalls
                .into_iter()
                .flat_map(|rule| rule.names)
                .collect()
        };
        assert_eq!(names(CapabilityMask::EMPTY), ["b"]);
        assert_eq!(names(CapabilityMask(1 << 21)), ["a"]);
    }

    #[test]
    fn words_that_mean_nothing_are_told() {
        let none = CapabilityMask::EMPTY;
        let error = |json| from_profile(json, none).unwrap_err().to_string();
        for (json, part) in [
            (
                r#"{"defaultAction":"SCMP_ACT_FOO"}"#,
                "string SCMP_ACT_FOO is not a valid action for seccomp",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x"]}"#,
                "string x is not a valid arch for seccomp",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
                "SCMP_ACT_NOTIFY cannot be used as default action",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_NOTIFY"}]}"#,
                "seccomp listenerPath is not set",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],
                "action":"SCMP_ACT_ERRNO","includes":{"minKernel":"4"}}]}"#,
                "invalid kernel version: \"4\", expected",
            ),
            ("[]", "json: cannot unmarshal array into Go value"),
        ] {
            assert!(error(json).contains(part), "{}", error(json));
        }
        assert_eq!(from_profile("{}", none), Ok(None));
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
