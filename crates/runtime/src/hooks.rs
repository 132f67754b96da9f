//! Programs that the spec wants run at points of a container's life.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::{Hook, Spec};
use rustix::process::Pid;
use serde::Serialize;

use crate::error::{StartError, Step};

/// How often a hook with a timeout is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The OCI state document, as hooks get it on standard input.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookState {
    /// Version of the specification.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// `creating`, `created`, `running` or `stopped`.
    pub status: &'static str,
    /// The first process, 0 if there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// The bundle directory.
    pub bundle: PathBuf,
    /// The spec's annotations.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

impl HookState {
    /// The state of a container that is being created.
    pub fn creating(id: &str, spec: &Spec, bundle: &Path, pid: Pid) -> Self {
        Self {
            oci_version: spec.version().clone(),
            id: id.to_owned(),
            status: "creating",
            pid: pid.as_raw_nonzero().get(),
            bundle: bundle.to_path_buf(),
            annotations: spec.annotations().clone().unwrap_or_default(),
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: &'static str) -> Self {
        self.status = status;
        self
    }
}

/// Runs hooks one after another; the first failure ends it.
pub fn run_hooks(hooks: Option<&Vec<Hook>>, state: &HookState) -> Result<(), StartError> {
    for hook in hooks.into_iter().flatten() {
        run(hook, state)?;
    }
    Ok(())
}

/// The hooks of the runtime's own namespaces: `prestart`, `createRuntime`.
pub(crate) fn run_runtime_hooks(spec: &Spec, state: &HookState) -> Result<(), StartError> {
    let Some(hooks) = spec.hooks() else {
        return Ok(());
    };
    run_hooks(hooks.prestart().as_ref(), state)?;
    run_hooks(hooks.create_runtime().as_ref(), state)
}

fn run(hook: &Hook, state: &HookState) -> Result<(), StartError> {
    let path = hook.path();
    let fail = |text: String| StartError::other(Step::Hook, path.to_string_lossy(), text);
    let input = serde_json::to_vec(state).map_err(|e| fail(e.to_string()))?;
    let mut command = Command::new(path);
    if let Some((first, rest)) = hook.args().as_ref().and_then(|args| args.split_first()) {
        use std::os::unix::process::CommandExt;
        command.arg0(first).args(rest);
    }
    command.env_clear();
    let pairs = hook
        .env()
        .iter()
        .flatten()
        .filter_map(|e| e.split_once('='));
    command.envs(pairs);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|e| fail(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read what it is told.
        let _ = stdin.write_all(&input);
    }
    let timeout = hook
        .timeout()
        .and_then(|seconds| u64::try_from(seconds).ok());
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
