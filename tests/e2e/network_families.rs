//! Families of addresses, links where containers do not reach each other, and what
//! there is without a default network: as moby's own tests have it.

use crate::gantry_only;
use crate::harness::{Engine, in_network_of};
use crate::run::wait_for;

/// Whether a container gets anything from a web server.
fn reaches(engine: &Engine, from: &str, at: &str) -> bool {
    let line = format!("exec {from} timeout 2 wget -q -O- http://{at}/resolv.conf");
    engine.docker_line(&line).stdout.contains("nameserver")
}

#[test]
fn linked_containers_are_reached_where_others_are_not() {
    let engine = Engine::start_with(&["--icc=false"]);
    gantry_only!(engine);
    engine.import_busybox();
    let serve = "run -d --name web --expose 80 busybox sh -c";
    let words: Vec<&str> = serve.split(' ').collect();
    let server = ["httpd -p 81 -h /etc; exec httpd -f -p 80 -h /etc"];
    engine.docker(&[&words[..], &server].concat()).ok();
    engine
        .docker_line("run -d --name stranger busybox sleep 1000")
        .ok();
    engine
        .docker_line("run -d --name friend --link web --link web:www busybox sleep 1000")
        .ok();
    let serves = || ["localhost", "localhost:81"].map(|at| reaches(&engine, "web", at));
    wait_for(|| serves() == [true; 2]);
    let address = engine.inspect("web", "{{.NetworkSettings.IPAddress}}");
    assert!(!reaches(&engine, "stranger", &address));
    assert!(reaches(&engine, "friend", "www"));
    assert!(!reaches(&engine, "friend", "web:81"), "not exposed");
    // A new bridge answers for them as the old one did.
    in_network_of(engine.pid(), "ip link del gantry0").ok();
    wait_for(|| reaches(&engine, "friend", "web"));
    assert!(!reaches(&engine, "stranger", &address));
    // Wherever it is, it is found again.
    engine.docker_line("stop -t 0 web").ok();
    engine.docker_line("start web").ok();
    wait_for(|| serves() == [true; 2]);
    assert!(reaches(&engine, "friend", "web"));
    engine.docker_line("rm --link /friend/www").ok();
    assert!(reaches(&engine, "friend", "web"));
    engine.docker_line("rm --link /friend/web").ok();
    let address = engine.inspect("web", "{{.NetworkSettings.IPAddress}}");
    assert!(!reaches(&engine, "friend", &address), "no link any more");
    engine.docker_line("rm -f web stranger friend").ok();
}

#[test]
fn each_family_has_its_way_out() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    engine.docker_line("network create four").ok();
    engine
        .docker_line("network create --ipv4=false -o com.docker.network.enable_ipv6=true six")
        .ok();
    assert_eq!(
        engine.inspect("six", "{{.EnableIPv4}} {{.EnableIPv6}}"),
        "false true"
    );
    engine
        .docker_line(
            "run -d --name both --network four --network six -p 8123:80 busybox sleep 1000",
        )
        .ok();
    let ports = engine.docker_line("port both 80").ok().stdout;
    assert_eq!(ports, "0.0.0.0:8123\n[::]:8123\n");
    for (family, link) in [("-4", "eth0"), ("-6", "eth1")] {
        let routes = engine
            .docker_line(&format!("exec both ip {family} route"))
            .ok()
            .stdout;
        let default = routes.lines().find(|line| line.starts_with("default"));
        assert!(default.is_some_and(|line| line.contains(link)), "{routes}");
    }
    let off = "run --rm --network six --network four --sysctl net.ipv6.conf.all.disable_ipv6=1 busybox cat /etc/hosts";
    let hosts = engine.docker_line(off).ok().stdout;
    assert!(!hosts.contains("::"), "{hosts}");
    engine.docker_line("rm -f both").ok();
    engine.docker_line("network rm four six").ok();
}

#[test]
fn without_a_default_network_there_is_loopback() {
    let engine = Engine::start_with(&["--bridge", "none"]);
    gantry_only!(engine);
    engine.import_busybox();
    let links = engine
        .docker_line("run --rm busybox ls /sys/class/net")
        .ok();
    assert!(
        !links.stdout.contains("eth0") && links.stdout.contains("lo"),
        "{links:?}"
    );
}
