//! How many files the daemon may have open: as many as it is allowed to have,
//! since each container and each client takes a few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is enough for any machine; a table for more would cost memory.
const ENOUGH: u64 = 1 << 20;

/// Raises the soft limit. Returns what it was: containers are started with that.
pub(super) fn raise() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: Some(found.maximum.unwrap_or(ENOUGH).min(ENOUGH)),
        maximum: found.maximum,
    };
    if found.current < raised.current
        && let Err(errno) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%errno, "the limit of open files stays what it is");
    }
    found.current
}
