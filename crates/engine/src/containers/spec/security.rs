//! `--security-opt`: what a container is confined by.

use gantry_api::HostConfig;

use crate::error::{Error, Result};

/// Which system calls a container may make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SeccompChoice {
    /// What the engine is configured to.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of the built-in profile, whatever the engine is configured to.
    Builtin,
    /// Those of a profile in Docker's JSON.
    Profile(String),
}

/// The parsed security options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) seccomp: SeccompChoice,
    /// The AppArmor profile, if one is named.
    pub(crate) apparmor: Option<String>,
    /// Whether it may write to its cgroups.
    pub(crate) writable_cgroups: bool,
}

/// Reads the security options.
///
/// # Errors
/// `Invalid` for unknown ones.
pub(crate) fn parse(host: &HostConfig) -> Result<Security> {
    let mut security = Security::default();
    for option in host.security_opt.iter().flatten() {
        if option == "no-new-privileges" {
            security.no_new_privileges = Some(true);
            continue;
        }
        let invalid = |position: u8| {
            Err(Error::Invalid(format!(
                "invalid --security-opt {position}: \"{option}\""
            )))
        };
        // `key=value` is how it is written, `key:value` how it once was.
        let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            return invalid(1);
        };
        match (key, value) {
            ("writable-cgroups", text) => match go_bool(text) {
                Some(writable) => security.writable_cgroups = writable,
                None => return invalid(2),
            },
            ("no-new-privileges", text) => match go_bool(text) {
                Some(wanted) => security.no_new_privileges = Some(wanted),
                None => return invalid(2),
            },
            ("seccomp", "unconfined") => security.seccomp = SeccompChoice::Unconfined,
            ("seccomp", "builtin") => security.seccomp = SeccompChoice::Builtin,
            ("seccomp", json) => security.seccomp = SeccompChoice::Profile(json.to_owned()),
            ("apparmor", profile) => security.apparmor = Some(profile.to_owned()),
            // Without SELinux a label means nothing.
            ("label", _) => {}
            _ => return invalid(2),
        }
    }
    Ok(security)
}

/// Reads a truth value as Go's `strconv.ParseBool` does.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(option: &str) -> Result<Security> {
        parse(&HostConfig {
            security_opt: Some(vec![option.to_owned()]),
            ..HostConfig::default()
        })
    }

    #[test]
    fn options_are_read() {
        let nnp = |option: &str| parsed(option).unwrap().no_new_privileges;
        assert_eq!(nnp("no-new-privileges"), Some(true));
        assert_eq!(nnp("no-new-privileges:true"), Some(true));
        assert_eq!(nnp("no-new-privileges=false"), Some(false));
        assert_eq!(nnp("label=disable"), None);
        let seccomp = |option: &str| parsed(option).unwrap().seccomp;
        assert_eq!(seccomp("seccomp=unconfined"), SeccompChoice::Unconfined);
        let profile = SeccompChoice::Profile("{}".to_owned());
        assert_eq!(seccomp("seccomp={}"), profile);
    }

    #[test]
    fn unknown_ones_are_refused_in_dockers_words() {
        for (option, message) in [
            ("foo", "invalid --security-opt 1: \"foo\""),
            ("foo=bar", "invalid --security-opt 2: \"foo=bar\""),
            (
                "no-new-privileges:maybe",
                "invalid --security-opt 2: \"no-new-privileges:maybe\"",
            ),
        ] {
            assert_eq!(parsed(option).unwrap_err().to_string(), message);
        }
    }
}
