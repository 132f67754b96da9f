//! Packets that come to the containers' own addresses, and the addresses that packets
//! of containers have when they leave.

use super::{Host, eventually, fetch, here, serve};
use crate::gantry_only;
use crate::harness::Engine;

const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";

/// Two hosts that know the way to containers.
fn hosts(engine: &Engine) -> (Host, Host) {
    let near = Host::beyond(engine, "192.0.2.1/24", "192.0.2.2/24");
    near.run("ip route add default via 192.0.2.1");
    let far = Host::beyond(engine, "198.51.100.1/24", "198.51.100.2/24");
    far.run("ip route add default via 198.51.100.1");
    (near, far)
}

fn address(engine: &Engine, container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    engine.inspect(container, format)
}

fn clean(engine: &Engine, containers: &[&str]) {
    engine.docker(&[&["rm", "-f"], containers].concat()).ok();
}

#[test]
fn trusted_interfaces_lead_to_published_ports_of_containers() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let (near, far) = hosts(&engine);
    let trusted = format!("{TRUSTED}=none0:{}", near.link());
    let create = ["network", "create", "-o", &trusted, "lan"];
    engine.docker(&create).ok();
    let lan = ["--network", "lan"];
    let ports = ["-p", "127.0.0.1:8001:80", "-p", "127.0.0.1:8002:80"];
    serve(&engine, "open", &[&lan[..], &ports].concat());
    serve(&engine, "closed", &lan);
    let (open, closed) = (address(&engine, "open"), address(&engine, "closed"));
    assert_eq!(near.fetch(&open), "open\n");
    assert_eq!(far.fetch(&open), "", "by another interface");
    assert_eq!(near.fetch(&closed), "", "not published");
    assert_eq!(fetch(&engine, "127.0.0.1:8002"), "open\n");
    clean(&engine, &["open"]);
    assert_eq!(near.fetch(&open), "", "gone");
    serve(&engine, "other", &lan);
    assert_eq!(address(&engine, "other"), open);
    assert_eq!(near.fetch(&open), "", "another container's");
    clean(&engine, &["closed", "other"]);
    engine.docker(&["network", "rm", "lan"]).ok();
}

#[test]
fn everybody_is_routed_to_published_ports_where_that_is_allowed() {
    let engine = Engine::start_with(&["--allow-direct-routing", "--bridge-accept-fwmark=0x5/0xf"]);
    gantry_only!(engine);
    engine.import_busybox();
    let (near, far) = hosts(&engine);
    let from = "gantry.publish-from=198.51.100.0/24";
    serve(&engine, "open", &["-p", "8001:80"]);
    serve(&engine, "some", &["-p", "8002:80", "--annotation", from]);
    serve(&engine, "closed", &[]);
    for host in [&near, &far] {
        assert_eq!(host.fetch(&address(&engine, "open")), "open\n");
        assert_eq!(host.fetch(&address(&engine, "closed")), "");
    }
    assert_eq!(near.fetch(&address(&engine, "some")), "");
    assert_eq!(far.fetch(&address(&engine, "some")), "some\n");
    clean(&engine, &["open", "some", "closed"]);
}

#[test]
fn packets_leave_with_the_address_of_the_host_that_is_named() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let near = Host::beyond(&engine, "192.0.2.1/24", "192.0.2.2/32");
    let link = near.link();
    here(&engine, &format!("ip addr add 192.0.2.7/24 dev {link}"));
    for more in ["2001:db8::1/64", "2001:db8::7/64"] {
        here(&engine, &format!("ip addr add {more} dev {link} nodad"));
    }
    // Only answers to these addresses find their way.
    near.run("ip route add 192.0.2.7 dev up0");
    near.run("ip addr add 2001:db8::2/128 dev up0 nodad");
    near.run("ip -6 route add 2001:db8::7 dev up0");
    let named = [
        "network",
        "create",
        "--ipv6",
        "-o",
        "com.docker.network.host_ipv4=192.0.2.7",
        "-o",
        "com.docker.network.host_ipv6=2001:db8::7",
        "named",
    ];
    engine.docker(&named).ok();
    let reached = |network: &str, address: &str| {
        let ping = ["run", "--rm", "--network", network, "busybox", "ping"];
        let words = [&ping[..], &["-c1", "-W2", address]].concat();
        engine.docker(&words).stdout.contains("1 packets received")
    };
    eventually("IPv4", || reached("named", "192.0.2.2"));
    eventually("IPv6", || reached("named", "2001:db8::2"));
    assert!(!reached("bridge", "192.0.2.2"), "that of the link");
    engine.docker(&["network", "rm", "named"]).ok();
}
