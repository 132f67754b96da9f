//! Execs of the engine's own: run to their end, with no client but the engine,
//! which keeps what they print.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_api::Demultiplexer;

use super::super::container::Container;
use super::super::create::random;
use super::super::{Inner, attach, spec};
use super::create::{command_line, hex};
use super::instance::{Exec, Plan};
use super::start::ExecStart;
use super::{attributes, failure};
use crate::error::Result;

/// How long the end of a killed process may take to be told.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of an exec.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// `None` when its time was over: then it was killed.
    pub(crate) exit_code: Option<i32>,
    /// Both streams, as they came.
    pub(crate) output: Vec<u8>,
    /// Whether there was more of it.
    pub(crate) truncated: bool,
}

impl Exec {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Inner {
    /// Notes a command that the engine wants to run as the container's own user.
    pub(in super::super) fn prepare_exec(
        &self,
        container: &Container,
        command: &[String],
    ) -> Result<Arc<Exec>> {
        let config = &container.record().config;
        let links = container.state().links.unwrap_or_default();
        let (program, args) = match command.split_first() {
            Some((program, args)) => (program.clone(), args.to_vec()),
            None => Default::default(),
        };
        let plan = Plan {
            program,
            args,
            env: spec::exec_environment(config, &links.env, false, None),
            working_dir: config.working_dir.clone(),
            user: config.user.clone(),
            stdout: true,
            stderr: true,
            ..Plan::default()
        };
        let number = attach::next_number();
        let id = container.id().clone();
        self.execs.add(hex(&random::<32>()?), id, number, plan)
    }

    /// Runs it, for so long at most, and keeps so many bytes of its output.
    ///
    /// # Errors
    /// When it cannot be started, or its output not be read.
    pub(in super::super) fn collect_exec(
        &self,
        container: &Arc<Container>,
        exec: &Exec,
        limit: Duration,
        most: usize,
    ) -> Result<Collected> {
        let line = command_line(exec);
        for action in ["exec_create", "exec_start"] {
            self.publish(container, &format!("{action}: {line}"), &attributes(exec));
        }
        exec.mark_starting()?;
        let socket = match self.run_exec(container, exec, ExecStart::default()) {
            Ok(socket) => socket,
            Err(error) => {
                exec.mark_ended(failure::exit_code(&error));
                return Err(error);
            }
        };
        // From here on its own time runs, not that of its start.
        let deadline = Instant::now().checked_add(limit);
        let mut collected = Collected::default();
        let complete = socket.is_none_or(|socket| collected.read(socket, deadline, most));
        let left = deadline.map_or(PATIENCE, |end| {
            end.saturating_duration_since(Instant::now())
        });
        if !complete || !exec.wait_ended(left) {
            self.kill_exec(container, exec);
            return Ok(collected);
        }
        collected.exit_code = Some(exec.progress().exit_code);
        Ok(collected)
    }

    fn kill_exec(&self, container: &Container, exec: &Exec) {
        let killed = container
            .link()
            .and_then(|link| Ok(link.signal_exec(exec.id(), libc::SIGKILL)?));
        // One that has just ended cannot be killed, and that is told as well.
        if !exec.wait_ended(PATIENCE) {
            let id = container.id();
            tracing::warn!(%id, exec = exec.id(), ?killed, "a process outlives its time");
        }
    }

    /// Forgets it.
    pub(in super::super) fn drop_exec(&self, exec: &Exec) {
        self.execs.remove(exec.id());
    }
}

impl Collected {
    /// Reads the streams to their end; false when the time is over before.
    fn read(&mut self, mut socket: UnixStream, deadline: Option<Instant>, most: usize) -> bool {
        let mut demultiplexer = Demultiplexer::new();
        let mut buffer = [0; 8 << 10];
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || socket.set_read_timeout(left).is_err() {
                return false;
            }
            let mut piece = match socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => &buffer[..length],
                // Time is looked at above.
                Err(error) if is_pause(&error) => continue,
                // A shim that is gone says no more than one that is done.
                Err(_) => return true,
            };
            while let Ok(Some((_, payload))) = demultiplexer.next(&mut piece) {
                self.keep(payload, most);
            }
        }
    }

    fn keep(&mut self, payload: &[u8], most: usize) {
        let room = most - self.output.len();
        self.truncated |= payload.len() > room;
        self.output.extend(payload.iter().take(room));
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
