//! What the shim is told to run.

use gantry_runtime::oci::Process;
use gantry_shim::protocol::{AttachRequest, ExecRequest, User};

use super::super::container::Container;
use super::super::{Inner, detach, spec};
use super::instance::Exec;
use crate::error::Result;

impl Inner {
    /// The message to the shim; with a client's attachment unless it runs
    /// detached.
    pub(super) fn exec_request(
        &self,
        container: &Container,
        exec: &Exec,
        console_size: Option<[u16; 2]>,
        attached: bool,
    ) -> Result<ExecRequest> {
        let (record, plan) = (&container.record(), &exec.plan);
        let attach = AttachRequest {
            attach: exec.attach,
            stdin: plan.stdin,
            stdout: plan.stdout,
            stderr: plan.stderr,
            detach_keys: match plan.detach_keys.is_empty() {
                true => detach::parse(None)?,
                false => plan.detach_keys.clone(),
            },
        };
        Ok(ExecRequest {
            exec: exec.id.clone(),
            process: self.exec_process(container, exec, console_size)?,
            user: Some(User {
                user: plan.user.clone(),
                groups: record.host_config.group_add.clone().unwrap_or_default(),
            }),
            open_stdin: plan.stdin,
            attach: attached.then_some(attach).into_iter().collect(),
        })
    }

    /// The container's own process, but for what was asked.
    fn exec_process(
        &self,
        container: &Container,
        exec: &Exec,
        console_size: Option<[u16; 2]>,
    ) -> Result<Process> {
        let (record, plan) = (&container.record(), &exec.plan);
        let security = spec::security(&record.host_config)?;
        let no_new_privileges = security
            .no_new_privileges
            .unwrap_or(self.settings.no_new_privileges);
        let mut process = spec::process(
            record,
            &[],
            &self.settings.default_ulimits,
            no_new_privileges,
        )?;
        process.args = std::iter::once(&plan.program)
            .chain(&plan.args)
            .cloned()
            .collect();
        process.env.clone_from(&plan.env);
        process.cwd = match plan.working_dir.as_str() {
            "" => "/".into(),
            dir => dir.into(),
        };
        process.terminal = plan.tty;
        let size = console_size.or(plan.console_size).filter(|_| plan.tty);
        process.console_size = size.map(|[height, width]| gantry_runtime::oci::ConsoleSize {
            height: u64::from(height),
            width: u64::from(width),
        });
        if plan.privileged {
            process.capabilities = Some(spec::every_capability());
            if let Some(profile) = &mut process.apparmor_profile {
                crate::apparmor::UNCONFINED.clone_into(profile);
            }
        }
        Ok(process)
    }
}
