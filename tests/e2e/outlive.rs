//! Containers outlive the daemon: `kill -9`, several times, while twenty of
//! them write logs and have open execs and attached clients.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::{Engine, command, finish};
use crate::run::wait_for;

/// How many containers write.
const WRITERS: usize = 20;
/// How often the daemon is killed.
const KILLS: usize = 5;

/// Counts on standard output, says every tenth number on standard error too,
/// and ends with the code `$CODE` at SIGTERM or when `/stop` is there.
const WRITER: &str = "i=0; trap 'echo end $i; exit $CODE' TERM; \
    while [ ! -e /stop ]; do i=$((i+1)); echo $i; [ $((i % 10)) = 0 ] && echo err $i >&2; sleep 0.05; done; \
    echo end $i; exit $CODE";

/// One of the twenty.
struct Writer {
    name: String,
    pid: String,
    code: String,
    ended: bool,
    /// How many numbers its log had when last looked at.
    lines: usize,
}

impl Writer {
    fn start(engine: &Engine, number: usize) -> Self {
        let name = format!("writer-{number}");
        let code = (number + 10).to_string();
        let variable = format!("CODE={code}");
        let args = [
            "run", "-d", "--name", &name, "-e", &variable, "busybox", "sh", "-c", WRITER,
        ];
        engine.docker(&args).ok();
        Self {
            pid: engine.inspect(&name, "{{.State.Pid}}"),
            name,
            code,
            ended: false,
            lines: 0,
        }
    }

    /// The log has every number once, in order, and no fewer than before.
    fn check_log(&mut self, engine: &Engine) {
        let logs = engine.docker(&["logs", &self.name]).ok();
        let mut lines: Vec<&str> = logs.stdout.lines().collect();
        if self.ended && self.code != "137" {
            let last = lines.pop().unwrap_or_default();
            assert_eq!(last, format!("end {}", lines.len()), "{}", self.name);
        }
        check_numbers(&self.name, &lines, 1);
        assert!(lines.len() >= self.lines, "{} lost lines", self.name);
        self.lines = lines.len();
        let expected: String = (1..=self.lines / 10)
            .map(|n| format!("err {}\n", n * 10))
            .collect();
        // The last one may be under way.
        assert!(
            expected.starts_with(&logs.stderr) && expected.len() - logs.stderr.len() < 12,
            "{}: {:?}, expected {expected:?}",
            self.name,
            logs.stderr
        );
    }

    fn check_state(&self, engine: &Engine) {
        let state = engine.inspect(
            &self.name,
            "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}",
        );
        let expected = if self.ended {
            format!("exited 0 {}", self.code)
        } else {
            format!("running {} 0", self.pid)
        };
        assert_eq!(state, expected, "{}\n{}", self.name, engine.daemon_log());
    }
}

/// `lines` are consecutive numbers from `first` on.
fn check_numbers(name: &str, lines: &[&str], first: usize) {
    for (expected, line) in (first..).zip(lines) {
        assert_eq!(
            *line,
            expected.to_string(),
            "{name}: a line is lost or doubled"
        );
    }
}

fn in_background(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a client starts")
}

/// Attached clients and open execs, which end when the daemon does.
fn clients(engine: &Engine, writers: &[Writer]) -> Vec<Child> {
    let running = writers.iter().filter(|writer| !writer.ended).take(6);
    let mut clients = Vec::new();
    for writer in running {
        let name = writer.name.as_str();
        for args in [
            &["attach", "--no-stdin", "--sig-proxy=false", name][..],
            &[
                "exec",
                name,
                "sh",
                "-c",
                "while :; do echo open; sleep 0.05; done",
            ],
            &["exec", "-d", name, "sleep", "1000"],
            &["logs", "-f", name],
        ] {
            clients.push(in_background(&mut engine.docker_command(args)));
        }
    }
    clients
}

/// Sends `signal` to a process, as the kernel's own means: no daemon takes part.
fn signal(pid: &str, signal: &str) {
    finish(&mut command("kill", &[signal, pid]), b"").ok();
}

/// After a restart: everything is as it was, and can be worked with.
fn check(engine: &Engine, writers: &mut [Writer]) {
    for writer in writers.iter_mut() {
        writer.check_state(engine);
        writer.check_log(engine);
    }
    let running: Vec<&Writer> = writers.iter().filter(|writer| !writer.ended).collect();
    for writer in running.iter().take(3) {
        engine
            .docker(&["exec", &writer.name, "echo", "alive"])
            .ok()
            .prints("alive\n");
        let file = engine.dir().join("attached");
        let out = std::fs::File::create(&file).expect("a file");
        let mut args =
            engine.docker_command(&["attach", "--no-stdin", "--sig-proxy=false", &writer.name]);
        let mut client = args
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .expect("a client");
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        wait_for(|| read().lines().count() > 5);
        client.kill().expect("the client runs");
        client.wait().expect("the client ends");
        let text = read();
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let lines: Vec<&str> = complete.lines().collect();
        let first = lines[0].parse().expect("a number");
        check_numbers("attach", &lines, first);
    }
}

#[test]
fn twenty_writers_outlive_the_daemon() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let mut moments = Moments::from_environment();
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer::start(&engine, number))
        .collect();
    for round in 0..KILLS {
        let clients = clients(&engine, &writers);
        std::thread::sleep(Duration::from_micros(100_000 + moments.next(500_000)));
        engine.kill_daemon();
        for mut client in clients {
            client.wait().expect("a client ends with the daemon");
        }
        // Two end while nobody is there: one by itself, one by force.
        let last = WRITERS - 2 * round;
        signal(&writers[last - 1].pid, "-TERM");
        signal(&writers[last - 2].pid, "-KILL");
        writers[last - 2].code = "137".to_owned();
        writers[last - 1].ended = true;
        writers[last - 2].ended = true;
        std::thread::sleep(Duration::from_micros(100_000 + moments.next(400_000)));
        engine.boot();
        check(&engine, &mut writers);
    }
    for writer in writers.iter_mut().filter(|writer| !writer.ended) {
        engine
            .docker(&["exec", &writer.name, "touch", "/stop"])
            .ok();
        engine
            .docker(&["wait", &writer.name])
            .ok()
            .prints(&format!("{}\n", writer.code));
        writer.ended = true;
    }
    for writer in &mut writers {
        writer.check_state(&engine);
        writer.check_log(&engine);
    }
}

#[test]
fn a_shim_whose_directory_is_gone_ends_with_its_container() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let run = ["run", "-d", "--name", "kept", "busybox", "sleep", "1000"];
    engine.docker(&run).ok();
    let pid = engine.inspect("kept", "{{.State.Pid}}");
    let id = engine.inspect("kept", "{{.Id}}");
    let directory = engine.dir().join("run").join(id);
    let state = std::fs::read_to_string(directory.join("state.json")).expect("a shim's state");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    let shim = format!("/proc/{}", state["shim_pid"]);
    assert!(std::path::Path::new(&shim).exists(), "{state}");
    engine.kill_daemon();
    std::fs::remove_dir_all(&directory).expect("somebody removes it");
    signal(&pid, "-KILL");
    // Nobody can ever ask it: there is nothing to wait for.
    wait_for(|| !std::path::Path::new(&shim).exists());
    engine.boot();
    engine.docker(&["rm", "-f", "kept"]).ok();
}
