//! Shims that are killed, files that are spoilt, disks that are full: a
//! container never runs on unseen, and its end is never forgotten.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gantry_shim::client::{Found, ShimConnection, remove_directory};
use gantry_shim::protocol::{Event, ExitRecord, StartRequest};

use super::environment::{Environment, attach_all, eventually, log_text, possible, read_to_end};

fn kill_shim(connection: &ShimConnection) {
    let pid = connection.status().unwrap().shim_pid;
    let shim = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
}

fn is_gone(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"))
}

impl Environment {
    /// What the next daemon finds.
    fn find(&self, request: &StartRequest) -> ExitRecord {
        match self.pool.reconnect(&request.id).unwrap() {
            Found::Exited(record) => record,
            Found::Running(connection, _) => {
                connection.watch().unwrap();
                self.exit()
            }
        }
    }
}

#[test]
fn a_killed_shims_clients_see_the_end() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let (connection, mut first) = env.start_attached(env.request("sleep 1000"));
    let mut second = connection.attach(attach_all()).unwrap();
    kill_shim(&connection);
    assert!(read_to_end(&mut first).is_empty());
    assert!(read_to_end(&mut second).is_empty());
    assert_eq!(env.exit().exit_code, 137);
    connection.delete().unwrap();
    env.assert_clean();
}

/// The shim is killed while there is no daemon; whatever became of its files.
#[test]
fn a_shim_killed_unseen_is_buried_later() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let spoil: [fn(&Path); 4] = [
        |_| {},
        |state| fs::write(state, "{\"pid\":").unwrap(),
        |state| fs::write(state, vec![b'x'; 1 << 20]).unwrap(),
        |state| fs::remove_file(state).unwrap(),
    ];
    for spoil in spoil {
        let request = env.request("sleep 1000");
        // Not watched: as if the daemon had died.
        let connection = env.try_start(request.clone()).unwrap();
        let state = connection.directory().join("state.json");
        eventually("written", || state.exists());
        kill_shim(&connection);
        let pid = connection.pid();
        spoil(&state);
        drop(connection);
        let record = env.find(&request);
        assert_eq!((record.exit_code, record.signal), (137, Some(9)));
        eventually("killed", || is_gone(pid));
        // Found again, it is the same end.
        assert_eq!(env.find(&request), record);
        remove_directory(&env.exec_root(), &request.id).unwrap();
    }
    env.assert_clean();
}

#[test]
fn a_spoilt_exit_record_is_made_anew() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    for contents in ["", "{}", "\0\0\0", "[1]"] {
        let request = env.request("exit 3");
        drop(env.try_start(request.clone()).unwrap());
        let exit_file = env.exec_root().join(request.id.as_str()).join("exit.json");
        eventually("recorded", || exit_file.exists());
        // The shim lingers, and would still know.
        std::thread::sleep(Duration::from_millis(2300));
        fs::write(&exit_file, contents).unwrap();
        assert_eq!(env.find(&request).exit_code, 137);
        remove_directory(&env.exec_root(), &request.id).unwrap();
    }
    env.assert_clean();
}

/// An environment whose threads and shims see what is mounted for them alone.
fn in_own_mounts() -> Environment {
    gantry_sys::unshare(gantry_sys::CloneFlags::NEWNS).unwrap();
    let slave = rustix::mount::MountPropagationFlags::REC
        | rustix::mount::MountPropagationFlags::DOWNSTREAM;
    rustix::mount::mount_change("/", slave).unwrap();
    Environment::new()
}

fn mount_small(place: &Path) {
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("test", place, "tmpfs", flags, Some(c"size=64k")).unwrap();
}

#[test]
fn a_full_log_does_not_stop_the_container() {
    if !possible() {
        return;
    }
    let env = in_own_mounts();
    let line = "x".repeat(80);
    let script =
        format!("yes {line} | head -c 999945; : >/tmp/written; read line; echo after; exit 4");
    let mut request = env.request(&script);
    request.open_stdin = true;
    let log = request.log.clone();
    let place = log.path.parent().unwrap();
    fs::create_dir(place).unwrap();
    mount_small(place);
    let connection = env.start(request);
    let (_, event) = env.events.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(event, Event::LogFailed { .. }), "{event:?}");
    let written = env.dir.path().join("rootfs/tmp/written");
    eventually("the container goes on", || written.exists());
    // What was kept is kept in whole lines.
    let kept = log_text(&log);
    assert!(kept.len() > 10_000 && kept.lines().all(|kept| kept == line));
    // With room again, so is the log: once all that was on its way has come.
    eventually("quiet", || {
        let file = fs::OpenOptions::new().write(true).open(&log.path).unwrap();
        file.set_len(0).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        file.metadata().unwrap().len() == 0
    });
    connection.close_stdin().unwrap();
    assert_eq!(env.exit().exit_code, 4);
    assert_eq!(log_text(&log), "after\n");
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn a_full_disk_keeps_no_exit_from_being_known() {
    if !possible() {
        return;
    }
    let env = in_own_mounts();
    mount_small(&env.exec_root());
    let fill = env.exec_root().join("fill");

    let request = env.request("read line; exit 3");
    let mut request = StartRequest {
        open_stdin: true,
        ..request
    };
    let connection = env.try_start(request.clone()).unwrap();
    let state = connection.directory().join("state.json");
    eventually("written", || state.exists());
    assert!(fs::write(&fill, vec![0; 1 << 20]).is_err());
    // A daemon that listens hears it at once.
    connection.watch().unwrap();
    connection.close_stdin().unwrap();
    assert_eq!(env.exit().exit_code, 3);
    connection.delete().unwrap();

    // Nobody listens, and the disk stays full for longer than a shim lingers.
    fs::remove_file(&fill).unwrap();
    request.id = env.request("").id;
    let connection = env.try_start(request.clone()).unwrap();
    eventually("written", || {
        connection.directory().join("state.json").exists()
    });
    assert!(fs::write(&fill, vec![0; 1 << 20]).is_err());
    connection.close_stdin().unwrap();
    drop(connection);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(env.find(&request).exit_code, 3);
    fs::remove_file(&fill).unwrap();
    let exit_file = env.exec_root().join(request.id.as_str()).join("exit.json");
    eventually("recorded", || exit_file.exists());
    remove_directory(&env.exec_root(), &request.id).unwrap();
    env.assert_clean();
}
