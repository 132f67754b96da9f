//! Programs that the spec wants run at points of a container's life.
//!
//! A hook reads the state from a file in memory and writes into two others: it
//! may leave processes behind that hold them without anybody waiting for those.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use gantry_oci::{Hook, Hooks, Spec, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::error::{StartError, Step};

/// How much of what a hook says is repeated.
const MAX_OUTPUT: u64 = 1024;

/// A point of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// While it is made, in the runtime's namespaces. Superseded by the next two.
    Prestart,
    /// While it is made, in the runtime's namespaces.
    CreateRuntime,
    /// While it is made, in the container's namespaces.
    CreateContainer,
    /// Before its program runs, in the container.
    StartContainer,
    /// After its program was started.
    Poststart,
    /// After it was deleted.
    Poststop,
}

impl HookPoint {
    /// As the specification calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The hooks of this point.
    pub fn of(self, hooks: &Hooks) -> &[Hook] {
        match self {
            Self::Prestart => &hooks.prestart,
            Self::CreateRuntime => &hooks.create_runtime,
            Self::CreateContainer => &hooks.create_container,
            Self::StartContainer => &hooks.start_container,
            Self::Poststart => &hooks.poststart,
            Self::Poststop => &hooks.poststop,
        }
    }
}

/// The state document of a container that is being made, as hooks get it on
/// standard input.
pub(crate) fn state(status: &str, id: &str, spec: &Spec, bundle: &Path, pid: Pid) -> State {
    State {
        oci_version: spec.version.clone(),
        id: id.to_owned(),
        status: status.to_owned(),
        pid: pid.as_raw_nonzero().get(),
        bundle: bundle.to_path_buf(),
        annotations: spec.annotations.clone(),
    }
}

/// Runs the hooks of a point one after another; the first failure ends it.
pub fn run_hooks(point: HookPoint, hooks: &Hooks, state: &State) -> Result<(), StartError> {
    run_with(point, hooks, state, None)
}

/// Runs all hooks of a point, whatever becomes of them; gives what failed.
pub fn run_all_hooks(point: HookPoint, hooks: &Hooks, state: &State) -> Vec<StartError> {
    let one = |(index, hook): (usize, &Hook)| run(hook, state, None).err().map(fail(point, index));
    point.of(hooks).iter().enumerate().filter_map(one).collect()
}

/// The hooks of the runtime's own namespaces: `prestart`, `createRuntime`.
pub(crate) fn run_runtime_hooks(spec: &Spec, state: &State) -> Result<(), StartError> {
    let Some(hooks) = &spec.hooks else {
        return Ok(());
    };
    run_hooks(HookPoint::Prestart, hooks, state)?;
    run_hooks(HookPoint::CreateRuntime, hooks, state)
}

/// The same as [`run_hooks`]; hooks without an environment get `environment`.
pub(crate) fn run_with(
    point: HookPoint,
    hooks: &Hooks,
    state: &State,
    environment: Option<&[String]>,
) -> Result<(), StartError> {
    for (index, hook) in point.of(hooks).iter().enumerate() {
        run(hook, state, environment).map_err(fail(point, index))?;
    }
    Ok(())
}

fn fail(point: HookPoint, index: usize) -> impl FnOnce(String) -> StartError {
    move |text| StartError::other(Step::Hook, format!("{} hook #{index}", point.name()), text)
}

fn run(hook: &Hook, state: &State, environment: Option<&[String]>) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| format!("{}: {error}", hook.path.display());
    let input = serde_json::to_vec(state).map_err(|e| words(&e))?;
    let mut command = Command::new(&hook.path);
    if let Some((first, rest)) = hook.args.split_first() {
        command.arg0(first).args(rest);
    }
    // Who gives none has the one of who runs it.
    let own = Some(hook.env.as_slice()).filter(|own| !own.is_empty());
    if let Some(variables) = own.or(environment) {
        command.env_clear();
        command.envs(variables.iter().filter_map(|e| e.split_once('=')));
    }
    let (mut out, mut err) = (memory()?, memory()?);
    let share = |file: &File| file.try_clone().map(Stdio::from).map_err(|e| words(&e));
    command.stdin(readable(&input)?);
    command.stdout(share(&out)?).stderr(share(&err)?);
    let mut child = command.spawn().map_err(|e| {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        let why = crate::error::errno_text(errno);
        format!("fork/exec {}: {why}", hook.path.display())
    })?;
    let timeout = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok());
    let status = wait(&mut child, timeout.map(Duration::from_secs))?;
    if status.success() {
        return Ok(());
    }
    let (out, err) = (said(&mut out), said(&mut err));
    Err(format!(
        "{}, stdout: {out}, stderr: {err}",
        words_of(status)
    ))
}

/// How a process ended, as Go says it.
fn words_of(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("signal: {signal}"),
        None => format!("exit status {}", status.code().unwrap_or(-1)),
    }
}

/// A file in memory.
fn memory() -> Result<File, String> {
    rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| format!("memfd_create: {errno}"))
}

/// A file in memory with this in it.
fn readable(bytes: &[u8]) -> Result<File, String> {
    let mut file = memory()?;
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|e| e.to_string())?;
    Ok(file)
}

fn said(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file
        .rewind()
        .and_then(|()| file.take(MAX_OUTPUT).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, timeout: Option<Duration>) -> Result<ExitStatus, String> {
    if let Some(timeout) = timeout
        && !ends_within(child, timeout)
    {
        let _ = child.kill();
        let _ = child.wait();
        let seconds = timeout.as_secs_f64();
        return Err(format!("hook ran past specified timeout of {seconds:.1}s"));
    }
    child.wait().map_err(|e| e.to_string())
}

/// Waits for the end of a child; whatever hinders the waiting counts as its end.
fn ends_within(child: &Child, timeout: Duration) -> bool {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid.map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
    let Some(Ok(pidfd)) = pidfd else {
        return true;
    };
    let limit = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(line: &str, timeout: Option<i64>) -> Hooks {
        let hook = Hook {
            path: "/bin/sh".into(),
            args: ["sh", "-c", line].map(str::to_owned).to_vec(),
            env: vec!["A=b".to_owned()],
            timeout,
        };
        Hooks {
            poststop: vec![hook],
            ..Hooks::default()
        }
    }

    #[test]
    fn failures_say_what_the_hook_said() {
        let hooks = hooks("echo $A; cat >&2; exit 3", None);
        let state = State {
            id: "x".to_owned(),
            ..State::default()
        };
        let error = run_hooks(HookPoint::Poststop, &hooks, &state).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error running poststop hook #0: exit status 3, stdout: b\n, stderr: \
             {\"ociVersion\":\"\",\"id\":\"x\",\"status\":\"\",\"bundle\":\"\"}"
        );
        assert_eq!(run_all_hooks(HookPoint::Poststop, &hooks, &state).len(), 1);
    }

    #[test]
    fn hooks_are_not_waited_for_longer_than_they_may() {
        // What it leaves behind holds its output open, and nobody waits for that.
        assert!(
            run_hooks(
                HookPoint::Poststop,
                &hooks("sleep 9 &", Some(8)),
                &State::default()
            )
            .is_ok()
        );
        let slow = hooks("exec sleep 60", Some(1));
        let error = run_hooks(HookPoint::Poststop, &slow, &State::default()).unwrap_err();
        assert!(
            error.detail.contains("past specified timeout of 1.0s"),
            "{error}"
        );
    }
}
