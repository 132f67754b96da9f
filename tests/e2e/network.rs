//! The networks of this stage: bridge, none, host.

use crate::harness::Engine;

#[test]
fn bridge_has_an_address_a_gateway_and_names() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "net", "busybox", "sleep", "1000"])
        .ok();
    let told = engine.inspect("net", "{{.NetworkSettings.Networks.bridge.IPAddress}} {{.NetworkSettings.Networks.bridge.Gateway}}");
    let (address, gateway) = told.split_once(' ').expect("two addresses");
    let own = "a=$(ip -4 addr show eth0 | awk '/inet /{print $2}'); test -n \"$a\"; \
         grep -q \"^${a%/*}\" /etc/hosts; g=$(ip route | awk '/default/{print $3}'); ping -c1 -W2 $g >/dev/null; \
         test -s /etc/resolv.conf; grep -q \"$(hostname)\" /etc/hosts; echo fine";
    engine
        .docker(&["run", "--rm", "busybox", "sh", "-ec", own])
        .ok()
        .prints("fine\n");
    assert!(!address.is_empty() && !gateway.is_empty(), "{told}");
    let ping = engine
        .docker(&["run", "--rm", "busybox", "ping", "-c1", "-W2", address])
        .ok();
    assert!(ping.stdout.contains("1 packets received"), "{ping:?}");
    engine.docker(&["rm", "-f", "net"]).ok();
}

#[test]
fn none_has_only_loopback() {
    let engine = Engine::with_busybox();
    let links = engine
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "ls",
            "/sys/class/net",
        ])
        .ok();
    assert!(
        !links.stdout.contains("eth0") && links.stdout.contains("lo"),
        "{links:?}"
    );
}

#[test]
fn host_shares_the_daemons_network() {
    let engine = Engine::with_busybox();
    let guest = engine
        .docker(&[
            "run",
            "--rm",
            "--network",
            "host",
            "busybox",
            "readlink",
            "/proc/self/ns/net",
        ])
        .ok()
        .line();
    if engine.is_gantry() {
        let host = std::fs::read_link(format!("/proc/{}/ns/net", engine.pid()))
            .expect("the daemon's namespace");
        assert_eq!(guest, host.to_string_lossy());
    }
    let own = engine
        .docker(&["run", "--rm", "busybox", "readlink", "/proc/self/ns/net"])
        .ok()
        .line();
    assert_ne!(own, guest);
}

#[test]
fn many_containers_have_different_addresses() {
    let engine = Engine::with_busybox();
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                engine
                    .docker(&["run", "-d", "--name", name, "busybox", "sleep", "1000"])
                    .ok()
            });
        }
    });
    let mut seen: Vec<String> = names
        .iter()
        .map(|name| engine.inspect(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}"))
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), names.len(), "{seen:?}");
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    engine.docker(&[&["rm", "-f"], &all[..]].concat()).ok();
}
