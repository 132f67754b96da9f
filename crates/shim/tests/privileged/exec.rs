//! Processes that are added to a running container.

use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gantry_runtime::Step;
use gantry_shim::client::{Error, ShimConnection};
use gantry_shim::protocol::{AttachRequest, Event, ExecRequest, ExecStatus, Refusal, User};
use serde_json::json;

use super::environment::{
    Environment, attach_all, can_limit, eventually, log_text, possible, read_to_end, read_until,
    type_in,
};

/// An id for an exec: only its difference from others counts.
fn id(number: u32) -> String {
    format!("{number:064x}")
}

fn request(number: u32, script: &str) -> ExecRequest {
    let process = json!({
        "terminal": false,
        "user": { "uid": 0, "gid": 0 },
        "args": ["/bin/sh", "-c", script],
        "env": ["PATH=/bin", "TERM=xterm"],
        "cwd": "/",
    });
    ExecRequest {
        exec: id(number),
        process: serde_json::from_value(process).unwrap(),
        user: None,
        open_stdin: false,
        attach: Vec::new(),
    }
}

fn with_terminal(mut request: ExecRequest) -> ExecRequest {
    let mut process = serde_json::to_value(&request.process).unwrap();
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({ "height": 33, "width": 77 });
    request.process = serde_json::from_value(process).unwrap();
    request.open_stdin = true;
    request
}

/// Runs it with one client that has everything.
fn exec_attached(connection: &ShimConnection, mut request: ExecRequest) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    request.attach = vec![attach_all()];
    connection
        .exec(&request, None, &[theirs.as_fd()])
        .expect("an exec");
    ours
}

impl Environment {
    /// The next end of an exec, whatever else happens before it.
    fn exec_exit(&self) -> (String, i32) {
        loop {
            let (_, event) = self.events.recv_timeout(Duration::from_secs(30)).unwrap();
            if let Event::ExecExit { exec, exit_code } = event {
                return (exec, exit_code);
            }
        }
    }

    fn sleeper(&self) -> ShimConnection {
        self.start(self.request("while :; do sleep 1000; done"))
    }

    fn end(self, connection: &ShimConnection) {
        connection.signal(libc::SIGKILL, false).unwrap();
        assert_eq!(self.exit().exit_code, 137);
        connection.delete().unwrap();
        self.assert_clean();
    }
}

#[test]
fn output_codes_and_ends() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let container = env.request("echo mine; while :; do sleep 1000; done");
    let log = container.log.clone();
    let connection = env.start(container);
    let script = "echo out; echo err >&2; exit 7";
    let mut socket = exec_attached(&connection, request(1, script));
    let frames = read_to_end(&mut socket);
    let text = String::from_utf8_lossy(&frames);
    assert!(text.contains("\x01\0\0\0\0\0\0\x04out\n"), "{text:?}");
    assert!(text.contains("\x02\0\0\0\0\0\0\x04err\n"), "{text:?}");
    assert_eq!(env.exec_exit(), (id(1), 7));
    // An ended one is known until it is forgotten, and its id is taken.
    let status = connection.status().unwrap();
    assert!(matches!(
        status.execs.as_slice(),
        [ExecStatus { exec, exit_code: Some(7), .. }] if *exec == id(1)
    ));
    let again = connection.exec(&request(1, "true"), None, &[]);
    assert!(matches!(again, Err(Error::Refused(Refusal::BadRequest(_)))));
    connection.forget_exec(&id(1)).unwrap();
    assert_eq!(connection.status().unwrap().execs, []);
    assert_eq!(log_text(&log), "mine\n", "the log is the container's own");
    env.end(&connection);
}

#[test]
fn many_at_once_with_and_without_clients() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let sockets: Vec<_> = (0..20)
        .map(|number| {
            let script = format!("sleep 0.2; echo {number}; exit {number}");
            exec_attached(&connection, request(number, &script))
        })
        .collect();
    for number in 20..40 {
        let script = format!("echo lost; exit {number}");
        connection
            .exec(&request(number, &script), None, &[])
            .unwrap();
    }
    for (number, mut socket) in sockets.into_iter().enumerate() {
        let frames = read_to_end(&mut socket);
        assert_eq!(frames[8..], *format!("{number}\n").as_bytes());
    }
    let mut ends: Vec<_> = (0..40).map(|_| env.exec_exit()).collect();
    ends.sort();
    let wanted: Vec<_> = (0..40).map(|number| (id(number), number as i32)).collect();
    assert_eq!(ends, wanted);
    env.end(&connection);
}

#[test]
fn input_ends_with_the_clients() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let mut wanted = request(1, "cat; echo end");
    wanted.open_stdin = true;
    let mut socket = exec_attached(&connection, wanted);
    let mut writer = socket.try_clone().unwrap();
    let typing = std::thread::spawn(move || {
        type_in(&mut writer, &"x".repeat(300_000));
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let frames = read_to_end(&mut socket);
    typing.join().unwrap();
    assert!(frames.ends_with(b"end\n"));
    assert_eq!(frames.iter().filter(|b| **b == b'x').count(), 300_000);
    assert_eq!(env.exec_exit(), (id(1), 0));
    // Without open stdin it is empty.
    let mut socket = exec_attached(&connection, request(2, "cat; echo end"));
    assert!(read_to_end(&mut socket).ends_with(b"end\n"));
    env.end(&connection);
}

#[test]
fn terminals_sizes_and_detach_keys() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let script = "stty size; read line; stty size; tty; read line; exit 4";
    let mut socket = exec_attached(&connection, with_terminal(request(1, script)));
    read_until(&mut socket, "33 77");
    connection.resize_exec(&id(1), 44, 99).unwrap();
    type_in(&mut socket, "\n");
    let text = read_until(&mut socket, "/dev/pts/");
    assert!(text.contains("44 99"), "{text:?}");
    type_in(&mut socket, "\x10\x11");
    read_to_end(&mut socket);
    let (_, event) = env.events.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(event, Event::Detached { attach: 1 });
    // It runs on, with nobody looking.
    let status = connection.status().unwrap();
    assert!(matches!(
        status.execs.as_slice(),
        [ExecStatus {
            exit_code: None,
            ..
        }]
    ));
    connection.signal_exec(&id(1), libc::SIGKILL).unwrap();
    assert_eq!(env.exec_exit(), (id(1), 137));
    let refused = connection.resize_exec(&id(1), 1, 1);
    assert!(matches!(refused, Err(Error::Refused(Refusal::NoSuchExec))));
    env.end(&connection);
}

#[test]
fn signals_arrive() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let script = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";
    let mut socket = exec_attached(&connection, request(1, script));
    read_until(&mut socket, "ready");
    connection.signal_exec(&id(1), libc::SIGTERM).unwrap();
    assert_eq!(env.exec_exit(), (id(1), 42));
    let refused = connection.signal_exec(&id(9), libc::SIGTERM);
    assert!(matches!(refused, Err(Error::Refused(Refusal::NoSuchExec))));
    env.end(&connection);
}

#[test]
fn it_is_in_the_containers_namespaces_and_cgroup() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    std::fs::write(
        env.dir.path().join("rootfs/etc/passwd"),
        "ann:x:1000:100::/home/ann:/bin/sh\n",
    )
    .unwrap();
    let connection = env.sleeper();
    let mut wanted = request(1, "echo $HOME $(cat /proc/self/oom_score_adj); sleep 1000");
    wanted.user = Some(User {
        user: "ann".to_owned(),
        groups: Vec::new(),
    });
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    wanted.attach = vec![attach_all()];
    let pid = connection.exec(&wanted, None, &[theirs.as_fd()]).unwrap();
    drop(theirs);
    read_until(&mut ours, "/home/ann 0\n");
    assert!(connection.processes().unwrap().contains(&pid));
    let link = |pid: u32, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    for name in ["pid", "mnt", "uts", "ipc", "net", "cgroup"] {
        assert_eq!(link(pid, name), link(connection.pid(), name), "{name}");
    }
    let groups = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(groups(pid), groups(connection.pid()));
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t1000\t1000\t1000\t1000"));
    // It ends with the container, and its end is told before.
    connection.signal(libc::SIGKILL, false).unwrap();
    assert_eq!(env.exec_exit(), (id(1), 137));
    assert_eq!(env.exit().exit_code, 137);
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn failures_are_data_and_leave_nothing() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let failing = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut request = request(1, "true");
        let mut process = serde_json::to_value(&request.process).unwrap();
        change(&mut process);
        request.process = serde_json::from_value(process).unwrap();
        match connection.exec(&request, None, &[]) {
            Err(Error::Start(failure)) => failure.runtime_error().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let missing = failing(&|process| process["args"] = json!(["nosuch"]));
    assert!(missing.step == Step::Lookup && missing.is_not_found());
    let directory = failing(&|process| process["args"] = json!(["/tmp"]));
    assert_eq!(directory.errno, libc::EISDIR);
    let nowhere = failing(&|process| process["cwd"] = json!("/nosuch"));
    assert_eq!(nowhere.errno, libc::ENOENT);
    let mut nobody = request(1, "true");
    nobody.user = Some(User {
        user: "nobody-here".to_owned(),
        groups: Vec::new(),
    });
    assert!(matches!(
        connection.exec(&nobody, None, &[]),
        Err(Error::Start(_))
    ));
    let unmatched = ExecRequest {
        attach: vec![attach_all()],
        ..request(1, "true")
    };
    assert!(matches!(
        connection.exec(&unmatched, None, &[]),
        Err(Error::Start(_))
    ));
    assert_eq!(connection.status().unwrap().execs, []);
    assert_eq!(connection.processes().unwrap().len(), 2);
    env.end(&connection);
}

#[test]
fn none_where_the_container_is_paused_or_over() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    connection.pause().unwrap();
    let refused = connection.exec(&request(1, "true"), None, &[]);
    assert!(matches!(refused, Err(Error::Refused(Refusal::Paused))));
    connection.resume().unwrap();
    connection.signal(libc::SIGKILL, false).unwrap();
    // Its end may be noticed before or after the request.
    let refused = connection.exec(&request(1, "true"), None, &[]);
    assert!(
        matches!(refused, Err(Error::Refused(Refusal::NotRunning)) | Ok(_)),
        "{refused:?}"
    );
    env.exit();
    let refused = connection.exec(&request(2, "true"), None, &[]);
    assert!(matches!(
        refused,
        Err(Error::Refused(Refusal::NotRunning) | Error::Gone(_))
    ));
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn one_that_the_container_stops_blocks_nobody() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    // Stops whatever else appears in its pid namespace.
    let script = "while :; do for p in /proc/[0-9]*; do n=${p#/proc/}; \
                  [ $n -ne 1 ] && kill -STOP $n 2>/dev/null; done; done";
    let connection = env.start(env.request(script));
    std::thread::scope(|scope| {
        let pending: Vec<_> = (0..20)
            .map(|number| {
                let connection = &connection;
                scope.spawn(move || connection.exec(&request(number, "sleep 1"), None, &[]))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        connection.status().unwrap();
        connection.signal(libc::SIGKILL, false).unwrap();
        assert_eq!(env.exit().exit_code, 137);
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?}",
            start.elapsed()
        );
        for exec in pending {
            let result = exec.join().unwrap();
            assert!(
                matches!(result, Ok(_) | Err(Error::Refused(_) | Error::Start(_))),
                "{result:?}"
            );
        }
    });
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn slow_and_dead_clients_concern_only_their_own() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let container = env.request("while :; do echo tick; sleep 0.02; done");
    let log = container.log.clone();
    let connection = env.start(container);
    // Reads nothing: what its process writes is kept for it.
    let blocks = "dd if=/dev/zero bs=65536 count=160 2>/dev/null; exit 3";
    let mut slow = exec_attached(&connection, request(1, blocks));
    // Is dead: its process goes on.
    drop(exec_attached(&connection, request(2, blocks)));
    let mut quick = exec_attached(&connection, request(3, "echo quick"));
    assert!(read_to_end(&mut quick).ends_with(b"quick\n"));
    let mut ends: Vec<_> = (0..3).map(|_| env.exec_exit()).collect();
    ends.sort();
    assert_eq!(ends, [(id(1), 3), (id(2), 3), (id(3), 0)]);
    let ticks = log_text(&log).len();
    eventually("ticks", || log_text(&log).len() > ticks);
    let frames = read_to_end(&mut slow);
    assert_eq!(frames.len() - 8 * frames_in(&frames), 160 * 65536);
    env.end(&connection);
}

/// As in Docker: the first process beyond the limit is allowed, its children
/// are not.
#[test]
fn a_container_that_has_run_full_can_be_looked_into() {
    if !possible() || !can_limit(&[gantry_cgroup::Controller::Pids]) {
        return;
    }
    let env = Environment::new();
    let container = env.request_with(&["/bin/sleep", "1000"], |spec| {
        spec["linux"]["resources"]["pids"] = json!({ "limit": 1 });
    });
    let connection = env.start(container);
    let mut socket = exec_attached(&connection, request(1, "echo in; exec sleep 1000"));
    read_until(&mut socket, "in\n");
    assert_eq!(connection.processes().unwrap().len(), 2);
    let script = "sleep 0; echo not reached";
    let mut socket = exec_attached(&connection, request(2, script));
    let text = read_to_end(&mut socket);
    assert!(!text.ends_with(b"reached\n"), "{text:?}");
    env.end(&connection);
}

fn frames_in(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some((header, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        rest = &tail[length as usize..];
        count += 1;
    }
    count
}

#[test]
fn a_child_that_keeps_the_output_open_is_not_waited_for() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let mut socket = exec_attached(&connection, request(1, "sleep 1000 & echo started; exit 5"));
    let start = Instant::now();
    assert!(read_to_end(&mut socket).ends_with(b"started\n"));
    assert_eq!(env.exec_exit(), (id(1), 5));
    assert!(start.elapsed() < Duration::from_secs(10));
    env.end(&connection);
}

#[test]
fn the_next_daemon_finds_them() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request_of_container = env.request("while :; do sleep 1000; done");
    let container = request_of_container.id.clone();
    // Neither watched nor kept: as if the daemon had died.
    let first = env.try_start(request_of_container).unwrap();
    let mut socket = exec_attached(&first, request(1, "echo up; sleep 1000"));
    read_until(&mut socket, "up");
    first.exec(&request(2, "exit 5"), None, &[]).unwrap();
    drop((first, socket));
    let gantry_shim::client::Found::Running(connection, _) =
        env.pool.reconnect(&container).unwrap()
    else {
        panic!("it runs");
    };
    connection.watch().unwrap();
    let codes = || {
        let mut execs = connection.status().unwrap().execs;
        execs.sort_by(|a, b| a.exec.cmp(&b.exec));
        execs
            .into_iter()
            .map(|exec| exec.exit_code)
            .collect::<Vec<_>>()
    };
    eventually("the second has ended", || codes() == [None, Some(5)]);
    let mut another = exec_attached(&connection, request(3, "echo again"));
    assert!(read_to_end(&mut another).ends_with(b"again\n"));
    env.end(&connection);
}

#[test]
fn one_client_with_input_and_one_without() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.sleeper();
    let mut wanted = request(1, "read line; echo got $line");
    wanted.open_stdin = true;
    let (mut typist, a) = UnixStream::pair().unwrap();
    let (mut reader, b) = UnixStream::pair().unwrap();
    let all = attach_all();
    let without = AttachRequest {
        attach: 2,
        stdin: false,
        ..attach_all()
    };
    wanted.attach = vec![all, without];
    connection
        .exec(&wanted, None, &[a.as_fd(), b.as_fd()])
        .unwrap();
    drop((a, b));
    type_in(&mut typist, "it\n");
    for socket in [&mut typist, &mut reader] {
        assert!(read_to_end(socket).ends_with(b"got it\n"));
    }
    env.end(&connection);
}
