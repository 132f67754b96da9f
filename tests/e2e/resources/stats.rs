//! `stats`: what it says is what the kernel's files say.

use serde_json::Value;

use super::folders::Folders;
use crate::harness::Engine;
use crate::harness::api::Api;

const ONCE: &str = "/containers/worker/stats?stream=false&one-shot=true";

fn worker() -> Engine {
    let engine = Engine::with_busybox();
    let command = "for i in 1 2 3; do sleep 1000 & done; \
                   dd if=/dev/zero of=/file bs=64k count=16 conv=fsync 2>/dev/null; echo ready; wait";
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "worker",
            "-m",
            "64m",
            "--pids-limit",
            "50",
            "--cpus",
            "0.5",
            "busybox",
            "sh",
            "-c",
            command,
        ])
        .ok();
    crate::run::wait_for(|| engine.docker(&["logs", "worker"]).stdout.contains("ready"));
    engine
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// A number in a cgroup file, whichever version has it.
fn kernel(folders: &Folders, v1: (&str, &str), v2: &str) -> u64 {
    let text = folders
        .read(v1.0, v1.1)
        .or_else(|| folders.read("", v2))
        .unwrap_or_else(|| panic!("neither {v1:?} nor {v2}"));
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

/// Processor time in nanoseconds.
fn used(folders: &Folders) -> u64 {
    if let Some(text) = folders.read("cpuacct", "cpuacct.usage") {
        return text.parse().expect("a number");
    }
    let text = folders.read("", "cpu.stat").expect("cpu.stat");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    line.expect("usage").parse::<u64>().expect("a number") * 1000
}

#[test]
fn one_look_agrees_with_the_kernels_files() {
    let engine = worker();
    let folders = Folders::of(&engine.inspect("worker", "{{.State.Pid}}"));
    let before = used(&folders);
    let stats = Api::connect(&engine).get(ONCE).expect(200).json();
    let after = used(&folders);
    let total = number(&stats["cpu_stats"]["cpu_usage"]["total_usage"]);
    assert!(
        before <= total && total <= after,
        "{before} {total} {after}"
    );
    assert_eq!(number(&stats["pids_stats"]["current"]), 4);
    assert_eq!(number(&stats["pids_stats"]["limit"]), 50);
    let memory = &stats["memory_stats"];
    assert_eq!(number(&memory["limit"]), 64 << 20);
    let usage = kernel(
        &folders,
        ("memory", "memory.usage_in_bytes"),
        "memory.current",
    );
    let told = number(&memory["usage"]);
    assert!(told.abs_diff(usage) < 1 << 20, "{told} {usage}");
    let lines = memory["stats"].as_object().expect("memory.stat");
    let file = folders
        .read("memory", "memory.stat")
        .or_else(|| folders.read("", "memory.stat"))
        .expect("memory.stat");
    let key = if lines.contains_key("rss") {
        "rss"
    } else {
        "anon"
    };
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key} ")))
        .expect("a line");
    let anonymous: u64 = line.parse().expect("a number");
    assert!(number(&lines[key]).abs_diff(anonymous) < 1 << 20);
    assert!(number(&stats["cpu_stats"]["system_cpu_usage"]) > total);
    let online = std::thread::available_parallelism()
        .expect("processors")
        .get();
    assert!(number(&stats["cpu_stats"]["online_cpus"]) >= online as u64);
    engine.docker(&["rm", "-f", "worker"]).ok();
}

#[test]
fn interfaces_are_the_containers_own() {
    let engine = worker();
    engine
        .docker(&["exec", "worker", "ping", "-c", "2", "-W", "1", "127.0.0.1"])
        .ok();
    let file = |name: &str| {
        let path = format!("/sys/class/net/eth0/statistics/{name}");
        let text = engine.docker(&["exec", "worker", "cat", &path]).ok().line();
        text.parse::<u64>().expect("a number")
    };
    let (low, stats, high) = (
        file("rx_bytes"),
        Api::connect(&engine).get(ONCE).expect(200).json(),
        file("rx_bytes"),
    );
    let told = number(&stats["networks"]["eth0"]["rx_bytes"]);
    assert!(low <= told && told <= high, "{low} {told} {high}");
    let interfaces = stats["networks"].as_object().expect("interfaces");
    assert_eq!(interfaces.len(), 1, "{interfaces:?}");
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "bare",
            "--network",
            "host",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    let path = ONCE.replace("worker", "bare");
    let bare = Api::connect(&engine).get(&path).expect(200).json();
    assert!(bare.get("networks").is_none(), "{bare}");
    engine.docker(&["rm", "-f", "worker", "bare"]).ok();
}

#[test]
fn a_second_look_knows_the_first() {
    let engine = worker();
    let stats = Api::connect(&engine)
        .get("/containers/worker/stats?stream=false")
        .expect(200)
        .json();
    let (read, before) = (&stats["read"], &stats["preread"]);
    assert!(read.as_str() > before.as_str(), "{read} {before}");
    let at = |part: &str| number(&stats[part]["system_cpu_usage"]);
    assert!(at("cpu_stats") > at("precpu_stats"));
    engine.docker(&["rm", "-f", "worker"]).ok();
}

#[test]
fn both_clients_show_every_column() {
    let engine = worker();
    engine.docker(&["create", "--name", "idle", "busybox"]).ok();
    let format =
        "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}";
    let args = ["stats", "--no-stream", "--format", format, "worker", "idle"];
    for told in [engine.docker(&args).ok(), engine.gantry(&args).ok()] {
        let line = |name: &str| {
            let found = told.stdout.lines().find(|line| line.starts_with(name));
            let line = found.unwrap_or_else(|| panic!("{told:?}"));
            line.split('|').map(str::to_owned).collect::<Vec<String>>()
        };
        let worker = line("worker");
        assert!(
            worker[1].ends_with('%') && worker[2].ends_with(" / 64MiB"),
            "{worker:?}"
        );
        assert!(
            worker[4].contains(" / ") && worker[5].contains(" / "),
            "{worker:?}"
        );
        assert_eq!(worker[6], "4");
        let idle = line("idle");
        assert_eq!(
            idle[1..],
            ["0.00%", "0B / 0B", "0.00%", "0B / 0B", "0B / 0B", "0"]
        );
    }
    engine.docker(&["rm", "-f", "worker", "idle"]).ok();
}

#[test]
fn wrong_wishes_are_refused_as_docker_does() {
    let engine = Engine::with_busybox();
    engine.docker(&["create", "--name", "idle", "busybox"]).ok();
    let mut api = Api::connect(&engine);
    let refused = api.get("/containers/idle/stats?one-shot=true").expect(400);
    assert_eq!(
        refused.json()["message"],
        "cannot have stream=true and one-shot=true"
    );
    api.get("/containers/nobody/stats").expect(404);
    let nothing = api
        .get("/containers/idle/stats?stream=false")
        .expect(200)
        .json();
    assert_eq!(nothing["read"], "0001-01-01T00:00:00Z");
    assert_eq!(nothing["memory_stats"], serde_json::json!({}));
    engine.docker(&["rm", "-f", "idle"]).ok();
}
