//! Starting a daemon for a command that found none: this same program, away
//! from the terminal, which ends by itself when nobody needs it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::{DEFAULT_EXEC_ROOT, DEFAULT_SOCKET};

/// How long such a daemon stays without requests and running containers.
const IDLE_EXIT: &str = "5m";

/// Starts a daemon that will listen on `socket`, and answers where it writes
/// what it has to say. It is not waited for.
///
/// # Errors
/// When it cannot be started; the text says why.
pub(crate) fn start_daemon(socket: &Path) -> Result<Option<PathBuf>, String> {
    let root = Path::new(DEFAULT_EXEC_ROOT);
    let log = root.join("daemon.log");
    let failed = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(|error| failed(root, error))?;
    let output = open_log(&log).map_err(|error| failed(&log, error))?;
    let errors = output.try_clone().map_err(|error| failed(&log, error))?;
    let program = Path::new("/proc/self/exe");
    let mut daemon = Command::new(program);
    daemon
        .arg0("gantry")
        .args(["daemon", "--detach", "--idle-exit", IDLE_EXIT])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    if socket != Path::new(DEFAULT_SOCKET) {
        daemon.arg(format!("--host=unix://{}", socket.display()));
    }
    daemon.spawn().map_err(|error| failed(program, error))?;
    Ok(Some(log))
}

/// Appended to, since a daemon that is just ending may still write to it; it is
/// gone with the next boot.
fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}
