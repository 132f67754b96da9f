//! Creating: the request is checked against the container and noted; nothing
//! runs yet.

use std::path::Path;

use gantry_api::{ExecCreate, ExecCreated};
use gantry_runtime::UserRequest;
use gantry_sys::RootDir;

use super::super::container::Container;
use super::super::create::random;
use super::super::{attach, detach, spec};
use super::instance::{Exec, Plan};
use super::{Containers, attributes, check_active, failure};
use crate::error::{Error, Result};

/// The largest file of users or groups that is read.
const MAX_FILE: u64 = 4 << 20;

impl Containers {
    /// Notes what is to be run in a container.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotRunning`; `Conflict` when it is paused; `Invalid`
    /// without a command, or for a user whom the container does not know.
    pub fn exec_create(&self, idref: &str, request: ExecCreate) -> Result<ExecCreated> {
        let inner = &self.inner;
        let mut command = request.cmd.into_iter().flatten();
        let program = command
            .next()
            .ok_or_else(|| Error::Invalid("No exec command specified".to_owned()))?;
        let container = inner.find(idref)?;
        container.wait_started();
        check_active(&container, idref)?;
        let detach_keys = match request.detach_keys.as_str() {
            "" => Vec::new(),
            keys => detach::parse(Some(keys)).map_err(|_| Error::InvalidEscapeKeys(keys.into()))?,
        };
        let config = &container.record().config;
        let links = container.state().links.unwrap_or_default();
        let or_else = |given: String, own: &str| match given.is_empty() {
            true => own.to_owned(),
            false => given,
        };
        let side = |sides: &[u32], at: usize| {
            u16::try_from(sides.get(at).copied().unwrap_or(0)).unwrap_or(u16::MAX)
        };
        let plan = Plan {
            program,
            args: command.collect(),
            env: spec::exec_environment(config, &links.env, request.tty, request.env.as_deref()),
            working_dir: or_else(request.working_dir, &config.working_dir),
            user: or_else(request.user, &config.user),
            privileged: request.privileged,
            tty: request.tty,
            console_size: request
                .console_size
                .map(|sides| [side(&sides, 0), side(&sides, 1)]),
            stdin: request.attach_stdin,
            stdout: request.attach_stdout,
            stderr: request.attach_stderr,
            detach_keys,
        };
        check_user(&container, &plan.user)?;
        let id = hex(&random::<32>()?);
        let number = attach::next_number();
        let exec = inner.execs.add(id, container.id().clone(), number, plan)?;
        let action = format!("exec_create: {}", command_line(&exec));
        inner.publish(&container, &action, &attributes(&exec));
        // Its end may have come in between, which takes such execs away.
        if !container.state().running() {
            inner.execs.remove(&exec.id);
            return Err(Error::NotRunning(container.id().to_string()));
        }
        Ok(ExecCreated {
            id: exec.id.clone(),
        })
    }
}

/// As events show it.
pub(super) fn command_line(exec: &Exec) -> String {
    format!("{} {}", exec.plan.program, exec.plan.args.join(" "))
}

/// Bytes as an id is written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks the user up in the files of the container as they are now. Whoever it
/// is will be found again, by the runtime, when the exec starts.
fn check_user(container: &Container, user: &str) -> Result<()> {
    if user.is_empty() {
        return Ok(());
    }
    let root = format!("/proc/{}/root", container.state().pid);
    let Ok(root) = RootDir::open(Path::new(&root)) else {
        return Err(Error::NotRunning(container.id().to_string()));
    };
    let read = |path: &str| {
        let bytes = root.read(path, MAX_FILE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let record = container.record();
    let groups = record.host_config.group_add.as_deref();
    let request = UserRequest {
        user,
        groups: groups.unwrap_or_default(),
    };
    gantry_runtime::check_user(&request, &read("etc/passwd"), &read("etc/group"))
        .map(drop)
        .map_err(|error| failure::of_runtime(&error))
}
