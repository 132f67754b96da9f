//! Published ports and the firewall, seen from other hosts: network namespaces
//! behind a link to the daemon's.

mod direct;
mod matrix;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gantry_only;
use crate::harness::{Engine, finish, in_network_of, script};

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
        let link = host.link();
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

    /// The near end of the link.
    fn link(&self) -> String {
        format!("far{}", self.alive.id())
    }

    fn run(&self, words: &str) -> String {
        in_network_of(self.alive.id(), words).stdout
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
    in_network_of(engine.pid(), words).stdout
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

#[test]
fn the_way_of_a_packet_is_explained() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let lan = "gantry.publish-from=192.0.2.0/24";
    serve(
        &engine,
        "web",
        &["-p", "0.0.0.0:8080:80", "--annotation", lan],
    );
    serve(
        &engine,
        "local",
        &[
            "-p",
            "127.0.0.1:9090:80",
            "-p",
            "[::1]:9090:81",
            "--expose",
            "82",
        ],
    );
    let explain = |words: &str| {
        let all: Vec<&str> = ["network", "explain"]
            .into_iter()
            .chain(words.split(' '))
            .collect();
        engine.gantry(&all)
    };
    let open = explain("8080 --from 192.0.2.7").ok().stdout;
    for words in [
        "8080/tcp from 192.0.2.7: open\n0.0.0.0:8080 -> web (",
        "), 172.17.0.2:80, network bridge\n",
        "192.0.2.7 is one of those it is published to: 192.0.2.0/24",
        "table ip gantry, chain prerouting: map published has tcp . 8080 : 172.17.0.2 . 80",
        "the container listens on 80/tcp",
    ] {
        assert!(open.contains(words), "{words}: {open}");
    }
    let closed = explain("8080 --from 198.51.100.7").code(1).stdout;
    assert!(
        closed.contains("0.0.0.0:8080 -x web") && closed.contains("none of those"),
        "{closed}"
    );
    let local = explain("9090/tcp").ok().stdout;
    for words in [
        "127.0.0.1:9090 -> local",
        "[::1]:9090 -> local",
        "by the daemon's proxy",
        "listens on 81",
    ] {
        assert!(local.contains(words), "{words}: {local}");
    }
    let outside = explain("9090 --from 198.51.100.7").code(1).stdout;
    assert!(outside.contains("published at 127.0.0.1 only"), "{outside}");
    let none = explain("82").code(1).stdout;
    assert!(
        none.contains("82/tcp: closed\nNote: no container publishes this port\n"),
        "{none}"
    );
    assert!(
        none.contains("container local exposes 82/tcp to its networks"),
        "{none}"
    );
    explain("lan").code(1).says("invalid port: \"lan\"");
    explain("80 --from lan")
        .code(1)
        .says("invalid IP address: lan");
    engine.docker(&["rm", "-f", "web", "local"]).ok();
}

#[test]
fn without_rules_and_without_the_proxy() {
    let mut engine = Engine::start_with(&["--iptables=false"]);
    gantry_only!(engine);
    engine.import_busybox();
    serve(&engine, "web", &["-p", "8080:80"]);
    for at in ["127.0.0.1", "[::1]"] {
        assert_eq!(fetch(&engine, &format!("{at}:8080")), "web\n");
    }
    let told = engine.gantry(&["network", "explain", "8080"]).ok().stdout;
    assert!(told.contains("the kernel does not forward here"), "{told}");
    engine.docker(&["rm", "-f", "web"]).ok();
    for (flags, at, other) in [
        (&["--userland-proxy=false"][..], "127.0.0.1", "[::1]"),
        (
            &["--ip6tables=false", "--publish-default", "127.0.0.1"],
            "127.0.0.1",
            "[::1]",
        ),
    ] {
        engine.stop_daemon();
        engine = engine.with_flags(flags);
        engine.boot();
        engine.docker(&["network", "create", "--ipv6", "six"]).ok();
        serve(&engine, "web", &["--network", "six", "-p", "8080:80"]);
        assert_eq!(fetch(&engine, &format!("{at}:8080")), "web\n", "{flags:?}");
        assert_eq!(fetch(&engine, &format!("{other}:8080")), "", "{flags:?}");
        engine.docker(&["rm", "-f", "web"]).ok();
        engine.docker(&["network", "rm", "six"]).ok();
    }
    engine.stop_daemon();
    let mut wrong = engine
        .with_flags(&["--iptables=false", "--icc=false"])
        .daemon_command();
    finish(&mut wrong, b"").code(1).says(
        "You specified --iptables=false with --icc=false. ICC=false uses iptables to function.",
    );
}

#[test]
fn the_daemon_says_where_names_are_asked() {
    let engine = Engine::start_with(&[
        "--dns",
        "192.0.2.53",
        "--dns-opt",
        "timeout:3",
        "--dns-search",
        "example.org",
        "--host-gateway-ip",
        "192.0.2.1",
        "--host-gateway-ip",
        "2001:db8::1",
    ]);
    gantry_only!(engine);
    engine.import_busybox();
    let run = |flags: &[&str], file: &str| {
        let words = [&["run", "--rm"], flags, &["busybox", "cat", file]].concat();
        engine.docker(&words).ok().stdout
    };
    let resolv = run(&[], "/etc/resolv.conf");
    for line in [
        "nameserver 192.0.2.53\n",
        "search example.org\n",
        "options timeout:3\n",
    ] {
        assert!(resolv.contains(line), "{resolv}");
    }
    let own = run(
        &["--dns", "192.0.2.54", "--dns-search", "."],
        "/etc/resolv.conf",
    );
    assert!(own.contains("nameserver 192.0.2.54\n") && own.contains("options timeout:3\n"));
    assert!(
        !own.contains("192.0.2.53") && !own.contains("search"),
        "{own}"
    );
    let hosts = run(&["--add-host", "gw:host-gateway"], "/etc/hosts");
    assert!(
        hosts.contains("192.0.2.1\tgw\n2001:db8::1\tgw\n"),
        "{hosts}"
    );
    let wrong = [
        "--host-gateway-ip",
        "192.0.2.1",
        "--host-gateway-ip",
        "192.0.2.2",
    ];
    let mut wrong = engine.with_flags(&wrong).daemon_command();
    finish(&mut wrong, b"")
        .code(1)
        .says("only one IPv4 host gateway IP address can be specified");
}
