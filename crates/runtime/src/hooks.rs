//! Programs that the spec wants run at points of a container's life.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantry_oci::{Hook, Spec, State};
use rustix::process::Pid;

use crate::error::{StartError, Step};

/// How often a hook with a timeout is looked at.
const POLL: Duration = Duration::from_millis(10);

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

/// Runs hooks one after another; the first failure ends it.
pub fn run_hooks(hooks: &[Hook], state: &State) -> Result<(), StartError> {
    for hook in hooks {
        run(hook, state)?;
    }
    Ok(())
}

/// The hooks of the runtime's own namespaces: `prestart`, `createRuntime`.
pub(crate) fn run_runtime_hooks(spec: &Spec, state: &State) -> Result<(), StartError> {
    let Some(hooks) = &spec.hooks else {
        return Ok(());
    };
    run_hooks(&hooks.prestart, state)?;
    run_hooks(&hooks.create_runtime, state)
}

fn run(hook: &Hook, state: &State) -> Result<(), StartError> {
    let path = &hook.path;
    let fail = |text: String| StartError::other(Step::Hook, path.to_string_lossy(), text);
    let input = serde_json::to_vec(state).map_err(|e| fail(e.to_string()))?;
    let mut command = Command::new(path);
    if let Some((first, rest)) = hook.args.split_first() {
        use std::os::unix::process::CommandExt;
        command.arg0(first).args(rest);
    }
    command.env_clear();
    let pairs = hook.env.iter().filter_map(|e| e.split_once('='));
    command.envs(pairs);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|e| fail(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read what it is told.
        let _ = stdin.write_all(&input);
    }
    let timeout = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok());
    let status = wait(&mut child, timeout.map(Duration::from_secs)).map_err(fail)?;
    if status.success() {
        return Ok(());
    }
    Err(fail(format!("hook failed: {status}")))
}

fn wait(child: &mut Child, timeout: Option<Duration>) -> Result<std::process::ExitStatus, String> {
    let Some(timeout) = timeout else {
        return child.wait().map_err(|e| e.to_string());
    };
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!(
                "hook ran past its timeout of {}s",
                timeout.as_secs()
            ));
        }
        std::thread::sleep(POLL);
    }
}
