//! `--tmpfs target:options`: which options there are.

use gantry_api::HostConfig;

use crate::error::{Error, Result};

/// What a tmpfs has unless the options say otherwise.
const DEFAULT: [&str; 3] = ["noexec", "nosuid", "nodev"];

const FLAGS: [&str; 26] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "private",
    "relatime",
    "ro",
    "rprivate",
    "rslave",
    "rw",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "remount",
];
const VALUES: [&str; 7] = [
    "gid",
    "mode",
    "mpol",
    "nr_blocks",
    "nr_inodes",
    "size",
    "uid",
];

/// Checks the options of all of them.
///
/// # Errors
/// `Invalid` for the first that does not exist.
pub(super) fn check(host: &HostConfig) -> Result<()> {
    for (_, options) in host.tmpfs.iter().flatten() {
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (key, known) = match option.split_once('=') {
                Some((key, _)) => (key, VALUES.contains(&key)),
                None => (option, FLAGS.contains(&option)),
            };
            if !known {
                return Err(Error::Invalid(format!("invalid tmpfs option \"{key}\"")));
            }
        }
    }
    Ok(())
}

/// The default options, less those that the given ones contradict, and the given.
pub(crate) fn options(given: &str) -> Vec<String> {
    let given: Vec<&str> = given
        .split(',')
        .filter(|option| !option.is_empty())
        .collect();
    let contradicted = |flag: &&str| given.iter().any(|g| flag.strip_prefix("no") == Some(g));
    let mut options: Vec<String> = DEFAULT
        .into_iter()
        .filter(|flag| !contradicted(flag))
        .map(str::to_owned)
        .collect();
    options.extend(given.iter().map(|&option| option.to_owned()));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_override_the_defaults() {
        assert_eq!(options(""), DEFAULT);
        assert_eq!(
            options("exec,size=1m"),
            ["nosuid", "nodev", "exec", "size=1m"]
        );
    }

    #[test]
    fn unknown_options_are_refused() {
        let host: HostConfig = serde_json::from_str(r#"{"Tmpfs":{"/t":"size=1m,foo"}}"#).unwrap();
        let error = check(&host).unwrap_err().to_string();
        assert_eq!(error, "invalid tmpfs option \"foo\"");
    }
}
