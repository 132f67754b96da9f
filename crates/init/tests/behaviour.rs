//! What a container's program gets from the process before it: its signals, the
//! terminal, a clean process table and its exit code.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn init(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-init"));
    command.args(["--", "sh", "-c", script]);
    command
}

fn code(script: &str) -> Option<i32> {
    init(script).status().unwrap().code()
}

/// A program that runs, and its first line of output, which says that it does.
fn ready(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = init(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(line(&mut output), "ready");
    (child, output)
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn end(mut child: Child) -> ExitStatus {
    child.wait().unwrap()
}

/// The state letter of a process, such as `S` or `T`.
fn state(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').next());
    state.unwrap_or_default().to_owned()
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_exit_code_is_the_programs() {
    for wanted in 0..=255 {
        assert_eq!(code(&format!("exit {wanted}")), Some(wanted));
    }
    for signal in [1, 2, 3, 6, 9, 11, 15, 34, 64] {
        let script = format!("ulimit -c 0; kill -{signal} $$");
        assert_eq!(code(&script), Some(128 + signal));
    }
}

#[test]
fn what_cannot_be_run_is_told_as_shells_do() {
    let run = |program: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-init"));
        let output = command.args(["--", program]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let (_, text) = text.split_once(")] ").unwrap();
        (output.status.code(), text.trim().to_owned())
    };
    let missing = "exec no-such-program failed: No such file or directory";
    assert_eq!(run("no-such-program"), (Some(127), missing.to_owned()));
    let refused = "exec /etc/passwd failed: Permission denied";
    assert_eq!(run("/etc/passwd"), (Some(126), refused.to_owned()));
}

#[test]
fn signals_are_passed_on() {
    let traps = [
        ("1", Signal::HUP),
        ("2", Signal::INT),
        ("3", Signal::QUIT),
        ("10", Signal::USR1),
        ("12", Signal::USR2),
        ("14", Signal::ALARM),
        ("15", Signal::TERM),
        ("18", Signal::CONT),
        ("28", Signal::WINCH),
    ];
    for (number, signal) in traps {
        let script = format!(
            "trap 'echo got {number}; exit' {number}; echo ready; while :; do sleep 0.02; done"
        );
        let (child, mut output) = ready(&script);
        rustix::process::kill_process(pid(&child), signal).unwrap();
        assert_eq!(line(&mut output), format!("got {number}"));
        end(child);
    }
}

#[test]
fn a_signal_without_a_trap_ends_the_program_and_then_us() {
    let (child, _output) = ready("echo ready; exec sleep 60");
    rustix::process::kill_process(pid(&child), Signal::TERM).unwrap();
    assert_eq!(end(child).code(), Some(128 + 15));
}

#[test]
fn stop_and_continue_reach_the_program_alone() {
    let (child, mut output) = ready("echo ready; echo $$; exec sleep 60");
    let program = line(&mut output);
    rustix::process::kill_process(pid(&child), Signal::TSTP).unwrap();
    // Its group is not an orphan: its parent, another group, is in its session.
    wait_for("stopped", || state(&program) == "T");
    assert_ne!(state(&child.id().to_string()), "T");
    rustix::process::kill_process(pid(&child), Signal::CONT).unwrap();
    wait_for("running", || state(&program) == "S");
    rustix::process::kill_process(pid(&child), Signal::TERM).unwrap();
    assert_eq!(end(child).code(), Some(128 + 15));
}

#[test]
fn a_thousand_orphans_are_reaped() {
    let script = "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done; echo ready; read x";
    let mut child = init(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(line(&mut output), "ready");
    let id = child.id();
    let children = || {
        let path = format!("/proc/{id}/task/{id}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().count()
    };
    wait_for("one child is left", || children() == 1);
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(end(child).code(), Some(0));
}

#[test]
fn the_whole_group_if_asked_for() {
    let inner = "trap \"echo inner; exit\" USR1; echo ready; while :; do sleep 0.02; done";
    let script = format!("trap : USR1; sh -c '{inner}' & wait; wait");
    let mut child = init(&script)
        .env("TINI_KILL_PROCESS_GROUP", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(line(&mut output), "ready");
    rustix::process::kill_process(pid(&child), Signal::USR1).unwrap();
    assert_eq!(line(&mut output), "inner");
    end(child);
}

#[test]
fn the_program_has_the_terminal() {
    let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let slave = || {
        let path = name.to_str().unwrap();
        let mut options = fs::OpenOptions::new();
        Stdio::from(options.read(true).write(true).open(path).unwrap())
    };
    // Its process group, the terminal's foreground one, then what a ^C does.
    let script = "cut -d ' ' -f 5,8 /proc/self/stat; exec sleep 60";
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_gantry-init"), "--"])
        .args(["sh", "-c", script])
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(fs::File::from(master));
    let groups = line(&mut output);
    let (own, foreground) = groups.split_once(' ').unwrap();
    assert_eq!(own, foreground);
    output.get_mut().write_all(&[3]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 2));
}
