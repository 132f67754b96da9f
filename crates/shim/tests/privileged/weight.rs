//! What a shim costs. A measurement, not a test.

use super::environment::{Environment, measuring, possible};

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Prints the memory of a shim whose container runs; `--nocapture` shows it.
#[test]
fn memory() {
    if !possible() || !measuring() {
        return;
    }
    let env = Environment::new();
    for count in [1, 10] {
        let connections: Vec<_> = (0..count)
            .map(|_| env.start(env.request("echo hello; sleep 100")))
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(500));
        for connection in connections.iter().take(1) {
            let pid = connection.status().unwrap().shim_pid;
            let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
            let names = [
                "Rss",
                "Pss",
                "Pss_Anon",
                "Pss_File",
                "Private_Dirty",
                "Private_Clean",
            ];
            let values =
                names.map(|name| format!("{name} {}", field(&rollup, &format!("{name}:"))));
            eprintln!("{count} shims, KiB of one: {}", values.join(", "));
            if count == 1 && std::env::var_os("GANTRY_TEST_MAPS").is_some() {
                eprintln!(
                    "{}",
                    std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap()
                );
            }
        }
        for connection in connections {
            connection.signal(libc::SIGKILL, false).unwrap();
            env.exit();
            connection.delete().unwrap();
        }
    }
    env.assert_clean();
}
