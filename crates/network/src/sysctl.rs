//! Kernel settings of the calling thread's network namespace, below `/proc/sys/net`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Whether a setting such as `ipv4/ip_forward` has this value.
pub(crate) fn is(name: &str, value: &str) -> Result<bool, Error> {
    let path = path(name);
    let current = fs::read_to_string(&path).map_err(|source| failed("read", &path, source))?;
    Ok(current.trim() == value)
}

/// Writes a setting.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    let path = path(name);
    write(&path, value).map_err(|source| failed("write", &path, source))
}

/// Writes a setting that the container can do without.
pub(crate) fn set_if_possible(name: &str, value: &str) {
    if let Err(error) = write(&path(name), value) {
        tracing::debug!(name, value, %error, "kernel setting not changed");
    }
}

/// Never creates or truncates: these are not files.
fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(name)
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::System {
        operation,
        object: path.display().to_string(),
        source,
    }
}
