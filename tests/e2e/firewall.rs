//! Published ports and the firewall, seen from other hosts: network namespaces
//! behind a link to the daemon's.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gantry_only;
use crate::harness::{Engine, command, finish, script};

/// Another host: what is sent from here comes to the engine from outside.
struct Host {
    alive: Child,
}

impl Host {
    /// A host at `there`, behind a link whose near end has `here`.
    fn beyond(engine: &Engine, here: &str, there: &str) -> Self {
        let mut alive = Command::new("unshare");
        alive.args(["--net", "--", "sh", "-c"]);
        alive.args(["ip link set lo up; echo up; exec sleep 1000"]);
        alive.stdout(Stdio::piped()).stdin(Stdio::null());
        let mut alive = alive.spawn().expect("a namespace");
        let mut ready = [0; 3];
        let out = alive.stdout.as_mut().expect("its output");
        std::io::Read::read_exact(out, &mut ready).expect("its loopback");
        let host = Self { alive };
        let (near, far) = (engine.pid(), host.alive.id());
        let link = format!("far{far}");
        finish(
            &mut script(&format!(
                "set -e; nsenter -t {near} -n ip link add {link} type veth peer name up0 netns /proc/{far}/ns/net; \
                 nsenter -t {near} -n ip addr add {here} dev {link}; nsenter -t {near} -n ip link set {link} up; \
                 nsenter -t {far} -n ip addr add {there} dev up0; nsenter -t {far} -n ip link set up0 up; \
                 nsenter -t {near} -n ip link show {link}; nsenter -t {far} -n ip link show up0"
            )),
            b"",
        )
        .ok();
        host
    }

    fn run(&self, words: &str) -> String {
        let target = self.alive.id().to_string();
        let mut all = vec!["-t", &target, "-n", "--"];
        all.extend(words.split(' '));
        finish(&mut command("nsenter", &all), b"").stdout
    }

    /// What a web server answers; nothing where it is not reached.
    fn fetch(&self, address: &str) -> String {
        self.run(&format!("curl -sg -m 1 http://{address}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.alive.kill();
        let _ = self.alive.wait();
    }
}

/// A command in the engine's own network.
fn here(engine: &Engine, words: &str) -> String {
    let target = engine.pid().to_string();
    let mut all = vec!["-t", &target, "-n", "--"];
    all.extend(words.split(' '));
    finish(&mut command("nsenter", &all), b"").stdout
}

fn fetch(engine: &Engine, address: &str) -> String {
    here(engine, &format!("curl -sg -m 1 http://{address}"))
}

/// Starts a web server that says its name.
fn serve(engine: &Engine, name: &str, flags: &[&str]) {
    let server = format!("mkdir /w; echo {name} >/w/index.html; exec httpd -f -p 80 -h /w");
    let run = [
        &["run", "-d", "--name", name][..],
        flags,
        &["busybox", "sh", "-c", &server],
    ];
    engine.docker(&run.concat()).ok();
    eventually("it serves", || {
        engine
            .docker(&["exec", name, "wget", "-q", "-O-", "http://127.0.0.1"])
            .stdout
            == format!("{name}\n")
    });
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ports_are_for_those_they_are_published_to() {
    let engine = Engine::start_with(&["--publish-from", "198.51.100.0/24"]);
    gantry_only!(engine);
    engine.import_busybox();
    let near = Host::beyond(&engine, "192.0.2.1/24", "192.0.2.2/24");
    let far = Host::beyond(&engine, "198.51.100.1/24", "198.51.100.2/24");
    let from = |who: &str| format!("gantry.publish-from={who}");
    serve(
        &engine,
        "near",
        &[
            "-p",
            "8001:80",
            "--annotation",
            &from("192.0.2.0/28,192.0.2.0/24"),
        ],
    );
    serve(&engine, "default", &["-p", "8002:80"]);
    serve(
        &engine,
        "everybody",
        &["-p", "8003:80", "--annotation", &from("all")],
    );
    let seen = |host: &Host, at: &str| {
        [8001, 8002, 8003].map(|port| host.fetch(&format!("{at}:{port}")).trim().to_owned())
    };
    assert_eq!(seen(&near, "192.0.2.1"), ["near", "", "everybody"]);
    assert_eq!(seen(&far, "198.51.100.1"), ["", "default", "everybody"]);
    for (port, name) in [(8001, "near"), (8002, "default")] {
        for at in ["127.0.0.1", "192.0.2.1", "[::1]"] {
            let told = fetch(&engine, &format!("{at}:{port}"));
            assert_eq!(told, format!("{name}\n"), "the host itself, {at}");
        }
    }
    let wrong = ["create", "--annotation", &from("the-office"), "busybox"];
    engine
        .docker(&wrong)
        .code(1)
        .says("invalid subnet to publish to: \"the-office\"");
    let flag = [
        "create",
        "--name",
        "flag",
        "--publish-from",
        "10.0.0.0/8",
        "--publish-from=::1",
        "busybox",
    ];
    engine.gantry(&flag).ok();
    let annotations = engine.inspect("flag", "{{json .HostConfig.Annotations}}");
    assert_eq!(annotations, r#"{"gantry.publish-from":"10.0.0.0/8,::1"}"#);
    engine
        .docker(&["rm", "-f", "near", "default", "everybody", "flag"])
        .ok();
}

#[test]
fn what_is_not_published_is_not_reached() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let far = Host::beyond(&engine, "192.0.2.1/24", "192.0.2.2/24");
    far.run("ip route add default via 192.0.2.1");
    engine.docker(&["network", "create", "users"]).ok();
    for (name, network) in [("plain", "bridge"), ("other", "users")] {
        serve(
            &engine,
            name,
            &[
                "--network",
                network,
                "-p",
                "127.0.0.1:8080:80",
                "--expose",
                "81",
            ],
        );
        let format = format!("{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}");
        let address = engine.inspect(name, &format);
        assert_eq!(
            fetch(&engine, &address),
            format!("{name}\n"),
            "from the host"
        );
        assert_eq!(far.fetch(&address), "", "by the container's own address");
        assert_eq!(far.fetch("192.0.2.1:8080"), "", "on loopback only");
        assert_eq!(fetch(&engine, "127.0.0.1:8080"), format!("{name}\n"));
        let out = "ping -c1 -W2 192.0.2.2";
        let exec = [&["exec", name][..], &out.split(' ').collect::<Vec<_>>()].concat();
        assert!(
            engine
                .docker(&exec)
                .ok()
                .stdout
                .contains("1 packets received"),
            "the way out"
        );
        engine.docker(&["rm", "-f", name]).ok();
    }
}

#[test]
fn rules_and_bridges_that_others_delete_come_back() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let far = Host::beyond(&engine, "192.0.2.1/24", "192.0.2.2/24");
    engine
        .docker(&[
            "network",
            "create",
            "-o",
            "com.docker.network.bridge.name=e2efwbr",
            "users",
        ])
        .ok();
    serve(&engine, "plain", &["-p", "8080:80"]);
    serve(&engine, "user", &["--network", "users", "-p", "8081:80"]);
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "friend",
            "--network",
            "users",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    let all_is_well = |what: &str| {
        for (port, name) in [(8080, "plain"), (8081, "user")] {
            eventually(&format!("{what}: {name} from outside"), || {
                far.fetch(&format!("192.0.2.1:{port}")) == format!("{name}\n")
            });
            eventually(&format!("{what}: {name} from here"), || {
                fetch(&engine, &format!("127.0.0.1:{port}")) == format!("{name}\n")
            });
        }
        let ping = engine.docker(&["exec", "friend", "ping", "-c1", "-W2", "user"]);
        assert!(
            ping.stdout.contains("1 packets received"),
            "{what}: {ping:?}"
        );
    };
    all_is_well("before");
    for bridge in ["gantry0", "e2efwbr"] {
        here(&engine, &format!("ip link del {bridge}"));
        all_is_well(bridge);
    }
    assert!(
        engine
            .daemon_log()
            .contains("the bridge was deleted; it is made again")
    );
    engine.docker(&["rm", "-f", "plain", "user", "friend"]).ok();
    engine.docker(&["network", "rm", "users"]).ok();
    std::thread::sleep(Duration::from_millis(200));
    let links = here(&engine, "ip -o link");
    assert!(
        !links.contains("e2efwbr"),
        "a removed network's bridge stays away: {links}"
    );
}
