//! Containers outlive the daemon, and do not outlive their shim.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use gantry_shim::client::{Error, Found, remove_directory, scan};
use gantry_shim::protocol::{Event, StartRequest};

use super::environment::{
    Environment, attach_all, eventually, log_text, pool, possible, read_to_end, type_in,
};

const REQUEST: &str = "GANTRY_TEST_REQUEST";

/// Not a test of its own: the daemon that `a_killed_daemon_is_survived` kills.
#[test]
fn daemon_to_be_killed() {
    let Some(path) = std::env::var_os(REQUEST) else {
        return;
    };
    let request: StartRequest = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (pool, _events) = pool(&request.exec_root.clone(), 1);
    let connection = pool
        .start(request, None, &gantry_shim::client::StartFds::default())
        .unwrap();
    connection.watch().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_killed_daemon_is_survived() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let mut request = env.request("echo up; read line; echo got $line; exit 9");
    request.open_stdin = true;
    let (id, log) = (request.id.clone(), request.log.clone());
    let file = env.dir.path().join("request.json");
    std::fs::write(&file, serde_json::to_vec(&request).unwrap()).unwrap();
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reconnect::daemon_to_be_killed"])
        .env(REQUEST, &file)
        .process_group(0)
        .spawn()
        .unwrap();
    eventually("up", || log_text(&log).contains("up"));
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    assert_eq!(scan(&env.exec_root()).unwrap(), std::slice::from_ref(&id));
    let connection = match env.pool.reconnect(&id).unwrap() {
        Found::Running(connection, status) => {
            assert_eq!(connection.pid(), status.pid);
            connection
        }
        Found::Exited(record) => panic!("{record:?}"),
    };
    connection.watch().unwrap();
    let mut socket = connection.attach(attach_all()).unwrap();
    type_in(&mut socket, "again\n");
    assert!(String::from_utf8_lossy(&read_to_end(&mut socket)).contains("got again"));
    assert_eq!(env.exit().exit_code, 9);
    assert_eq!(log_text(&log), "up\ngot again\n");
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn an_exit_that_nobody_heard_is_found() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request("sleep 0.2; exit 3");
    let id = request.id.clone();
    // Not watched, and forgotten at once: as if the daemon had died.
    drop(env.try_start(request).unwrap());
    let exit_file = env.exec_root().join(id.as_str()).join("exit.json");
    eventually("recorded", || exit_file.exists());
    match env.pool.reconnect(&id).unwrap() {
        Found::Exited(record) => assert_eq!(record.exit_code, 3),
        Found::Running(..) => panic!("it is over"),
    }
    remove_directory(&env.exec_root(), &id).unwrap();
    assert!(matches!(env.pool.reconnect(&id), Err(Error::Gone(_))));
    env.assert_clean();
}

#[test]
fn a_killed_shim_takes_its_container_along() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let connection = env.start(env.request("sleep 1000"));
    let status = connection.status().unwrap();
    let pid = connection.pid();
    let shim = rustix::process::Pid::from_raw(status.shim_pid as i32).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    let (_, event) = env.events.recv_timeout(Duration::from_secs(10)).unwrap();
    match event {
        Event::Exit(record) => assert_eq!(record.exit_code, 137),
        other => panic!("{other:?}"),
    }
    eventually("killed", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.contains(") Z"))
    });
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn a_container_that_nobody_wants_is_ended_at_once() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request("sleep 1000");
    let connection = env.try_start(request.clone()).unwrap();
    connection.signal(libc::SIGKILL, true).unwrap();
    connection.delete().unwrap();
    // Nothing is in the way of the next one.
    let connection = env.start(request);
    connection.signal(libc::SIGKILL, true).unwrap();
    connection.delete().unwrap();
    env.assert_clean();
}
