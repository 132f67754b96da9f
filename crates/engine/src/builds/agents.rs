//! The user's ssh agent, as a command sees it: a socket that is there while the step runs.
//! Who answers at its other end, the client's protocol says.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};

/// How often a step that has ended is noticed.
const TICK: Duration = Duration::from_millis(50);
/// The most conversations of a step at a time.
const MAX_CONVERSATIONS: usize = 64;

/// The agents of a client.
pub trait Agents: Send + Sync {
    /// Whether there is one of that name.
    ///
    /// # Errors
    /// What the user is told when there is none.
    fn check(&self, id: &str) -> std::result::Result<(), String>;

    /// Carries one conversation of a command with the agent, until either has ended it.
    fn converse(&self, id: &str, command: UnixStream);
}

/// A socket that a step sees. All conversations end when this is dropped.
pub(super) struct Listening {
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Listening {
    /// Makes the socket in a directory of the step's own; where it is.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn begin(
        agents: &Arc<dyn Agents>,
        id: &str,
        directory: &Path,
        number: usize,
        (mode, owner): (u32, (u32, u32)),
    ) -> Result<(Self, PathBuf)> {
        let name = format!("agent-{number}");
        let path = directory.join(&name);
        let failed = |error| Error::io("listen", &path, error);
        // The address of a socket is short, the path of a data root need not be.
        let opened = File::open(directory).map_err(failed)?;
        let address = format!("/proc/self/fd/{}/{name}", opened.as_raw_fd());
        let listener = UnixListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (agents, id, stopped) = (Arc::clone(agents), id.to_owned(), Arc::clone(&stop));
        let accepting = std::thread::Builder::new()
            .name("ssh-agent".to_owned())
            .spawn(move || accept(&listener, &agents, &id, &stopped))
            .map_err(failed)?;
        let listening = Self {
            stop,
            accepting: Some(accepting),
        };
        Ok((listening, path))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(accepting) = self.accepting.take()
            && accepting.join().is_err()
        {
            tracing::warn!("a step's ssh agent has panicked");
        }
    }
}

/// Conversations that go on, each by what ends it.
type Open = Mutex<Vec<(u64, UnixStream)>>;

fn accept(listener: &UnixListener, agents: &Arc<dyn Agents>, id: &str, stop: &AtomicBool) {
    let open: Open = Mutex::default();
    let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let accepted = match lock().len() < MAX_CONVERSATIONS {
                true => listener.accept().ok(),
                false => None,
            };
            let Some((command, _)) = accepted else {
                std::thread::sleep(TICK);
                continue;
            };
            let ready = command
                .set_nonblocking(false)
                .and_then(|()| command.try_clone());
            let Ok(other) = ready else { continue };
            number += 1;
            let own = number;
            lock().push((own, other));
            let lock = &lock;
            scope.spawn(move || {
                agents.converse(id, command);
                lock().retain(|(number, _)| *number != own);
            });
        }
        for (_, conversation) in lock().iter() {
            // It may have ended by itself.
            drop(conversation.shutdown(std::net::Shutdown::Both));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    struct Echo;

    impl Agents for Echo {
        fn check(&self, _: &str) -> std::result::Result<(), String> {
            Ok(())
        }

        fn converse(&self, id: &str, mut command: UnixStream) {
            let mut buffer = [0; 16];
            while let Ok(count @ 1..) = command.read(&mut buffer) {
                let said = [id.as_bytes(), &buffer[..count]].concat();
                command.write_all(&said).unwrap();
            }
        }
    }

    #[test]
    fn conversations_are_carried_and_end_with_the_step() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let agents: Arc<dyn Agents> = Arc::new(Echo);
        let made = Listening::begin(&agents, "id", &deep, 0, (0o640, (0, 0)));
        let (listening, path) = made.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let file = File::open(&deep).unwrap();
        let short = format!("/proc/self/fd/{}/agent-0", file.as_raw_fd());
        let mut one = UnixStream::connect(&short).unwrap();
        let mut other = UnixStream::connect(&short).unwrap();
        for stream in [&mut one, &mut other] {
            stream.write_all(b"?").unwrap();
            let mut answer = [0; 3];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"id?");
        }
        drop(listening);
        assert_eq!(one.read(&mut [0]).unwrap_or(0), 0);
        assert!(UnixStream::connect(&short).is_err());
    }
}
