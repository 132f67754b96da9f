//! `docker run` and the options that shape the process.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Engine, command, finish};

#[test]
fn output_goes_where_it_belongs() {
    let engine = Engine::with_busybox();
    let outcome = engine
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2",
        ])
        .ok();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
    engine.docker(&["ps", "-aq"]).ok().prints("");
}

#[test]
fn piped_input_reaches_the_process_and_ends() {
    let engine = Engine::with_busybox();
    let big: Vec<u8> = (0..2_000_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    let sum = engine
        .docker_with(&["run", "-i", "--rm", "busybox", "wc", "-c"], &big)
        .ok();
    assert_eq!(sum.line(), "2000000");
    let echoed = engine
        .docker_with(&["run", "-i", "--rm", "busybox", "cat"], b"line 1\nline 2")
        .ok();
    assert_eq!(echoed.stdout, "line 1\nline 2");
}

#[test]
fn much_output_is_complete() {
    let engine = Engine::with_busybox();
    let outcome = engine
        .docker(&["run", "--rm", "busybox", "seq", "1", "200000"])
        .ok();
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(
        outcome.stdout == expected,
        "{} bytes of {}",
        outcome.stdout.len(),
        expected.len()
    );
}

#[test]
fn the_process_is_as_the_options_say() {
    let engine = Engine::with_busybox();
    let run = |args: &[&str]| {
        engine
            .docker(&[&["run", "--rm"], args].concat())
            .ok()
            .line()
    };
    assert_eq!(
        run(&[
            "-e",
            "A=b c",
            "-e",
            "EMPTY=",
            "busybox",
            "sh",
            "-c",
            "echo \"$A|${EMPTY-unset}\""
        ]),
        "b c|"
    );
    assert_eq!(
        run(&["-w", "/made/on the fly", "busybox", "pwd"]),
        "/made/on the fly"
    );
    assert_eq!(
        run(&["-u", "user", "busybox", "id"]),
        "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)"
    );
    assert_eq!(
        run(&["-u", "12345:678", "busybox", "sh", "-c", "id -u; id -g"]),
        "12345\n678"
    );
    assert_eq!(
        run(&["-u", "user", "busybox", "sh", "-c", "echo $HOME"]),
        "/home/user"
    );
    assert_eq!(
        run(&["-h", "some-host", "busybox", "hostname"]),
        "some-host"
    );
    assert_eq!(run(&["--entrypoint", "echo", "busybox", "a", "b"]), "a b");
    assert_eq!(run(&["busybox", "sh", "-c", "echo $$"]), "1");
    assert_eq!(run(&["--stop-signal", "INT", "busybox", "echo", "x"]), "x");
    assert_eq!(
        run(&[
            "--ulimit",
            "nofile=1024:1024",
            "busybox",
            "sh",
            "-c",
            "ulimit -n"
        ]),
        "1024"
    );
    assert_eq!(
        run(&[
            "--sysctl",
            "net.ipv4.ip_default_ttl=99",
            "busybox",
            "cat",
            "/proc/sys/net/ipv4/ip_default_ttl"
        ]),
        "99"
    );
    let env = run(&["busybox", "env"]);
    for line in [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
    ] {
        assert!(env.lines().any(|have| have == line), "{line} in {env}");
    }
}

#[test]
fn the_default_hostname_is_the_short_id() {
    let engine = Engine::with_busybox();
    let id = engine
        .docker(&["run", "-d", "--name", "named", "busybox", "hostname"])
        .ok()
        .line();
    engine.docker(&["wait", "named"]).ok();
    assert_eq!(engine.docker(&["logs", "named"]).ok().line(), id[..12]);
}

#[test]
fn a_terminal_is_a_terminal() {
    let engine = Engine::with_busybox();
    // script(1) is a terminal for the client, which makes it raw: each newline is the guest's.
    let outcome = finish(
        command(
            "script",
            &[
                "-qec",
                "docker run --rm -it busybox sh -c 'tty; test -t 0 && test -t 2; echo done $?'",
                "/dev/null",
            ],
        )
        .env("DOCKER_HOST", engine.host()),
        b"",
    )
    .ok();
    assert!(outcome.stdout.contains("/dev/pts/0\r"), "{outcome:?}");
    assert!(outcome.stdout.contains("done 0\r"), "{outcome:?}");
    engine
        .docker(&["run", "--rm", "busybox", "tty"])
        .code(1)
        .prints("not a tty\n");
    engine
        .docker(&["run", "--name", "tty", "-t", "busybox", "echo", "x"])
        .ok()
        .prints("x\r\n");
    engine.docker(&["logs", "tty"]).ok().prints("x\r\n");
}

#[test]
fn signals_of_the_client_are_forwarded() {
    let engine = Engine::with_busybox();
    let script = "trap 'echo caught; exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let mut client = engine
        .docker_command(&["run", "--name", "trapper", "busybox", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    wait_for(|| engine.docker(&["logs", "trapper"]).stdout.contains("ready"));
    finish(
        &mut command("kill", &["-TERM", &client.id().to_string()]),
        b"",
    )
    .ok();
    assert_eq!(client.wait().expect("the client ends").code(), Some(42));
    assert!(
        engine
            .docker(&["logs", "trapper"])
            .ok()
            .stdout
            .contains("caught")
    );
}

#[test]
fn bind_mounts_share_files_both_ways_or_one_way() {
    let engine = Engine::with_busybox();
    let shared = engine.dir().join("shared dir");
    std::fs::create_dir_all(&shared).expect("a folder");
    std::fs::write(shared.join("from-host"), "hello\n").expect("a file");
    let rw = format!("{}:/data", shared.display());
    let ro = format!("{}:/data:ro", shared.display());
    let file = format!("{}/from-host:/etc/one-file:ro", shared.display());
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &rw,
            "busybox",
            "cp",
            "/data/from-host",
            "/data/from-guest",
        ])
        .ok();
    assert_eq!(
        std::fs::read_to_string(shared.join("from-guest")).expect("the copy"),
        "hello\n"
    );
    engine
        .docker(&["run", "--rm", "-v", &ro, "busybox", "touch", "/data/x"])
        .code(1)
        .says("Read-only file system");
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &file,
            "busybox",
            "cat",
            "/etc/one-file",
        ])
        .ok()
        .prints("hello\n");
    let missing = engine.dir().join("not/there");
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &format!("{}:/data", missing.display()),
            "busybox",
            "true",
        ])
        .ok();
    assert!(missing.is_dir(), "a missing source is created");
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &format!("{}:/data:bogus", shared.display()),
            "busybox",
        ])
        .code(125)
        .says("bogus");
}

#[test]
fn a_read_only_root_is_read_only() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "--rm", "--read-only", "busybox", "touch", "/x"])
        .code(1)
        .says("Read-only file system");
    engine
        .docker(&[
            "run",
            "--rm",
            "--read-only",
            "--tmpfs",
            "/run",
            "busybox",
            "touch",
            "/run/x",
        ])
        .ok();
}

/// Waits until `done`, for at most 20 seconds.
pub fn wait_for(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
