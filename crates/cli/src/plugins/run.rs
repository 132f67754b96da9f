//! Running a plug-in in the place of a command, with everything that was typed.
//!
//! A plug-in is told of this program's end, and of signals where no terminal
//! passes them on, by a socket: it connects, and the connection closes. The
//! third signal kills it.

use std::io::IsTerminal;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Plugin, candidate, find};
use crate::error::Error;
use crate::random_id::random_id;
use crate::settings::Settings;

/// Tells plug-ins by which program they were called.
const CALLER: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";
/// Names the socket that ends with this program.
const SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";
/// So many signals end a plug-in that does not end by itself.
const PATIENCE: usize = 3;

/// The environment of plug-ins.
pub(super) fn caller() -> (&'static str, String) {
    let program = std::env::args_os().next().unwrap_or_default();
    (CALLER, program.to_string_lossy().into_owned())
}

/// The plug-in for the command `name`, when there is one that works.
fn working(settings: &Settings, name: &str) -> Option<Plugin> {
    find(settings, name).filter(|plugin| plugin.fault.is_none())
}

/// Whether there is a plug-in for the command `name`.
pub(crate) fn works(settings: &Settings, name: &str) -> bool {
    working(settings, name).is_some()
}

/// Runs the plug-in `name` with all `args` to its exit code; `None` when there
/// is none that works.
pub(crate) async fn run(
    settings: &Settings,
    name: &str,
    args: &[String],
) -> Option<Result<i32, Error>> {
    let plugin = working(settings, name)?;
    Some(supervise(&plugin.path, args).await)
}

async fn supervise(path: &Path, args: &[String]) -> Result<i32, Error> {
    let failed =
        |error: std::io::Error| Error::message(format!("fork/exec {}: {error}", path.display()));
    let (key, value) = caller();
    let mut command = Command::new(path);
    command.args(args).env(key, value);
    let mut held = Held::open();
    if let Some(held) = &held {
        command.env(SOCKET, format!("@{}", held.name));
    }
    let [mut interrupts, mut terminations] = [
        signal(SignalKind::interrupt()).map_err(failed)?,
        signal(SignalKind::terminate()).map_err(failed)?,
    ];
    let child = command.spawn().map_err(failed)?;
    let pid = rustix::process::Pid::from_child(&child);
    let mut ended = ended(child);
    let mut signals = 0;
    loop {
        let by_terminal = tokio::select! {
            status = &mut ended => return match status {
                Ok(status) => Ok(status.map_err(failed)?.code().unwrap_or(255)),
                Err(_) => Err(Error::message("the plug-in is lost")),
            },
            // On a terminal the plug-in gets this one, too.
            Some(()) = interrupts.recv() => std::io::stdout().is_terminal(),
            Some(()) = terminations.recv() => false,
            () = Held::accept(&mut held) => continue,
        };
        if by_terminal {
            continue;
        }
        held = None;
        signals += 1;
        if signals == PATIENCE {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _ = (&mut ended).await;
            return Err(Error::message("got 3 SIGTERM/SIGINTs, forcefully exiting"));
        }
    }
}

/// Waits for a child on a thread of its own.
fn ended(mut child: Child) -> oneshot::Receiver<std::io::Result<std::process::ExitStatus>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    receiver
}

/// The socket, and who is connected to it.
struct Held {
    name: String,
    listener: tokio::net::UnixListener,
    connections: Vec<tokio::net::UnixStream>,
}

impl Held {
    /// A socket without a file, so that none is left.
    fn open() -> Option<Self> {
        let name = format!("docker_cli_{}", random_id().ok()?);
        let address = SocketAddr::from_abstract_name(&name).ok()?;
        let listener = UnixListener::bind_addr(&address).ok()?;
        listener.set_nonblocking(true).ok()?;
        let listener = tokio::net::UnixListener::from_std(listener).ok()?;
        let connections = Vec::new();
        Some(Self {
            name,
            listener,
            connections,
        })
    }

    /// Holds one more connection; without a socket it never comes.
    async fn accept(held: &mut Option<Self>) {
        let Some(held) = held else {
            return std::future::pending().await;
        };
        match held.listener.accept().await {
            Ok((stream, _)) => held.connections.push(stream),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Lets the plug-in `name` print what may follow `words`, the last of which is
/// at the cursor; `false` when there is no such plug-in.
pub(crate) fn complete(
    settings: &Settings,
    with_descriptions: bool,
    name: &str,
    words: &[String],
) -> bool {
    let Some(plugin) = working(settings, name) else {
        return false;
    };
    let request = match with_descriptions {
        true => "__complete",
        false => "__completeNoDesc",
    };
    let (key, value) = caller();
    let mut command = Command::new(&plugin.path);
    command.args([request, name]).args(words).env(key, value);
    let status = command.stdin(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a plug-in's hook for what it has to say.
pub(super) fn hook(settings: &Settings, name: &str, question: &str) -> Option<Vec<u8>> {
    let plugin = working(settings, name)?;
    let args = [name, "docker-cli-plugin-hooks", question];
    candidate::call(&plugin.path, &args, &[caller()]).ok()
}
