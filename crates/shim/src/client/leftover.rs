//! What an earlier daemon, or a killed shim, has left behind.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_cgroup::Cgroup;
use gantry_logs::Timestamp;
use gantry_types::ContainerId;

use super::connection::{ShimConnection, Subscribed, reply_on};
use super::error::{Error, Result};
use super::reactor::Reactor;
use crate::files::{Directory, EXIT, STATE};
use crate::protocol::{ExitRecord, FrameError, Reply, Request, Status, send};

/// How long a shim that was found may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a container that was started earlier.
#[derive(Debug)]
pub enum Found {
    /// It runs, or ends just now (then its exit follows as an event).
    Running(ShimConnection, Status),
    /// It is over. Its directory stays until [`remove_directory`].
    Exited(ExitRecord),
}

/// The containers that have a directory below `exec_root`.
pub fn scan(exec_root: &Path) -> Result<Vec<ContainerId>> {
    let entries = match fs::read_dir(exec_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read", exec_root, source)),
    };
    let ids = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse().ok()
    });
    Ok(ids.collect())
}

/// Removes the directory of a container that is over.
pub fn remove_directory(exec_root: &Path, id: &ContainerId) -> Result<()> {
    let directory = Directory::of(exec_root, id);
    let removed = directory.remove();
    removed.map_err(|source| Error::io("remove", &directory.path, source))
}

/// Connects to a container's shim, or finds out how it ended. A container whose
/// shim was killed is killed too, since nobody keeps its output or waits for it.
pub(super) fn find(exec_root: &Path, id: &ContainerId, reactor: &Arc<Reactor>) -> Result<Found> {
    let directory = Directory::of(exec_root, id);
    if !directory.path.is_dir() {
        return Err(Error::Gone(id.to_string()));
    }
    if let Some(record) = directory.read::<ExitRecord>(EXIT) {
        return Ok(Found::Exited(record));
    }
    let Some((socket, status)) = subscribe(&directory)? else {
        return Ok(Found::Exited(bury(&directory, id)));
    };
    let subscribed = Subscribed {
        socket,
        child: None,
    };
    let reactor = reactor.clone();
    let connection = ShimConnection::new(id.clone(), directory, status.pid, reactor, subscribed);
    Ok(Found::Running(connection, status))
}

/// Subscribes to a shim's events; `None` when there is no shim. One that is
/// still starting its container answers when that is done.
pub(super) fn subscribe(directory: &Directory) -> Result<Option<(UnixStream, Status)>> {
    let operation = "reconnect";
    let failed = |source| Error::io("connect to", &directory.path, source);
    let socket = match directory.connect() {
        Ok(socket) => socket,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(source) => return Err(failed(source)),
    };
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let sent = send(&socket, &Request::Subscribe, &[], &[]).map_err(Error::connection(operation));
    match sent.and_then(|()| reply_on(&socket, operation)) {
        Ok(Reply::Status(status)) => Ok(Some((socket, status))),
        Ok(_) => Err(Error::Unexpected(operation)),
        Err(Error::Connection {
            source: FrameError::Closed,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends what a dead shim cannot end: kills the container, removes its cgroup,
/// and records its exit, unless the shim had done so before it died.
pub(super) fn bury(directory: &Directory, id: &ContainerId) -> ExitRecord {
    if let Some(record) = directory.read(EXIT) {
        return record;
    }
    let status: Option<Status> = directory.read(STATE);
    // Without its state (a full disk, a shim killed before it could write it)
    // the id is the name all the same.
    let cgroup = match status {
        Some(Status {
            scope: Some(scope), ..
        }) => Cgroup::open_scope(*scope).ok(),
        Some(status) => Cgroup::open(&status.cgroup).ok(),
        None => Cgroup::find(id.as_str()).ok().flatten(),
    };
    // What cannot be removed now is seen again as a populated cgroup.
    let mut oom_killed = false;
    if let Some(cgroup) = cgroup {
        oom_killed = cgroup.oom_kills() > 0;
        let _ = cgroup.kill_all();
        let _ = cgroup.remove();
    }
    let record = ExitRecord {
        exit_code: 137,
        signal: Some(9),
        oom_killed,
        finished_at: Timestamp::now().rfc3339_nano(),
    };
    // If this fails the record is made again next time.
    let _ = directory.write(EXIT, &record);
    record
}
