//! Execs that were there before this engine: their shims know their ids, pids
//! and ends. What they run is read from the processes themselves.

use std::path::Path;

use gantry_runtime::defaults;
use gantry_shim::client::ShimConnection;
use gantry_shim::protocol::ExecStatus;

use super::super::container::Container;
use super::super::{Inner, attach};
use super::instance::Plan;

impl Inner {
    /// Takes the execs of a container over that was running all the time.
    pub(in super::super) fn adopt_execs(
        &self,
        container: &Container,
        link: &ShimConnection,
        execs: &[ExecStatus],
    ) {
        for status in execs {
            let plan = match status.exit_code {
                None => plan_of(status.pid),
                Some(_) => Plan::default(),
            };
            let id = status.exec.clone();
            let number = attach::next_number();
            let Ok(exec) = self.execs.add(id, container.id().clone(), number, plan) else {
                return;
            };
            exec.mark_running(status.pid);
            if let Some(exit_code) = status.exit_code {
                exec.mark_ended(exit_code);
                if let Err(error) = link.forget_exec(&status.exec) {
                    tracing::debug!(exec = status.exec, %error, "a shim did not forget an exec");
                }
            }
        }
    }
}

/// What a process runs, as far as it shows.
fn plan_of(pid: u32) -> Plan {
    let dir = format!("/proc/{pid}");
    let read = |name: &str| std::fs::read(Path::new(&dir).join(name)).unwrap_or_default();
    let words = read("cmdline");
    let mut words = words
        .strip_suffix(b"\0")
        .unwrap_or(&words)
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let stat = String::from_utf8_lossy(&read("stat")).into_owned();
    // Behind the name: state, parent, group, session, terminal.
    let terminal = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(4))
        .is_some_and(|terminal| terminal != "0");
    let status = String::from_utf8_lossy(&read("status")).into_owned();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_ascii_whitespace().next())
    };
    let all = defaults::all_capabilities().0;
    let capabilities = field("CapPrm:").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Plan {
        program: words.next().unwrap_or_default(),
        args: words.collect(),
        user: field("Uid:")
            .filter(|uid| *uid != "0")
            .unwrap_or("")
            .to_owned(),
        privileged: capabilities == Some(all),
        tty: terminal,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_shows_what_it_runs() {
        let plan = plan_of(std::process::id());
        let own: Vec<String> = std::env::args().collect();
        assert_eq!(plan.program, own[0]);
        assert_eq!(plan.args, own[1..]);
        assert_eq!(plan_of(u32::MAX).program, "");
    }
}
