//! What a shim costs while its container runs and nothing happens.

use gantry_shim::client::ShimConnection;

use super::environment::{Environment, eventually, log_text, measuring, possible};

/// What may be its own; a running container shall add no more than 300 KiB in
/// all, but how much of it is code depends on the build.
const KIB: u64 = 150;

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The pid of a shim, found out without asking it: that would wake it.
fn shim_of(connection: &ShimConnection) -> u64 {
    let state = std::fs::read_to_string(connection.directory().join("state.json"));
    let state: serde_json::Value = serde_json::from_str(&state.unwrap()).unwrap();
    state["shim_pid"].as_u64().unwrap()
}

fn rollup(pid: u64) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap()
}

#[test]
fn a_resting_shim_is_small_and_sleeps() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    // Large output must not leave large buffers behind.
    let request = env.request("head -c 3000000 /dev/zero; echo; echo end; sleep 1000");
    let log = request.log.clone();
    let connection = env.start(request);
    eventually("end", || log_text(&log).ends_with("end\n"));
    let pid = shim_of(&connection);
    eventually("small", || field(&rollup(pid), "Pss_Anon:") <= KIB);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        field(&status, "voluntary_ctxt_switches:")
    };
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(switches(), before, "it woke up for nothing");
    connection.signal(libc::SIGKILL, false).unwrap();
    env.exit();
    connection.delete().unwrap();
    env.assert_clean();
}

/// The shims of this process that wait for a container.
fn waiting() -> Vec<u64> {
    let me = format!("PPid:\t{}\n", std::process::id());
    let ours = |pid: &u64| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains(&me) && status.contains("gantry-shim"))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(ours).collect()
}

/// Prints the memory of a shim whose container runs; `--nocapture` shows it.
#[test]
fn memory() {
    if !possible() || !measuring() {
        return;
    }
    let env = Environment::new();
    std::thread::sleep(std::time::Duration::from_secs(3));
    for pid in waiting() {
        eprintln!("waiting, KiB: Pss {}", field(&rollup(pid), "Pss:"));
    }
    for count in [1, 10, 100] {
        let connections: Vec<_> = (0..count)
            .map(|_| env.start(env.request("echo hello; sleep 100")))
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(1800));
        let pid = shim_of(&connections[0]);
        let rollup = rollup(pid);
        let names = [
            "Rss",
            "Pss",
            "Pss_Anon",
            "Pss_File",
            "Private_Dirty",
            "Private_Clean",
        ];
        let values = names.map(|name| format!("{name} {}", field(&rollup, &format!("{name}:"))));
        eprintln!("{count} shims, KiB of one: {}", values.join(", "));
        if count == 1 && std::env::var_os("GANTRY_TEST_MAPS").is_some() {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
            eprintln!("{maps}");
        }
        for connection in connections {
            connection.signal(libc::SIGKILL, false).unwrap();
            env.exit();
            connection.delete().unwrap();
        }
    }
    env.assert_clean();
}
