//! Networks when things go wrong, and over two hosts: `kill -9` while containers come
//! and go, hundreds of networks, two daemons joined by VXLAN.

mod kills;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::{Engine, finish, script};
use crate::run::wait_for;

/// A network namespace that outlives the daemons in it, as a host does.
struct Ground {
    alive: Child,
}

impl Ground {
    fn new() -> Self {
        let mut alive = Command::new("unshare");
        alive.args(["--net", "--", "sh", "-c"]);
        alive.args(["ip link set lo up; echo up; exec sleep 1000"]);
        alive.stdout(Stdio::piped()).stdin(Stdio::null());
        let mut alive = alive.spawn().expect("a namespace");
        let mut ready = [0; 3];
        let out = alive.stdout.as_mut().expect("its output");
        std::io::Read::read_exact(out, &mut ready).expect("its loopback");
        Self { alive }
    }

    /// An engine whose daemons run here, from the next one on.
    fn bear(&self, mut engine: Engine, flags: &[&str]) -> Engine {
        engine.stop_daemon();
        let here = format!("/proc/{}/ns/net", self.alive.id());
        let enter = format!("exec nsenter --net={here} -- \"$0\" \"$@\"");
        let mut engine = engine.with_mounts(&enter).with_flags(flags);
        engine.boot();
        engine
    }

    fn run(&self, words: &str) -> String {
        let here = format!("nsenter -t {} -n {words}", self.alive.id());
        finish(&mut script(&here), b"").ok().stdout
    }

    /// The same of what may fail.
    fn try_run(&self, words: &str) -> String {
        let here = format!("nsenter -t {} -n {words}", self.alive.id());
        finish(&mut script(&here), b"").stdout
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.alive.kill();
        let _ = self.alive.wait();
    }
}

fn shell(engine: &Engine, words: &str) -> String {
    let words = format!("export DOCKER_HOST={}; {words}", engine.host());
    finish(&mut script(&words), b"").stdout
}

#[test]
fn kills_while_containers_come_and_go_lose_no_address() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let ground = Ground::new();
    ground.run("ip link add up0 type veth peer name up1");
    ground.run("ip link set up0 up");
    ground.run("ip link set up1 up");
    let mut engine = ground.bear(engine, &[]);
    shell(
        &engine,
        "docker network create --subnet 10.170.0.0/29 inner; \
         docker network create -d macvlan -o parent=up0 --subnet 10.171.0.0/29 outer; \
         docker run -d --name stays busybox sleep 1000",
    );
    let mut moments = Moments::from_environment();
    for round in 0..16 {
        let network = ["inner", "outer"][round % 2];
        let work = format!(
            "export DOCKER_HOST={}; docker run -d --name comes{round} --network {network} busybox sleep 1000 & \
             docker network connect {network} stays; wait",
            engine.host()
        );
        engine.kill_during(&work, Duration::from_micros(moments.next(150_000)));
        // What the container has and what is known of it are the same.
        let known = engine.inspect("stays", "{{len .NetworkSettings.Networks}}");
        let links = shell(&engine, "docker exec stays ls /sys/class/net | grep -c eth");
        assert_eq!(links.trim(), known, "round {round}");
        shell(
            &engine,
            &format!(
                "docker network disconnect {network} stays; docker rm -f comes{round}; \
                 docker exec stays ls /sys/class/net | grep -c eth"
            ),
        );
    }
    // Five addresses of eight are containers'; all of them are still there.
    for network in ["inner", "outer"] {
        for number in 1..=5 {
            let name = format!("{network}{number}");
            let words = [
                "run",
                "-d",
                "--name",
                &name,
                "--network",
                network,
                "busybox",
                "sleep",
                "1000",
            ];
            engine.docker(&words).ok();
        }
        let full = engine.docker(&["run", "--rm", "--network", network, "busybox", "true"]);
        assert!(
            full.stderr.contains("no available IPv4 addresses"),
            "{full:?}"
        );
    }
    shell(
        &engine,
        "docker rm -f $(docker ps -aq); docker network rm inner outer",
    );
    let links = ground.run("ip link");
    assert!(links.contains("up0") && !links.contains("br-"), "{links}");
}

#[test]
fn five_hundred_networks_are_had_at_once() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let ground = Ground::new();
    let pool = ["--default-address-pool", "base=10.64.0.0/11,size=24"];
    let mut engine = ground.bear(engine, &pool);
    let socket = engine.host().replace("unix://", "");
    shell(
        &engine,
        &format!(
            "seq 500 | xargs -P 4 -I % curl -s -o /dev/null --unix-socket {socket} \
             -H 'Content-Type: application/json' -d '{{\"Name\":\"n%\"}}' http://d/networks/create"
        ),
    );
    let subnets = "docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' \
                   $(docker network ls -q --filter type=custom) | sort -u | wc -l";
    assert_eq!(shell(&engine, subnets).trim(), "500");
    engine
        .docker(&["run", "--rm", "--network", "n500", "busybox", "true"])
        .ok();
    engine.kill_daemon();
    engine.boot();
    assert_eq!(shell(&engine, subnets).trim(), "500");
    engine
        .docker(&["run", "--rm", "--network", "n250", "busybox", "true"])
        .ok();
    engine.docker(&["network", "prune", "-f"]).ok();
    assert!(!ground.run("ip link").contains("br-"));
}

#[test]
fn two_daemons_are_one_network_by_vxlan() {
    let (here, there) = (Engine::with_busybox(), Engine::with_busybox());
    gantry_only!(here);
    let (near, far) = (here.pid(), there.pid());
    finish(
        &mut script(&format!(
            "set -e; nsenter -t {near} -n ip link add up0 type veth peer name up0 netns /proc/{far}/ns/net; \
             nsenter -t {near} -n ip addr add 192.0.2.1/24 dev up0; nsenter -t {near} -n ip link set up0 up; \
             nsenter -t {far} -n ip addr add 192.0.2.2/24 dev up0; nsenter -t {far} -n ip link set up0 up; \
             nsenter -t {near} -n ip link show up0; nsenter -t {far} -n ip link show up0"
        )),
        b"",
    )
    .ok();
    for (engine, range) in [(&here, "10.99.1.0/24"), (&there, "10.99.2.0/24")] {
        let peers = "gantry.peers=192.0.2.1,192.0.2.2";
        let words = [
            "network",
            "create",
            "-d",
            "overlay",
            "-o",
            peers,
            "--subnet",
            "10.99.0.0/16",
            "--ip-range",
            range,
            "shared",
        ];
        engine.docker(&words).ok();
        let words = [
            "run",
            "-d",
            "--name",
            "one",
            "--network",
            "shared",
            "busybox",
            "sleep",
            "1000",
        ];
        engine.docker(&words).ok();
    }
    let address =
        |engine: &Engine| engine.inspect("one", "{{.NetworkSettings.Networks.shared.IPAddress}}");
    assert_eq!(
        (address(&here), address(&there)),
        ("10.99.1.1".to_owned(), "10.99.2.1".to_owned())
    );
    let reached = |from: &Engine, to: &str| {
        let ping = from.docker(&["exec", "one", "ping", "-c1", "-W1", to]);
        ping.stdout.contains("1 packets received")
    };
    wait_for(|| reached(&here, "10.99.2.1"));
    assert!(reached(&there, "10.99.1.1"));
    let mtu = here.docker(&["exec", "one", "cat", "/sys/class/net/eth0/mtu"]);
    assert_eq!(mtu.ok().line(), "1450");
    // Another network is not reached over it.
    here.docker(&["network", "create", "other"]).ok();
    let ping = [
        "run",
        "--rm",
        "--network",
        "other",
        "busybox",
        "ping",
        "-c1",
        "-W1",
        "10.99.2.1",
    ];
    assert!(here.docker(&ping).stdout.contains("0 packets received"));
    for engine in [&here, &there] {
        engine.docker(&["rm", "-f", "one"]).ok();
        engine.docker(&["network", "rm", "shared"]).ok();
    }
    let left = finish(&mut script(&format!("nsenter -t {near} -n ip link")), b"")
        .ok()
        .stdout;
    assert!(!left.contains("vx-"), "{left}");
}
