//! `gantry system check --data-root`: without a daemon, under the lock that a daemon
//! would take.

use std::path::Path;

use gantry_api::{CheckFinding, CheckSummary};

use crate::daemon::lock_data_root;

/// Checks a data root.
///
/// # Errors
/// When a daemon has it open, there is none, or it cannot be checked at all.
pub(crate) fn check(
    data_root: &Path,
    repair: bool,
    quick: bool,
    tell: &mut dyn FnMut(CheckFinding),
) -> Result<CheckSummary, String> {
    if !data_root.join("metadata.db").is_file() {
        return Err(format!("{}: there is no data root", data_root.display()));
    }
    let _lock = lock_data_root(data_root)?;
    gantry_engine::check_at_rest(data_root, repair, quick, tell).map_err(|error| error.to_string())
}
