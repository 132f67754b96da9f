//! What a restart policy says: whether an ended container is started again, and
//! after how long. Times and counts come in as values.

use std::time::Duration;

use gantry_api::RestartPolicy;

use crate::error::{Error, Result};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(1);
/// After a run as long as this, the next end is no failure in a row.
const WELL: Duration = Duration::from_secs(10);

/// How long a container that ends again and again waits: twice as long each time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// The wait after a run of this length.
    pub(crate) fn next(&mut self, ran: Duration) -> Duration {
        let doubled = match ran < WELL {
            true => self.0.saturating_mul(2),
            false => Duration::ZERO,
        };
        self.0 = doubled.clamp(FIRST, LONGEST);
        self.0
    }
}

/// Whether a container that ended with `exit_code` is to be started again.
/// `restarts` is how often it has been since a user started it.
pub(crate) fn wants_start(
    policy: &RestartPolicy,
    exit_code: i32,
    restarts: i64,
    manually_stopped: bool,
) -> bool {
    let most = policy.maximum_retry_count;
    match policy.name.as_str() {
        "always" => true,
        "unless-stopped" => !manually_stopped,
        "on-failure" => exit_code != 0 && (most == 0 || restarts < most),
        _ => false,
    }
}

/// Checks a policy.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn check(policy: &RestartPolicy, auto_remove: bool) -> Result<()> {
    let invalid = |message: String| Err(Error::Invalid(message));
    let most = policy.maximum_retry_count;
    if auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return invalid("can't create 'AutoRemove' container with restart policy".to_owned());
    }
    match policy.name.as_str() {
        "no" | "always" | "unless-stopped" if most != 0 => {
            let negative = if most < 0 {
                " and cannot be negative"
            } else {
                ""
            };
            invalid(format!(
                "invalid restart policy: maximum retry count can only be used with \
                 'on-failure'{negative}"
            ))
        }
        "on-failure" if most < 0 => {
            invalid("invalid restart policy: maximum retry count cannot be negative".to_owned())
        }
        "" | "no" | "always" | "unless-stopped" | "on-failure" => Ok(()),
        other => invalid(format!(
            "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', \
             'on-failure', or 'unless-stopped'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, most: i64) -> RestartPolicy {
        RestartPolicy {
            name: name.to_owned(),
            maximum_retry_count: most,
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_good_run() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u128> = (0..12).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(
            waits,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000
            ]
        );
        assert_eq!(backoff.next(WELL), FIRST);
    }

    #[test]
    fn policies_decide() {
        for (name, most, exit_code, restarts, stopped, again) in [
            ("no", 0, 1, 0, false, false),
            ("", 0, 1, 0, false, false),
            ("always", 0, 0, 9, true, true),
            ("unless-stopped", 0, 0, 9, false, true),
            ("unless-stopped", 0, 0, 9, true, false),
            ("on-failure", 0, 0, 0, false, false),
            ("on-failure", 0, 1, 99, false, true),
            ("on-failure", 2, 1, 1, false, true),
            ("on-failure", 2, 1, 2, false, false),
        ] {
            let decided = wants_start(&policy(name, most), exit_code, restarts, stopped);
            assert_eq!(decided, again, "{name} {most} {exit_code} {restarts}");
        }
    }

    #[test]
    fn wrong_policies_are_refused_in_dockers_words() {
        let only = "invalid restart policy: maximum retry count can only be used with 'on-failure'";
        let both = format!("{only} and cannot be negative");
        let rm = "can't create 'AutoRemove' container with restart policy";
        for (name, most, auto_remove, message) in [
            ("always", 3, false, only),
            ("no", 3, false, only),
            ("unless-stopped", -3, false, both.as_str()),
            (
                "on-failure",
                -3,
                false,
                "invalid restart policy: maximum retry count cannot be negative",
            ),
            (
                "foo",
                3,
                false,
                "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', \
                 'on-failure', or 'unless-stopped'",
            ),
            ("always", 0, true, rm),
            ("foo", 0, true, rm),
        ] {
            let error = check(&policy(name, most), auto_remove).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        check(&policy("no", 0), true).unwrap();
        // Clients before 25 sent that.
        check(&policy("", 3), false).unwrap();
        check(&policy("on-failure", 3), false).unwrap();
    }
}
