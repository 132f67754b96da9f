//! `kill -9` of the daemon at random moments of what changes ports and networks: the
//! next one has all ports that containers have, and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Ground, shell};
use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;

/// How often the daemon is killed.
const ROUNDS: u64 = 12;
const SERVER: &str =
    "busybox sh -c 'mkdir -p /w; echo $0 >/w/index.html; exec httpd -f -p 80 -h /w'";

#[test]
fn kills_lose_no_port_and_leave_none() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let ground = Ground::new();
    let mut engine = ground.bear(engine, &[]);
    shell(
        &engine,
        &format!(
            "docker network create --subnet 10.172.0.0/28 lan; docker network create more; \
             docker run -d --name stays --network lan -p 8100:80 {SERVER} stays"
        ),
    );
    answers(&ground, 8100, "stays");
    let mut moments = Moments::from_environment();
    for round in 0..ROUNDS {
        let work = format!(
            "export DOCKER_HOST={}; \
             (for i in 1 2 3; do docker run -d --name p$i --network lan -p 820$i:80 {SERVER} p$i; \
                 [ $i = 2 ] && docker rm -f p1; done) & \
             (for i in 1 2 3 4 5 6; do docker network connect more stays; docker network disconnect more stays; done) & \
             (for i in 1 2 3 4 5 6; do docker network create n$i; docker network create --ipv6 m$i; \
                 docker network rm n$i; done) & wait",
            engine.host()
        );
        engine.kill_during(&work, Duration::from_micros(moments.next(700_000)));
        check(&engine, &ground, round);
        shell(
            &engine,
            "docker network disconnect more stays; \
             docker rm -f $(docker ps -aq --filter name=^p); \
             docker network rm $(docker network ls -q --filter name=^[nm][0-9])",
        );
        assert_eq!(listening(&ground), ["8100"], "round {round}");
    }
    // All addresses but one are free, and no more.
    for number in 1..13 {
        let name = format!("full{number}");
        let run = [
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "lan",
            "busybox",
            "sleep",
            "1000",
        ];
        engine.docker(&run).ok();
    }
    let full = ["run", "--rm", "--network", "lan", "busybox", "true"];
    engine
        .docker(&full)
        .code(125)
        .says("no available IPv4 addresses");
    shell(&engine, "docker rm -f $(docker ps -aq)");
    engine.docker(&["network", "rm", "lan", "more"]).ok();
    assert_eq!(listening(&ground), [""; 0]);
    let known = shell(&engine, "docker network ls -q --filter type=custom");
    let links = ground.run("ip link");
    assert!(!links.contains("br-"), "{links}{known}");
}

/// What is running answers at its port, what is not has none, and what is known of networks
/// is what there is.
fn check(engine: &Engine, ground: &Ground, round: u64) {
    answers(ground, 8100, "stays");
    let format = "{{.Names}} {{.State}} {{.Ports}}";
    let all = engine.docker(&["ps", "-a", "--format", format]).ok().stdout;
    let mut ports = BTreeSet::from(["8100".to_owned()]);
    let mut addresses = BTreeSet::new();
    for line in all.lines() {
        let (name, rest) = line.split_once(' ').expect("a name");
        let Some(number) = name.strip_prefix('p') else {
            continue;
        };
        if !rest.starts_with("running ") {
            continue;
        }
        let port = format!("820{number}");
        answers(ground, port.parse().expect("a port"), name);
        ports.insert(port);
        let address = engine.inspect(name, "{{.NetworkSettings.Networks.lan.IPAddress}}");
        assert!(
            addresses.insert(address),
            "round {round}: an address twice: {all}"
        );
    }
    let open: BTreeSet<String> = listening(ground).into_iter().collect();
    assert_eq!(open, ports, "round {round}: {all}");
    // A bridge for each network, and a network for each bridge.
    let known = shell(engine, "docker network ls -q --filter type=custom | sort");
    let there = ground.run("ip -o link show type bridge");
    let mut bridges: Vec<&str> = there
        .lines()
        .filter_map(|line| line.split_once("br-")?.1.split(':').next())
        .collect();
    bridges.sort_unstable();
    let known: Vec<&str> = known.lines().collect();
    assert_eq!(bridges, known, "round {round}");
}

/// A server is reached by the host's port, with the container's name.
fn answers(ground: &Ground, port: u16, name: &str) {
    let fetch = format!("curl -s -m 2 http://127.0.0.1:{port}");
    wait_for(|| ground.try_run(&fetch) == format!("{name}\n"));
}

/// The ports that something listens at.
fn listening(ground: &Ground) -> Vec<String> {
    let table = ground.run("cat /proc/net/tcp");
    let ports = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let port = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
        (state == "0A").then(|| port.to_string())
    });
    let ports: BTreeSet<String> = ports.collect();
    ports.into_iter().collect()
}

#[test]
fn pools_that_are_used_up_are_told_and_come_back() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let ground = Ground::new();
    let pool = ["--default-address-pool", "base=10.64.0.0/24,size=26"];
    let engine = ground.bear(engine, &pool);
    for name in ["a", "b", "c", "d"] {
        engine.docker(&["network", "create", name]).ok();
    }
    engine
        .docker(&["network", "create", "e"])
        .code(1)
        .says("all predefined address pools have been fully subnetted");
    engine.docker(&["network", "rm", "b"]).ok();
    engine.docker(&["network", "create", "e"]).ok();
    let run = ["run", "--rm", "--network", "e", "busybox", "true"];
    engine.docker(&run).ok();
    engine.docker(&["network", "rm", "a", "c", "d", "e"]).ok();
    assert!(!ground.run("ip link").contains("br-"));
}
