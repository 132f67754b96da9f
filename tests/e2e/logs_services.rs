//! Log drivers that speak to services: real ones where this machine has them,
//! else sockets that are read here.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Engine, finish, script};
use crate::run::wait_for;

/// busybox's syslogd in a mount namespace of its own, where `/dev` is empty.
struct Syslogd {
    process: Child,
    file: std::path::PathBuf,
}

impl Syslogd {
    fn start(engine: &Engine) -> Self {
        let file = engine.dir().join("messages");
        let text = format!(
            "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec busybox syslogd -n -O {}",
            file.display()
        );
        let process = Command::new("unshare")
            .args(["--mount", "--uts", "--", "sh", "-c", &text])
            .stdin(Stdio::null())
            .spawn()
            .expect("busybox's syslogd");
        let syslogd = Self { process, file };
        wait_for(|| std::path::Path::new(&syslogd.socket()).exists());
        syslogd
    }

    /// Its socket, as others see it.
    fn socket(&self) -> String {
        format!("/proc/{}/root/dev/log", self.process.id())
    }

    fn messages(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }
}

impl Drop for Syslogd {
    fn drop(&mut self) {
        // Gone already: as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_real_syslog_gets_everything_and_logs_reads_the_copy() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        // The real Docker sees another file system.
        return;
    }
    let syslogd = Syslogd::start(&engine);
    let address = format!("syslog-address=unixgram://{}", syslogd.socket());
    let text = "for i in 1 2 3; do echo line $i; done; echo bad >&2; printf rest";
    let options = ["--log-driver", "syslog", "--log-opt", &address];
    let mut args = vec!["run", "--name", "talker"];
    args.extend(options);
    args.extend([
        "--log-opt",
        "syslog-facility=local3",
        "--log-opt",
        "tag={{.Name}}",
    ]);
    args.extend(["busybox", "sh", "-c", text]);
    engine.docker(&args).ok();
    // Everything has been sent, and syslogd takes its time.
    wait_for(|| syslogd.messages().contains("rest"));
    let messages = syslogd.messages();
    for (priority, line) in [
        ("local3.info", "line 1"),
        ("local3.info", "line 3"),
        ("local3.err", "bad"),
        ("local3.info", "rest"),
    ] {
        let found = messages.lines().any(|message| {
            message.contains(&format!("{priority} talker[")) && message.ends_with(line)
        });
        assert!(found, "{priority} {line}:\n{messages}");
    }
    let logs = engine.docker(&["logs", "talker"]).ok();
    assert_eq!(logs.stdout, "line 1\nline 2\nline 3\nrest");
    assert_eq!(logs.stderr, "bad\n");
    assert_eq!(engine.inspect("talker", "{{.LogPath}}"), "");
    let mut args = vec![
        "run",
        "--name",
        "uncached",
        "--log-opt",
        "cache-disabled=true",
    ];
    args.extend(options);
    args.extend(["busybox", "echo", "x"]);
    engine.docker(&args).ok();
    engine
        .docker(&["logs", "uncached"])
        .code(1)
        .says("configured logging driver does not support reading");
}

#[test]
fn lines_go_on_without_the_daemon_and_after_the_speaker_was_killed() {
    let mut engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let syslogd = Syslogd::start(&engine);
    let address = format!("syslog-address=unixgram://{}", syslogd.socket());
    let text = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done";
    let args = ["run", "-d", "--name", "clock", "--log-driver", "syslog"];
    let args = [
        &args[..],
        &["--log-opt", &address, "busybox", "sh", "-c", text],
    ]
    .concat();
    engine.docker(&args).ok();
    let shim = parent_of(&engine.inspect("clock", "{{.State.Pid}}"));
    let ticks = || syslogd.messages().matches("tick").count();
    wait_for(|| ticks() > 20);
    engine.kill_daemon();
    let before = ticks();
    wait_for(|| ticks() > before + 5);
    let speaker = script(&format!("pgrep -P {shim} gantry-log"));
    let speaker = finish(&mut { speaker }, b"").ok().line();
    finish(&mut script(&format!("kill -9 {speaker}")), b"").ok();
    std::thread::sleep(Duration::from_millis(200));
    let before = ticks();
    wait_for(|| ticks() > before + 5);
    engine.boot();
    engine.docker(&["rm", "-f", "clock"]).ok();
}

fn parent_of(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.expect("a parent").trim().to_owned()
}

/// How many bytes the container's process has written.
fn written(engine: &Engine, name: &str) -> u64 {
    let pid = engine.inspect(name, "{{.State.Pid}}");
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("the counters");
    let count = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    count.expect("wchar").parse().expect("a number")
}

#[test]
fn a_service_that_does_not_read_holds_up_only_who_wants_that() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let path = engine.dir().join("fluentd.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let address = format!("fluentd-address=unix://{}", path.display());
    let text = "yes 0123456789012345678901234567890123456789";
    for (name, mode) in [("waits", "blocking"), ("goes-on", "non-blocking")] {
        let mode = format!("mode={mode}");
        let args = ["run", "-d", "--name", name, "--log-driver", "fluentd"];
        let more = ["--log-opt", &address, "--log-opt", &mode];
        let rest = [
            "--log-opt",
            "cache-max-size=1m",
            "busybox",
            "sh",
            "-c",
            text,
        ];
        engine
            .docker(&[&args[..], &more[..], &rest[..]].concat())
            .ok();
    }
    // Neither is read from.
    let _connections = [listener.accept(), listener.accept()];
    std::thread::sleep(Duration::from_secs(1));
    let (first, second) = (written(&engine, "waits"), written(&engine, "goes-on"));
    wait_for(|| written(&engine, "goes-on") > second + 4_000_000);
    assert_eq!(written(&engine, "waits"), first);
    // Others are served all the same.
    engine
        .docker(&["exec", "waits", "echo", "here"])
        .ok()
        .prints("here\n");
    for name in ["waits", "goes-on"] {
        let shim = parent_of(&engine.inspect(name, "{{.State.Pid}}"));
        let status = std::fs::read_to_string(format!("/proc/{shim}/status")).expect("a shim");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak: u64 = peak
            .and_then(|text| text.trim().strip_suffix(" kB"))
            .and_then(|text| text.parse().ok())
            .expect("a number");
        assert!(peak < 8 << 10, "{name}: {peak} kB");
        engine.docker(&["kill", name]).ok();
    }
    engine.docker(&["rm", "-f", "waits", "goes-on"]).ok();
}

#[test]
fn fluentd_gets_what_is_left_when_the_container_ends() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let path = engine.dir().join("fluentd.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        std::thread::sleep(Duration::from_millis(300));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("all of it");
        bytes
    });
    let address = format!("fluentd-address=unix://{}", path.display());
    let args = [
        "run",
        "--rm",
        "--log-driver",
        "fluentd",
        "--log-opt",
        &address,
    ];
    engine
        .docker(&[&args[..], &["busybox", "seq", "1", "20000"]].concat())
        .ok();
    let bytes = service.join().expect("the service");
    let mut expected = 1;
    for part in bytes.split(|byte| *byte == 0x94).skip(1) {
        let text = String::from_utf8_lossy(part);
        let Some(at) = text.find("log") else {
            continue;
        };
        let digits: String = text[at + 3..]
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        assert_eq!(digits, expected.to_string());
        expected += 1;
    }
    assert_eq!(expected, 20_001);
}

#[test]
fn non_blocking_files_are_complete_when_nothing_is_slow() {
    let engine = Engine::with_busybox();
    for driver in ["json-file", "local"] {
        let args = ["run", "--name", driver, "--log-driver", driver];
        let options = [
            "--log-opt",
            "mode=non-blocking",
            "--log-opt",
            "max-buffer-size=4m",
        ];
        let rest = [
            "busybox",
            "sh",
            "-c",
            "for i in 1 2 3; do seq 1 200; sleep 0.1; done",
        ];
        engine
            .docker(&[&args[..], &options[..], &rest[..]].concat())
            .ok();
        let text = engine.docker(&["logs", driver]).ok().stdout;
        let numbers = (1..=200).map(|number| format!("{number}\n"));
        assert_eq!(text, numbers.collect::<String>().repeat(3), "{driver}");
    }
}
