//! What the daemon's options say of networks, with real bridges and packets: addresses
//! of the default bridge, no default bridge at all, MTU, options of new networks, pools.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "not every file of tests uses all of it")]
mod harness;

use std::collections::BTreeMap;

use gantry_network::{
    AddressPool, AttachRequest, BridgeChoice, Definition, EndpointRequest, NetworkConfig,
    NetworkMode,
};
use harness::{Host, connect, container, echo, ip, plain, unpooled};

fn definition(name: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        ipv4: true,
        ipam_driver: "default".to_owned(),
        ..Definition::default()
    }
}

#[test]
fn the_default_bridge_has_the_addresses_that_are_named() {
    Host::run(|host| {
        let config = NetworkConfig {
            bip: "10.1.0.1/16".parse().ok(),
            fixed_cidr: "10.1.7.0/24".parse().ok(),
            fixed_cidr_v6: "fd00:7::/64".parse().ok(),
            default_gateways: vec!["10.1.7.0".parse().unwrap()],
            ipv6: true,
            ..unpooled()
        };
        let network = host.open(config);
        network.reconcile(Vec::new()).unwrap();
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let endpoint = &one.attachment.endpoints[0];
        assert_eq!(endpoint.ipv4.unwrap().address.to_string(), "10.1.7.1/16");
        assert_eq!(endpoint.ipv6.unwrap().address.to_string(), "fd00:7::2/64");
        let routes = host.inside(&one, || ip("route"));
        assert!(routes.contains("default via 10.1.7.0"), "{routes}");
        let routes = host.inside(&one, || ip("-6 route"));
        assert!(routes.contains("default via fd00:7::1"), "{routes}");
        assert!(ip("addr show gantry0").contains("fd00:7::1/64"));
        drop(network);
        let wrong = NetworkConfig {
            bip: "10.1.0.1/16".parse().ok(),
            fixed_cidr: "10.2.0.0/24".parse().ok(),
            ..unpooled()
        };
        let error = host.try_open(wrong).unwrap_err().to_string();
        assert_eq!(
            error,
            "fixed-cidr: 10.2.0.0/24 is not of the bridge's subnet"
        );
    });
}

#[test]
fn users_have_networks_without_a_default_one() {
    Host::run(|host| {
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let config = NetworkConfig {
            bridge: BridgeChoice::Disabled,
            ..unpooled()
        };
        let network = host.open(config);
        network.reconcile(Vec::new()).unwrap();
        assert!(!ip("link").contains("bridge"));
        let front = network.create(definition("front")).unwrap();
        let back = network.create(definition("back")).unwrap();
        let attach = |number, definition: &Definition| {
            let request = AttachRequest {
                endpoints: vec![EndpointRequest {
                    network_id: definition.id.clone(),
                    ..EndpointRequest::default()
                }],
                ..AttachRequest::default()
            };
            network
                .attach(&container(number), NetworkMode::User, request)
                .unwrap()
        };
        let (one, two) = (attach(1, &front), attach(2, &back));
        let there = world.echo("192.0.2.2".parse().unwrap());
        assert_eq!(connect(Some(&one), there).unwrap(), "192.0.2.1");
        let other = echo(Some(&two), harness::address(&two).into());
        assert!(connect(Some(&one), other).is_err(), "networks are apart");
        network.destroy().unwrap();
    });
}

#[test]
fn the_mtu_is_the_uplinks_where_that_is_wished() {
    Host::run(|host| {
        let _world = host.world("192.0.2.1/24", "192.0.2.2/24");
        ip("link set up0 mtu 1400");
        ip("route add default via 192.0.2.2");
        let config = NetworkConfig {
            mtu_from_uplink: true,
            ..unpooled()
        };
        let network = host.open(config);
        network.reconcile(Vec::new()).unwrap();
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        assert!(
            host.inside(&one, || ip("link show eth0"))
                .contains("mtu 1400")
        );
        let made = network.create(definition("users")).unwrap();
        assert!(ip(&format!("link show br-{}", &made.id[..12])).contains("mtu 1400"));
    });
}

#[test]
fn new_networks_have_the_administrators_options_and_pools() {
    Host::run(|host| {
        let options = |value: &str| {
            let mtu = "com.docker.network.driver.mtu".to_owned();
            BTreeMap::from([(mtu, value.to_owned())])
        };
        let pool = |base: &str, size| AddressPool {
            base: base.parse().unwrap(),
            size,
        };
        let config = NetworkConfig {
            default_network_opts: BTreeMap::from([("bridge".to_owned(), options("1300"))]),
            default_address_pools: vec![pool("10.9.0.0/29", 30), pool("fd09::/63", 64)],
            bip: "10.1.0.1/16".parse().ok(),
            ..unpooled()
        };
        let network = host.open(config);
        network.reconcile(Vec::new()).unwrap();
        let dual = |name: &str| Definition {
            ipv6: true,
            ..definition(name)
        };
        let first = network.create(dual("first")).unwrap();
        assert_eq!(first.options, options("1300"));
        let own = Definition {
            options: options("1290"),
            ..dual("second")
        };
        let second = network.create(own).unwrap();
        assert_eq!(second.options, options("1290"));
        let subnets: Vec<_> = second.subnets.iter().map(|s| s.subnet.as_str()).collect();
        assert_eq!(subnets, ["10.9.0.4/30", "fd09:0:0:1::/64"]);
        let error = network.create(definition("third")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "all predefined address pools have been fully subnetted"
        );
        let small = Definition {
            options: options("1200"),
            ..dual("small")
        };
        let error = network.create(small).unwrap_err().to_string();
        assert_eq!(error, "invalid MTU number: 1200: IPv6 needs at least 1280");
        network.remove("first").unwrap();
        let again = network.create(dual("third")).unwrap();
        assert_eq!(again.subnets[0].subnet, "10.9.0.0/30");
    });
}
