//! Which capabilities a container has: the default ones, all of them for a
//! privileged one, and what was added and dropped.

use gantry_api::HostConfig;
use gantry_runtime::{CapabilityMask, defaults};

use crate::error::{Error, Result};

/// The word for all of them.
const ALL: &str = "ALL";

/// Checks what is to be added and dropped.
///
/// # Errors
/// `Invalid` for what is no capability.
pub(crate) fn check(host: &HostConfig) -> Result<()> {
    for (field, list) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        for word in list.iter().flatten() {
            if !is_all(word) && CapabilityMask::number(word).is_none() {
                let upper = word.to_ascii_uppercase();
                let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
                return Err(Error::Invalid(format!(
                    "invalid {field}: unknown capability: \"CAP_{name}\""
                )));
            }
        }
    }
    Ok(())
}

/// The capabilities of a container's process.
pub(crate) fn of(host: &HostConfig) -> CapabilityMask {
    chosen(host, defaults::all_capabilities())
}

fn chosen(host: &HostConfig, all: CapabilityMask) -> CapabilityMask {
    if host.privileged {
        return all;
    }
    let (add, add_all) = named(&host.cap_add);
    let (drop, drop_all) = named(&host.cap_drop);
    CapabilityMask(match (add_all, drop_all) {
        (true, _) => all.0 & !drop,
        (false, true) => add,
        (false, false) => (defaults::capabilities().0 | add) & !drop,
    })
}

/// The listed capabilities, and whether `ALL` is among the words.
fn named(list: &Option<Vec<String>>) -> (u64, bool) {
    let words = list.iter().flatten();
    let numbers = words.clone().filter_map(|w| CapabilityMask::number(w));
    let mask = numbers.fold(0, |mask, number| mask | 1 << number);
    (mask, words.clone().any(|word| is_all(word)))
}

fn is_all(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper) == ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn added_and_dropped() {
        for (json, count, has, lacks) in [
            ("{}", 14, "CHOWN", "SYS_ADMIN"),
            (
                r#"{"CapAdd":["cap_sys_admin"]}"#,
                15,
                "SYS_ADMIN",
                "SYS_TIME",
            ),
            (r#"{"CapDrop":["chown"]}"#, 13, "KILL", "CHOWN"),
            (
                r#"{"CapDrop":["ALL"],"CapAdd":["KILL"]}"#,
                1,
                "KILL",
                "CHOWN",
            ),
            (
                r#"{"CapAdd":["ALL"],"CapDrop":["CHOWN"]}"#,
                40,
                "BPF",
                "CHOWN",
            ),
            (r#"{"Privileged":true,"CapDrop":["ALL"]}"#, 41, "BPF", "ALL"),
        ] {
            let mask = chosen(&host(json), CapabilityMask((1 << 41) - 1));
            assert_eq!(mask.0.count_ones(), count, "{json}");
            assert!(mask.has_name(has) && !mask.has_name(lacks), "{json}");
        }
    }

    #[test]
    fn unknown_ones_are_refused() {
        let error = check(&host(r#"{"CapDrop":["cap_foo"]}"#)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid CapDrop: unknown capability: \"CAP_FOO\""
        );
        check(&host(r#"{"CapAdd":["all","chown"]}"#)).unwrap();
    }
}
