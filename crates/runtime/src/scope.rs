//! A start whose cgroup systemd makes: it wants a process to put there, so the
//! child is made first and waits until it has been moved.

use std::sync::{Mutex, PoisonError};

use gantry_cgroup::{Cgroup, Resources, Scope};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::error::{StartError, Step};
use crate::launch::{CgroupJoin, Launch, Launched};

/// Why such a start failed.
#[derive(Debug)]
pub enum ScopeError {
    /// systemd, or a limit.
    Cgroup(gantry_cgroup::Error),
    /// The process.
    Start(StartError),
}

/// Makes the process, and its scope with these limits.
///
/// # Errors
/// As [`Launch::spawn`], and those of [`Scope::start`]; nothing is left then.
pub fn spawn_in_scope(
    launch: &Launch<'_>,
    scope: &Scope,
    resources: &Resources,
) -> Result<(Launched, Cgroup), ScopeError> {
    let made: Mutex<Option<gantry_cgroup::Result<Cgroup>>> = Mutex::new(None);
    let attach = |pid: Pid| {
        let started = scope.start(pid.as_raw_nonzero().get().unsigned_abs(), resources);
        let answer = match &started {
            Ok(_) => Ok(()),
            Err(error) => Err(error.errno().map_or(Errno::IO, Errno::from_raw_os_error)),
        };
        *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        answer
    };
    let launch = Launch {
        cgroup: CgroupJoin::Attach(&attach),
        ..*launch
    };
    let spawned = launch.spawn();
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (spawned, made) {
        (Ok(launched), Some(Ok(group))) => Ok((launched, group)),
        (_, Some(Err(error))) => Err(ScopeError::Cgroup(error)),
        (Err(error), made) => {
            if let Some(Ok(group)) = made {
                // The first error is the one to report.
                let _ = group.remove();
            }
            Err(ScopeError::Start(error))
        }
        (Ok(launched), None) => {
            crate::launch::end(launched.pidfd);
            let what = "the process did not wait for its cgroup";
            Err(ScopeError::Start(StartError::other(Step::Cgroup, "", what)))
        }
    }
}
