//! Containers on a network of users: a whole life with a published port, names, the
//! throughput of a published port, and starts beside many others.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{cycle, in_turns};
use crate::api;
use crate::command::run;
use crate::contender::Contender;
use crate::dns;
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::say;

/// The rows.
pub const NAMES: &[&str] = &["api-network", "dns", "port-throughput", "start-network"];

/// The network that all of them are on.
const NETWORK: &str = "gantry-bench-net";
/// The port that is published.
const PORT: u16 = 18080;
/// A DNS answer takes at most 0.3 of what the real Docker takes.
const DNS_TIMES: f64 = 1.0 / 0.3;
/// How many containers a start is beside, and how many ports each of them publishes.
const BESIDE: usize = 500;
const PORTS: u16 = 2;
const STARTS: usize = 20;
/// How much goes through a port.
const SECONDS: &str = "2";
const ATTEMPTS: usize = 50;
const IPERF_PORT: u16 = 5201;
const IPERF_IMAGE: &str = "iperf3:bench";

/// All rows.
pub fn all(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    for contender in contenders.iter_mut() {
        contender.client(&["network", "create", NETWORK])?;
    }
    let rows = measured(contenders, options)?;
    for contender in contenders.iter_mut() {
        contender.client(&["network", "rm", NETWORK])?;
    }
    Ok(rows)
}

fn measured(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    if options.wants("api-network") {
        let work = (NETWORK, Some(PORT));
        rows.push(cycle::cycle(
            "api-network",
            work,
            10.0,
            contenders,
            options,
        )?);
    }
    if options.wants("dns") {
        rows.push(names(contenders, options)?);
    }
    if options.wants("port-throughput") {
        rows.extend(throughput(contenders, options)?);
    }
    if options.wants("start-network") {
        rows.push(beside(contenders)?);
    }
    Ok(rows)
}

fn launch(contender: &Contender, command: &[&str], ports: &[u16]) -> Result<String, String> {
    let cgroup = contender.group.containers();
    let container = api::Container {
        command,
        network: NETWORK,
        cgroup: &cgroup,
        ports,
    };
    api::launch(&contender.socket, &container)
}

/// What an answer to a container's question for another one takes.
fn names(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let mut pairs = Vec::new();
    for contender in contenders.iter() {
        let pair = [(); 2].map(|()| launch(contender, &["sleep", "100000"], &[]));
        let [asking, asked] = pair;
        pairs.push((contender.name, asking?, asked?));
    }
    let title = "the answer to a container that asks for another one's name (median of 200)";
    let row = in_turns(
        ("dns", title.to_owned()),
        contenders,
        options.rounds,
        vec![Target::times("docker", DNS_TIMES)],
        |contender, series| {
            let pair = pairs.iter().find(|(name, ..)| *name == contender.name);
            let (_, asking, asked) = pair.ok_or("no containers")?;
            let group = contender.group.clone();
            series.sample(&group, || ask(contender, asking, asked))
        },
    );
    for (contender, (_, asking, asked)) in contenders.iter().zip(&pairs) {
        api::discard(&contender.socket, asking)?;
        api::discard(&contender.socket, asked)?;
    }
    row
}

fn ask(contender: &Contender, asking: &str, asked: &str) -> Result<Duration, String> {
    let told = api::inspect(&contender.socket, asking)?;
    let pid = told["State"]["Pid"]
        .as_i64()
        .ok_or("a container without a pid")?;
    let resolv = std::fs::read_to_string(format!("/proc/{pid}/root/etc/resolv.conf"));
    let resolv = resolv.map_err(|error| format!("resolv.conf: {error}"))?;
    let mut servers = resolv.lines().filter_map(|l| l.strip_prefix("nameserver "));
    let server = servers.next().ok_or("resolv.conf names no server")?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let name = asked.get(..12).ok_or("a short id")?;
    let output = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .arg("--")
        .arg(own)
        .args([dns::ARGUMENT, server.trim(), name])
        .output()
        .map_err(|error| format!("nsenter: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let nanos = text.trim().parse().map_err(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("no answer: {text} {error}")
    })?;
    Ok(Duration::from_nanos(nanos))
}

/// From the host through a published port, and from one container to another: the
/// time that a gigabyte takes.
fn throughput(contenders: &mut [Contender], options: &Options) -> Result<Option<Row>, String> {
    let Some(peers) = &options.peers else {
        say("SKIPPED: port-throughput: it needs iperf3 of the peers");
        return Ok(None);
    };
    let contender = contenders.first_mut().ok_or("no engine")?;
    let tar = iperf(peers)?;
    contender.client(&["import", &tar.display().to_string(), IPERF_IMAGE])?;
    let port = format!("{IPERF_PORT}:{IPERF_PORT}");
    let stay = |contender: &mut Contender, name: &str, more: &[&str], command: &[&str]| {
        let run = ["run", "-d", "--name", name, "--network", NETWORK];
        let words = [&run[..], more, &[IPERF_IMAGE], command].concat();
        contender.client(&words).map(drop)
    };
    stay(
        contender,
        "iperf-server",
        &["-p", &port],
        &["/iperf3", "-s"],
    )?;
    stay(contender, "iperf-client", &[], &["/iperf3", "-s"])?;
    let told = api::inspect(&contender.socket, "iperf-server")?;
    let place = &told["NetworkSettings"]["Networks"][NETWORK];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (address, gateway) = (text(&place["IPAddress"]), text(&place["Gateway"]));
    let (mut through, mut within) = (Series::new(contender.name), Series::new("container"));
    let client = api::inspect(&contender.socket, "iperf-client")?;
    let pid = client["State"]["Pid"].to_string();
    let inside = vec![
        "nsenter".to_owned(),
        format!("--net=/proc/{pid}/ns/net"),
        "--".to_owned(),
    ];
    let ways = [contender.network(), inside.clone()];
    for (way, to) in ways.iter().zip([&gateway, &address]) {
        // The server needs a moment until it listens.
        let mut attempts = 0;
        while let Err(error) = gigabyte(way, peers, to, "1") {
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    for _ in 0..options.rounds.min(5) {
        for (series, place, to) in [
            (&mut through, contender.network(), &gateway),
            (&mut within, inside.clone(), &address),
        ] {
            let group = contender.group.clone();
            series.sample(&group, || gigabyte(&place, peers, to, SECONDS))?;
        }
    }
    contender.client(&["rm", "-f", "iperf-server", "iperf-client"])?;
    Ok(Some(Row {
        name: "port-throughput".to_owned(),
        title: "a gigabyte by iperf3 from the host through a published port, and between \
                containers"
            .to_owned(),
        series: vec![through, within],
        targets: vec![Target::times("container", 0.95)],
    }))
}

/// How long a gigabyte takes, as iperf3 measures it in a network.
fn gigabyte(network: &[String], peers: &str, to: &str, seconds: &str) -> Result<Duration, String> {
    let mut words = network.to_vec();
    let client = [
        &format!("{peers}/enter"),
        "iperf3",
        "-J",
        "-t",
        seconds,
        "-c",
        to,
    ];
    words.extend(client.iter().map(|&word| word.to_owned()));
    let output = Command::new(&words[0]).args(&words[1..]).output();
    let output = output.map_err(|error| format!("iperf3: {error}"))?;
    let told: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let rate = told["end"]["sum_received"]["bits_per_second"].as_f64();
    match rate.filter(|rate| *rate > 0.0) {
        Some(rate) => Ok(Duration::from_secs_f64(8e9 / rate)),
        None => Err(format!("iperf3 to {to}: {}", told["error"])),
    }
}

/// An image of nothing but the peers' iperf3 and its libraries.
fn iperf(peers: &str) -> Result<PathBuf, String> {
    let path = std::env::temp_dir().join("gantry-bench-iperf3.tar");
    let script = "set -e; d=$(mktemp -d); cp \"$(command -v iperf3)\" \"$d/iperf3\"; \
                  { ldd \"$d/iperf3\" | grep -o '/[^ ]*'; \
                  ls /usr/lib/*/libgcc_s.so.1; } | while read -r l; do \
                  mkdir -p \"$d/$(dirname \"$l\")\"; cp -L \"$l\" \"$d/$l\"; done; \
                  mkdir -p \"$d/tmp\"; chmod 1777 \"$d/tmp\"; tar -C \"$d\" -cf \"$1\" .; rm -rf \"$d\"";
    let enter = format!("{peers}/enter");
    let tar = path.display().to_string();
    run(&[&enter, "sh", "-c", script, "x", &tar])?;
    Ok(path)
}

/// Starts with a published port, alone and beside many that have some.
fn beside(contenders: &[Contender]) -> Result<Row, String> {
    let contender = contenders.first().ok_or("no engine")?;
    let alone = starts(contender, "alone")?;
    let mut ids = Vec::new();
    for number in 0..BESIDE as u16 {
        let first = 20000 + number * PORTS;
        let ports: Vec<u16> = (first..first + PORTS).collect();
        ids.push(launch(contender, &["sleep", "100000"], &ports)?);
    }
    std::thread::sleep(Duration::from_secs(5));
    let beside = starts(contender, contender.name);
    for id in &ids {
        api::discard(&contender.socket, id)?;
    }
    Ok(Row {
        name: "start-network".to_owned(),
        title: format!(
            "API create + start with a port beside {BESIDE} containers on the network with {} \
             ports, and alone",
            BESIDE * usize::from(PORTS)
        ),
        series: vec![beside?, alone],
        targets: vec![Target::times("alone", 1.0 / 1.5)],
    })
}

fn starts(contender: &Contender, name: &str) -> Result<Series, String> {
    let mut series = Series::new(name);
    for _ in 0..STARTS {
        let mut id = String::new();
        series.time(&contender.group, || {
            id = launch(contender, &["sleep", "100000"], &[PORT])?;
            Ok(())
        })?;
        api::discard(&contender.socket, &id)?;
    }
    Ok(series)
}
