//! Networks on other links than a bridge of ours, with real packets: macvlan beside
//! another host, overlay between two of them; and what a killed daemon leaves of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "not every file of tests uses all of it")]
mod harness;

use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_metadata::Database;
use gantry_network::{
    AttachRequest, Definition, EndpointRequest, Living, Network, NetworkMode, Sandbox, SubnetConfig,
};
use harness::{Host, connect, container, echo, eventually, ip, ping, unpooled};

/// A network, by its driver, its options, its subnet and the part of it that is handed out.
fn definition(driver: &str, options: &[(&str, &str)], subnet: &str, range: &str) -> Definition {
    Definition {
        name: "outer".to_owned(),
        driver: driver.to_owned(),
        ipv4: true,
        ipam_driver: "default".to_owned(),
        subnets: vec![SubnetConfig {
            subnet: subnet.to_owned(),
            ip_range: range.to_owned(),
            ..SubnetConfig::default()
        }],
        options: options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Definition::default()
    }
}

fn request(network: &Definition) -> EndpointRequest {
    EndpointRequest {
        network_id: network.id.clone(),
        ..EndpointRequest::default()
    }
}

fn attach(network: &Network, number: u8, definition: &Definition) -> Sandbox {
    let request = AttachRequest {
        name: format!("c{number}"),
        endpoints: vec![request(definition)],
        ..AttachRequest::default()
    };
    network
        .attach(&container(number), NetworkMode::User, request)
        .unwrap()
}

fn address_in(sandbox: &Sandbox) -> Ipv4Addr {
    harness::address(sandbox)
}

fn open(host: &Host) -> Arc<Network> {
    let network = host.open(unpooled());
    network.reconcile(Vec::new()).unwrap();
    network
}

#[test]
fn macvlan_containers_are_in_the_network_of_their_parent() {
    Host::run(|host| {
        let world = host.world("198.51.100.9/24", "192.0.2.1/24");
        let network = open(host);
        let wanted = definition(
            "macvlan",
            &[("parent", "up0")],
            "192.0.2.0/24",
            "192.0.2.64/26",
        );
        let outer = network.create(wanted.clone()).unwrap();
        let (one, two) = (attach(&network, 1, &outer), attach(&network, 2, &outer));
        let there = world.echo("192.0.2.1".parse().unwrap());
        assert_eq!(connect(Some(&one), there).unwrap(), "192.0.2.65");
        let other = echo(Some(&two), address_in(&two).into());
        assert_eq!(connect(Some(&one), other).unwrap(), "192.0.2.65");
        assert_eq!(world.connect(other).unwrap(), "192.0.2.1");
        // The host itself is not in it: that is how macvlan is.
        assert!(connect(None, other).is_err());
        assert!(!ip("link show").contains("macvlan"));
        network.release(&container(2));
        drop(two);
        let third = attach(&network, 3, &outer);
        assert_eq!(address_in(&third), Ipv4Addr::new(192, 0, 2, 66));
        ping(&third, Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        for number in [1, 3] {
            network.release(&container(number));
        }
        network.remove("outer").unwrap();
        assert!(ip("link show up0").contains("up0"), "the parent stays");
    });
}

#[test]
fn modes_of_macvlan_decide_who_sees_whom() {
    Host::run(|host| {
        let world = host.world("198.51.100.9/24", "192.0.2.1/24");
        let network = open(host);
        let there = world.echo("192.0.2.1".parse().unwrap());
        for (mode, together) in [("bridge", true), ("private", false), ("vepa", false)] {
            let options = [("parent", "up0"), ("macvlan_mode", mode)];
            let wanted = definition("macvlan", &options, "192.0.2.0/24", "192.0.2.64/26");
            let outer = network.create(wanted).unwrap();
            let (one, two) = (attach(&network, 1, &outer), attach(&network, 2, &outer));
            assert!(connect(Some(&one), there).is_ok(), "{mode}");
            let other = echo(Some(&two), address_in(&two).into());
            assert_eq!(connect(Some(&one), other).is_ok(), together, "{mode}");
            network.release(&container(1));
            network.release(&container(2));
            network.remove("outer").unwrap();
        }
        // Passed through: the parent's own address, for one container alone.
        let mut internal = definition(
            "macvlan",
            &[("parent", "up0"), ("macvlan_mode", "passthru")],
            "192.0.2.0/24",
            "192.0.2.64/26",
        );
        internal.internal = true;
        let outer = network.create(internal).unwrap();
        let wanted = definition("macvlan", &[("parent", "up0")], "203.0.113.0/24", "");
        let second = Definition {
            name: "second".to_owned(),
            ..wanted
        };
        let error = network.create(second).unwrap_err().to_string();
        assert!(
            error.ends_with("already using parent interface up0 in mode passthru"),
            "{error}"
        );
        let mut only = None;
        eventually("the parent is free", || {
            let request = AttachRequest {
                endpoints: vec![request(&outer)],
                ..AttachRequest::default()
            };
            only = network
                .attach(&container(1), NetworkMode::User, request)
                .ok();
            only.is_some()
        });
        let only = only.unwrap();
        assert_eq!(
            address_in(&only),
            Ipv4Addr::new(192, 0, 2, 64),
            "no gateway"
        );
        assert!(
            host.inside(&only, || ip("route"))
                .lines()
                .all(|l| !l.contains("default"))
        );
    });
}

#[test]
fn what_a_killed_daemon_connected_and_did_not_write_down_is_gone() {
    Host::run(|host| {
        let _world = host.world("198.51.100.9/24", "192.0.2.1/24");
        let first = open(host);
        let wanted = definition(
            "macvlan",
            &[("parent", "up0")],
            "192.0.2.0/24",
            "192.0.2.64/26",
        );
        let outer = first.create(wanted).unwrap();
        let one = attach(&first, 1, &outer);
        let known = one.attachment.clone();
        let netns = || one.netns.as_ref().unwrap().try_clone().unwrap();
        let second = Definition {
            name: "second".to_owned(),
            ..definition("macvlan", &[("parent", "up0")], "203.0.113.0/24", "")
        };
        let second = first.create(second).unwrap();
        let third = Definition {
            name: "third".to_owned(),
            ..definition("macvlan", &[("parent", "up0")], "198.18.0.0/24", "")
        };
        let third = first.create(third).unwrap();
        first
            .connect(&container(1), &netns(), &request(&second), Vec::new())
            .unwrap();
        assert!(host.inside(&one, || ip("link")).contains("eth1"));
        // One more, of a daemon that was killed before it had an address; and one of the
        // container's own.
        first
            .connect(&container(1), &netns(), &request(&third), Vec::new())
            .unwrap();
        host.inside(&one, || {
            ip("addr flush dev eth2");
            ip("link add own0 link eth0 type macvlan mode bridge");
        });
        drop(first);
        let next = host.open(unpooled());
        next.reconcile(vec![Living {
            container: container(1),
            name: "c1".to_owned(),
            attachment: known,
            netns: Some(netns()),
            dns: Vec::new(),
        }])
        .unwrap();
        let links = host.inside(&one, || ip("link"));
        assert!(links.contains("eth0") && !links.contains("eth1"), "{links}");
        assert!(links.contains("own0") && !links.contains("eth2"), "{links}");
        let taken = attach(&next, 2, &second);
        assert_eq!(address_in(&taken), Ipv4Addr::new(203, 0, 113, 2));
    });
}

#[test]
fn ipvlan_works_or_says_why_not() {
    Host::run(|host| {
        let world = host.world("198.51.100.9/24", "192.0.2.1/24");
        let network = open(host);
        let wanted = definition(
            "ipvlan",
            &[("parent", "up0")],
            "192.0.2.0/24",
            "192.0.2.64/26",
        );
        let outer = network.create(wanted).unwrap();
        let request = AttachRequest {
            endpoints: vec![request(&outer)],
            ..AttachRequest::default()
        };
        match network.attach(&container(1), NetworkMode::User, request) {
            Ok(one) => {
                let there = world.echo("192.0.2.1".parse().unwrap());
                assert_eq!(connect(Some(&one), there).unwrap(), "192.0.2.65");
            }
            Err(error) => {
                println!("skipped: this kernel has no ipvlan");
                assert_eq!(
                    error.to_string(),
                    "failed to create the ipvlan port: operation not supported"
                );
                assert!(network.members_of(&outer.id).is_empty());
                network.remove("outer").unwrap();
            }
        }
    });
}

#[test]
fn overlays_join_the_bridges_of_two_hosts() {
    Host::run(|host| {
        let there = host.world("192.0.2.1/24", "192.0.2.2/24");
        let here = open(host);
        let peers = [("gantry.peers", "192.0.2.1,192.0.2.2")];
        let part = |range| definition("overlay", &peers, "10.99.0.0/16", range);
        let ours = here.create(part("10.99.1.0/24")).unwrap();
        let database = tempfile::tempdir().unwrap();
        let (remote, theirs) = there.run(|| {
            let database = Database::open(database.path().join("metadata.db")).unwrap();
            let network = Network::open(unpooled(), &Arc::new(database)).unwrap();
            network.reconcile(Vec::new()).unwrap();
            let outer = network.create(part("10.99.2.0/24")).unwrap();
            (network, outer)
        });
        let one = attach(&here, 1, &ours);
        let two = there.run(|| attach(&remote, 2, &theirs));
        assert_eq!(address_in(&one), Ipv4Addr::new(10, 99, 1, 1));
        let other = echo(Some(&two), address_in(&two).into());
        let reached = || connect(Some(&one), other).is_ok_and(|from| from == "10.99.1.1");
        eventually("one host's container reaches the other's", reached);
        let back = echo(Some(&one), address_in(&one).into());
        assert_eq!(connect(Some(&two), back).unwrap(), "10.99.2.1");
        // Each goes out by its own host, which the other host's bridge is not.
        ping(&one, Ipv4Addr::new(192, 0, 2, 2)).unwrap();
        // Taken away, the way to the other host comes back.
        ip(&format!("link del vx-{}", &ours.id[..12]));
        eventually("the tunnel is back", reached);
        here.release(&container(1));
        here.remove("outer").unwrap();
        assert!(!ip("link").contains("vx-"));
        there.run(|| remote.destroy().unwrap());
    });
}

#[test]
fn overlays_without_hosts_are_swarms() {
    Host::run(|host| {
        let network = open(host);
        let refused = |options: &[(&str, &str)], range: &str| {
            let wanted = definition("overlay", options, "10.99.0.0/16", range);
            network.create(wanted).unwrap_err().to_string()
        };
        assert!(refused(&[], "").starts_with("This node is not a swarm manager."));
        let peers = ("gantry.peers", "192.0.2.2");
        assert!(refused(&[peers], "").contains("--ip-range"));
        let error = refused(&[peers, ("encrypted", "")], "10.99.1.0/24");
        assert_eq!(
            error,
            "option encrypted of an overlay network is not supported yet"
        );
        let wanted = definition("overlay", &[peers], "10.99.0.0/16", "10.99.1.0/24");
        network.create(wanted).unwrap();
        let shown = ip("-d link show type vxlan");
        assert!(
            shown.contains("dstport 4789") && shown.contains("mtu 1450"),
            "{shown}"
        );
        assert!(ip("addr").contains("10.99.1.0/16"));
        network.destroy().unwrap();
    });
}

#[test]
fn only_peers_get_into_an_overlay() {
    Host::run(|host| {
        let there = host.world("192.0.2.1/24", "192.0.2.2/24");
        let here = open(host);
        for (peer, admitted) in [("192.0.2.2", true), ("192.0.2.9", false)] {
            let options = [("gantry.peers", peer), ("gantry.vni", "77")];
            let wanted = definition("overlay", &options, "10.99.0.0/16", "10.99.1.0/24");
            let ours = here.create(wanted).unwrap();
            let one = attach(&here, 1, &ours);
            there.ip(
                "link add foreign type vxlan id 77 dstport 4789 local 192.0.2.2 remote 192.0.2.1",
            );
            there.ip("addr add 10.99.9.9/16 dev foreign");
            there.ip("link set foreign up");
            let inside = echo(Some(&one), address_in(&one).into());
            let reached = there.connect(inside);
            assert_eq!(reached.is_ok(), admitted, "{peer}: {reached:?}");
            there.ip("link del foreign");
            here.release(&container(1));
            here.remove("outer").unwrap();
        }
    });
}
