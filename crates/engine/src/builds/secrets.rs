//! What commands see and no layer keeps: files in memory, for as long as a step runs.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes a secret into a file of its own, which only the step's container sees.
///
/// # Errors
/// `Io`.
pub(super) fn write(
    directory: &Path,
    number: usize,
    bytes: &[u8],
    mode: u32,
    owner: (u32, u32),
) -> Result<PathBuf> {
    let path = directory.join(format!("secret-{number}"));
    let failed = |error| Error::io("write", &path, error);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1)).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    Ok(path)
}
