//! Networks with real packets. Each test is a host of its own: a fresh network
//! namespace, so nothing of this machine is touched and nothing stays behind.
//!
//! Needs root and `ip` (iproute2); skips visibly without them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "not every file of tests uses all of it")]
mod harness;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_network::{
    AddressPool, Attachment, BridgeChoice, Error, Living, Network, NetworkConfig, NetworkMode,
    Sandbox,
};
use gantry_types::ErrorKind;
use harness::{Host, address, connect, container, echo, eventually, ip, ping, plain, unpooled};

fn endpoint(sandbox: &Sandbox) -> &gantry_network::Endpoint {
    &sandbox.attachment.endpoints[0]
}

fn gateway(sandbox: &Sandbox) -> IpAddr {
    endpoint(sandbox).ipv4.unwrap().gateway.unwrap()
}

/// Name and id of the predefined networks.
fn predefined(network: &Network) -> Vec<(String, String)> {
    let names = ["bridge", "host", "none"];
    let found = names.iter().filter_map(|name| network.find(name).ok());
    found.map(|d| (d.name.clone(), d.id.clone())).collect()
}

fn subnet(network: &Network) -> String {
    network.find("bridge").unwrap().subnets[0].subnet.clone()
}

fn living(number: u8, attachment: &Attachment) -> Living {
    Living {
        container: container(number),
        name: format!("c{number}"),
        attachment: attachment.clone(),
        netns: None,
        dns: Vec::new(),
    }
}

#[test]
fn a_sandbox_talks_to_the_gateway_and_to_its_neighbours() {
    Host::run(|host| {
        let network = host.open(unpooled());
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let two = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        assert_eq!(address(&one), Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(address(&two), Ipv4Addr::new(172, 17, 0, 3));
        let interface = endpoint(&one).interface.as_ref().unwrap();
        assert_eq!(interface.mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!(gateway(&one), IpAddr::from([172, 17, 0, 1]));
        assert_eq!(endpoint(&one).endpoint_id.len(), 64);
        assert_ne!(one.attachment.sandbox_id, two.attachment.sandbox_id);

        let server = echo(None, gateway(&one));
        connect(Some(&one), server).unwrap();
        let server = echo(Some(&two), address(&two).into());
        connect(Some(&one), server).unwrap();
        connect(None, server).unwrap();
        ping(&one, Ipv4Addr::new(172, 17, 0, 1)).unwrap();
        let inside = host.inside(&one, || {
            let eth0 = std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
            let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
            (
                ip("-4 addr show eth0"),
                ip("route"),
                ip("link show lo"),
                eth0.ok(),
                ports.unwrap(),
            )
        });
        assert!(
            inside.0.contains("inet 172.17.0.2/16 brd 172.17.255.255"),
            "{}",
            inside.0
        );
        assert!(
            inside.1.contains("default via 172.17.0.1 dev eth0"),
            "{}",
            inside.1
        );
        assert!(inside.2.contains("LOOPBACK,UP"), "{}", inside.2);
        assert!(inside.3.is_none_or(|v| v.trim() == "1"));
        assert_eq!(inside.4.trim(), "0");
        network.destroy().unwrap();
        assert!(!ip("link").contains("gantry0"));
    });
}

#[test]
fn traffic_to_the_world_is_masqueraded_and_unpublished_ports_are_closed() {
    Host::run(|host| {
        let network = host.open(unpooled());
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let sandbox = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();

        let outside = world.echo("192.0.2.2".parse().unwrap());
        let seen = connect(Some(&sandbox), outside).unwrap();
        assert_eq!(seen, "192.0.2.1", "the world sees the host's address");

        world.ip("route add 172.17.0.0/16 via 192.0.2.1");
        let closed = echo(Some(&sandbox), address(&sandbox).into());
        connect(None, closed).expect("open from the host");
        let error = world.connect(closed).expect_err("closed from the world");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");

        // The same topology without a firewall: the packets do arrive.
        network.destroy().unwrap();
        drop(sandbox);
        let open = NetworkConfig {
            iptables: false,
            ..unpooled()
        };
        let network = host.open(open);
        let sandbox = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let server = echo(Some(&sandbox), address(&sandbox).into());
        assert_eq!(world.connect(server).unwrap(), "192.0.2.2");
        assert_eq!(
            connect(Some(&sandbox), outside).unwrap(),
            address(&sandbox).to_string()
        );
    });
}

#[test]
fn the_host_does_not_become_a_router_for_others() {
    Host::run(|host| {
        // A new namespace begins with what this machine has.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let near = host.world("192.0.2.1/24", "192.0.2.2/24");
        let far = host.world("198.51.100.1/24", "198.51.100.2/24");
        near.ip("route add default via 192.0.2.1");
        far.ip("route add default via 198.51.100.1");
        let server = far.echo("198.51.100.2".parse().unwrap());
        let network = host.open(unpooled());
        near.connect(server)
            .expect_err("we switched forwarding on for containers only");
        // A later daemon finds forwarding on, and keeps it so.
        drop(network);
        let network = host.open(unpooled());
        near.connect(server)
            .expect_err("still closed after a restart");
        network.destroy().unwrap();
        near.connect(server).expect("nothing of us is left");
    });
}

#[test]
fn without_icc_containers_reach_the_world_but_not_each_other() {
    Host::run(|host| {
        let network = host.open(NetworkConfig {
            icc: false,
            ..unpooled()
        });
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let two = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        let server = echo(Some(&two), address(&two).into());
        connect(Some(&one), server).expect_err("not through the bridge");
        host.inside(&one, || {
            ip(&format!("route add {}/32 via 172.17.0.1", address(&two)))
        });
        connect(Some(&one), server).expect_err("not through the gateway");
        connect(None, server).expect("the host may");
        connect(Some(&one), world.echo("192.0.2.2".parse().unwrap())).expect("the world may");
    });
}

#[test]
fn a_hundred_sandboxes_at_once_share_nothing_and_leave_nothing() {
    Host::run(|host| {
        let network = host.open(NetworkConfig {
            pool_size: 4,
            ..NetworkConfig::default()
        });
        network.reconcile(Vec::new()).unwrap();
        let here = gantry_sys::netns::current().unwrap();
        let sandboxes: Vec<Sandbox> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|number| {
                    let network = &network;
                    scope.spawn(move || {
                        network.attach(&container(number), NetworkMode::Bridge, plain())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap().unwrap())
                .collect()
        });
        let addresses: HashSet<_> = sandboxes.iter().map(address).collect();
        assert_eq!(addresses.len(), 100);
        for pair in [(0, 99), (42, 7), (63, 12)] {
            let to = &sandboxes[pair.1];
            connect(Some(&sandboxes[pair.0]), echo(Some(to), address(to).into())).unwrap();
        }
        network.shutdown();
        for number in 0..100 {
            network.release(&container(number));
        }
        assert!(matches!(
            network.attach(&container(1), NetworkMode::None, plain()),
            Err(Error::ShutDown)
        ));
        drop((sandboxes, here));
        eventually("all links vanish", || !ip("link").contains("veth"));
    });
}

#[test]
fn a_restart_finds_the_same_network_and_keeps_the_living() {
    Host::run(|host| {
        let first = host.open(unpooled());
        let ids = predefined(&first);
        let known = first
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let unknown = first
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        let rules = nft_ruleset();
        drop(first);

        let second = host.open(unpooled());
        assert_eq!(predefined(&second), ids);
        assert_eq!(nft_ruleset(), rules);
        second
            .reconcile(vec![living(1, &known.attachment)])
            .unwrap();
        let third = second
            .attach(&container(3), NetworkMode::Bridge, plain())
            .unwrap();
        assert_eq!(
            address(&third),
            Ipv4Addr::new(172, 17, 0, 4),
            "2 and 3 are alive"
        );
        connect(Some(&third), echo(Some(&known), address(&known).into())).unwrap();

        // The unknown one ends; its address can be had again.
        let freed = address(&unknown);
        drop(unknown);
        eventually("the address is free again", || {
            let next = second
                .attach(&container(4), NetworkMode::Bridge, plain())
                .unwrap();
            address(&next) == freed
        });
        let twice = vec![living(1, &known.attachment), living(9, &known.attachment)];
        let error = second.reconcile(twice).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    });
}

#[test]
fn a_chosen_subnet_is_free_and_stays() {
    Host::run(|host| {
        ip("link add other type veth peer name other-peer");
        ip("link set other-peer up");
        ip("addr add 172.17.200.1/24 dev other");
        ip("link set other up");
        let network = host.open(unpooled());
        let chosen = subnet(&network);
        assert_eq!(chosen, "172.18.0.0/16");
        network.destroy().unwrap();
        drop(network);
        ip("link del other");
        let network = host.open(unpooled());
        assert_eq!(subnet(&network), chosen, "remembered");
        network.destroy().unwrap();

        let bip = Some("10.9.8.1/29".parse().unwrap());
        let network = host.open(NetworkConfig { bip, ..unpooled() });
        assert_eq!(
            network.host_gateways(),
            ["10.9.8.1".parse::<IpAddr>().unwrap()]
        );
        let sandboxes: Vec<_> = (0..5)
            .map(|n| {
                network
                    .attach(&container(n), NetworkMode::Bridge, plain())
                    .unwrap()
            })
            .collect();
        let error = network
            .attach(&container(6), NetworkMode::Bridge, plain())
            .unwrap_err();
        assert!(matches!(error, Error::AddressesExhausted { .. }), "{error}");
        // Released but still held: its interface goes before its address comes back.
        let held = address(&sandboxes[2]);
        network.release(&container(2));
        let again = network
            .attach(&container(6), NetworkMode::Bridge, plain())
            .unwrap();
        assert_eq!(address(&again), held);
        connect(
            Some(&again),
            echo(Some(&sandboxes[0]), address(&sandboxes[0]).into()),
        )
        .unwrap();

        let pools = vec![AddressPool {
            base: "10.9.8.0/24".parse().unwrap(),
            size: 25,
        }];
        let error = host
            .try_open(NetworkConfig {
                bridge: BridgeChoice::Own("other1".to_owned()),
                default_address_pools: pools,
                ..unpooled()
            })
            .map(|n| subnet(&n));
        assert_eq!(error.unwrap(), "10.9.8.128/25");
    });
}

#[test]
fn foreign_bridges_and_tables_are_left_alone() {
    Host::run(|host| {
        ip("link add br-admin type bridge");
        let admin = || NetworkConfig {
            bridge: BridgeChoice::Existing("br-admin".to_owned()),
            ..unpooled()
        };
        let error = host.try_open(admin()).unwrap_err();
        assert_eq!(error.to_string(), "bridge br-admin: it has no IPv4 address");
        ip("addr add 10.1.2.3/24 dev br-admin");
        ip("link set br-admin up");
        nft("add table ip filter");
        nft("add chain ip filter forward { type filter hook forward priority 0 ; }");
        let before = nft_ruleset();
        let network = host.open(admin());
        let sandbox = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        assert_eq!(address(&sandbox), Ipv4Addr::new(10, 1, 2, 1));
        assert_eq!(gateway(&sandbox), IpAddr::from([10, 1, 2, 3]));
        network.destroy().unwrap();
        assert!(ip("addr show br-admin").contains("10.1.2.3/24"));
        assert_eq!(nft_ruleset(), before);

        ip("link add gantry0 type veth peer name other-peer");
        let error = host.try_open(unpooled()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    });
}

#[test]
fn a_deleted_bridge_is_made_again() {
    Host::run(|host| {
        let network = host.open(NetworkConfig {
            pool_size: 2,
            ..NetworkConfig::default()
        });
        let old = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        eventually("the pool is full", || {
            network.ready(NetworkMode::Bridge) == 2
        });
        ip("link del gantry0");
        let new = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        connect(Some(&new), echo(None, gateway(&new))).unwrap();
        connect(Some(&new), echo(Some(&old), address(&old).into())).unwrap();
    });
}

#[test]
fn none_has_loopback_and_host_has_no_namespace() {
    Host::run(|host| {
        let network = host.open(unpooled());
        let none = network
            .attach(&container(1), NetworkMode::None, plain())
            .unwrap();
        assert!(endpoint(&none).interface.is_none());
        let links = host.inside(&none, || ip("-o link"));
        assert!(links.contains("lo: <LOOPBACK,UP"), "{links}");
        assert!(!links.contains("eth0"), "{links}");
        let host_network = network
            .attach(&container(2), NetworkMode::Host, plain())
            .unwrap();
        assert!(host_network.netns.is_none());
        assert_eq!(
            endpoint(&host_network).network_id,
            predefined(&network)[1].1
        );
        network.release(&container(1));
        network.release(&container(1));
        network.release(&container(77));

        let without = host.open(NetworkConfig {
            bridge: BridgeChoice::Disabled,
            ..unpooled()
        });
        let error = without
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap_err();
        assert_eq!(error.to_string(), "network bridge not found");
        assert!(without.host_gateways().is_empty());
    });
}

/// Not a test by itself: the daemon that `a_killed_daemon_leaves_nothing` kills.
#[test]
fn victim() {
    let Ok(database) = std::env::var("GANTRY_NETWORK_VICTIM") else {
        return;
    };
    let database = Arc::new(gantry_metadata::Database::open(database).unwrap());
    let config = NetworkConfig {
        pool_size: 4,
        ..NetworkConfig::default()
    };
    let network = Network::open(config, &database).unwrap();
    network.reconcile(Vec::new()).unwrap();
    let _held = network
        .attach(&container(1), NetworkMode::Bridge, plain())
        .unwrap();
    eventually("the pool is full", || {
        network.ready(NetworkMode::Bridge) == 4
    });
    std::fs::write(database.path().with_extension("ready"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_daemon_leaves_nothing() {
    Host::run(|host| {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim"])
            .env("GANTRY_NETWORK_VICTIM", host.database_path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        eventually("the victim is ready", || {
            host.database_path().with_extension("ready").exists()
        });
        assert_eq!(ip("-o link").matches("veth").count(), 5);
        victim.kill().unwrap();
        victim.wait().unwrap();
        eventually("the kernel takes all down", || !ip("link").contains("veth"));
        let network = host.open(unpooled());
        let sandbox = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        assert_eq!(address(&sandbox), Ipv4Addr::new(172, 17, 0, 2));
    });
}

/// Prints what a sandbox costs; run with `--nocapture`.
#[test]
fn the_cost_of_a_sandbox() {
    Host::run(|host| {
        const ROUNDS: u32 = 30;
        let measure = |network: &Network, mode, full: usize| {
            let mut times: Vec<Duration> = Vec::new();
            for _ in 0..ROUNDS {
                eventually("the pool is full", || network.ready(mode) >= full);
                let begin = Instant::now();
                let sandbox = network.attach(&container(1), mode, plain()).unwrap();
                times.push(begin.elapsed());
                drop(sandbox);
                network.release(&container(1));
            }
            times.sort();
            times[times.len() / 2].as_micros()
        };
        let cold = host.open(unpooled());
        let bridge = measure(&cold, NetworkMode::Bridge, 0);
        let none = measure(&cold, NetworkMode::None, 0);
        println!("cold: bridge {bridge} µs, none {none} µs");
        drop(cold);
        let pooled = host.open(NetworkConfig {
            pool_size: 4,
            ..NetworkConfig::default()
        });
        pooled.reconcile(Vec::new()).unwrap();
        pooled
            .attach(&container(1), NetworkMode::None, plain())
            .unwrap();
        let bridge = measure(&pooled, NetworkMode::Bridge, 4);
        let none = measure(&pooled, NetworkMode::None, 4);
        println!("pooled: bridge {bridge} µs, none {none} µs");
    });
}

/// The tables as `nft` shows them, in any order; none where there is no nft.
fn nft_ruleset() -> Vec<String> {
    let output = Command::new("nft").args(["list", "ruleset"]).output();
    let text = output
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    let mut tables: Vec<_> = text.split("\n}\n").map(str::to_owned).collect();
    tables.sort();
    tables
}

fn nft(command: &str) {
    if let Ok(status) = Command::new("nft").arg(command).status() {
        assert!(status.success(), "nft {command}");
    }
}
