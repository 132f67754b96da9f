//! Networks of users with real packets: isolation, both families, wished
//! addresses, names, coming and going; and that nothing is lost or left.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "not every file of tests uses all of it")]
mod harness;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use gantry_network::{
    AttachRequest, Attachment, Definition, EndpointRequest, HostPorts, Living, Network,
    NetworkMode, PortRequest, Protocol, Sandbox, Sources, SubnetConfig,
};
use gantry_types::ErrorKind;
use harness::{Host, connect, container, echo, ip, unpooled};

fn definition(name: &str, subnets: &[&str]) -> Definition {
    let subnet = |text: &&str| SubnetConfig {
        subnet: (*text).to_owned(),
        ..SubnetConfig::default()
    };
    Definition {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        ipv4: true,
        ipv6: subnets.iter().any(|subnet| subnet.contains(':')),
        ipam_driver: "default".to_owned(),
        subnets: subnets.iter().map(subnet).collect(),
        ..Definition::default()
    }
}

fn make(network: &Network, name: &str, subnets: &[&str]) -> Arc<Definition> {
    network.create(definition(name, subnets)).unwrap()
}

fn wish(network: &Definition, names: &[&str]) -> EndpointRequest {
    EndpointRequest {
        network_id: network.id.clone(),
        dns_names: names.iter().map(ToString::to_string).collect(),
        ..EndpointRequest::default()
    }
}

fn attach(network: &Network, number: u8, wishes: Vec<EndpointRequest>) -> Sandbox {
    let request = AttachRequest {
        name: format!("c{number}"),
        endpoints: wishes,
        ..AttachRequest::default()
    };
    network
        .attach(&container(number), NetworkMode::User, request)
        .unwrap()
}

fn addresses(attachment: &Attachment) -> Vec<String> {
    let places = attachment.endpoints.iter();
    places
        .flat_map(|e| e.addresses())
        .map(|a| a.to_string())
        .collect()
}

#[test]
fn networks_are_apart_unless_a_container_is_in_both() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let front = make(&network, "front", &["10.61.0.0/24"]);
        let back = make(&network, "back", &["10.62.0.0/24"]);
        let one = attach(&network, 1, vec![wish(&front, &["one"])]);
        let two = attach(&network, 2, vec![wish(&back, &["two"])]);
        let both = attach(
            &network,
            3,
            vec![wish(&back, &["both"]), wish(&front, &["both"])],
        );
        let first =
            |sandbox: &Sandbox| -> IpAddr { addresses(&sandbox.attachment)[0].parse().unwrap() };
        assert_eq!(addresses(&one.attachment), ["10.61.0.2"]);
        assert_eq!(addresses(&both.attachment), ["10.62.0.3", "10.61.0.3"]);
        connect(Some(&one), echo(Some(&two), first(&two))).expect_err("another network");
        connect(Some(&both), echo(Some(&two), first(&two))).unwrap();
        connect(Some(&both), echo(Some(&one), first(&one))).unwrap();
        assert_eq!(
            connect(Some(&one), world.echo("192.0.2.2".parse().unwrap())).unwrap(),
            "192.0.2.1"
        );
        let routes = host.inside(&both, || ip("route"));
        assert!(
            routes.contains("default via 10.62.0.1 dev eth0"),
            "{routes}"
        );

        // Leaving and coming while it runs.
        let netns = both
            .netns
            .as_ref()
            .unwrap()
            .as_fd()
            .try_clone_to_owned()
            .unwrap();
        let left = network
            .disconnect(&container(3), Some(&netns), &back.id)
            .unwrap();
        assert_eq!(addresses(&left), ["10.61.0.3"]);
        let routes = host.inside(&both, || ip("route"));
        assert!(
            routes.contains("default via 10.61.0.1 dev eth1"),
            "{routes}"
        );
        let again = EndpointRequest {
            ipv4: Some("10.62.0.77".parse().unwrap()),
            ..wish(&back, &["both"])
        };
        let back_again = network
            .connect(&container(3), &netns, &again, Vec::new())
            .unwrap();
        assert_eq!(addresses(&back_again), ["10.61.0.3", "10.62.0.77"]);
        connect(Some(&both), echo(Some(&two), first(&two))).unwrap();

        let error = network.remove("back").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        for number in [1, 2, 3] {
            network.release(&container(number));
        }
        network.remove("back").unwrap();
        network.remove(&front.id[..12]).unwrap();
        assert!(!ip("link").contains("br-"));
        assert_eq!(
            network.remove("bridge").unwrap_err().kind(),
            ErrorKind::Forbidden
        );
        assert_eq!(
            network.remove("back").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn internal_networks_have_no_way_out_and_dual_ones_two() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let inner = Definition {
            internal: true,
            ..definition("inner", &[])
        };
        let inner = network.create(inner).unwrap();
        let one = attach(&network, 1, vec![wish(&inner, &["one"])]);
        let two = attach(&network, 2, vec![wish(&inner, &["two"])]);
        let address: IpAddr = addresses(&two.attachment)[0].parse().unwrap();
        connect(Some(&one), echo(Some(&two), address)).unwrap();
        connect(Some(&one), world.echo("192.0.2.2".parse().unwrap())).expect_err("no way out");
        host.inside(&one, || ip("route add default via 172.18.0.1"));
        connect(Some(&one), world.echo("192.0.2.2".parse().unwrap())).expect_err("not even so");

        let dual = make(&network, "dual", &["fd00:61::/64", "10.63.0.0/24"]);
        let wished = EndpointRequest {
            ipv6: "fd00:61::99".parse().ok(),
            ..wish(&dual, &["three"])
        };
        let three = attach(&network, 3, vec![wished]);
        let four = attach(&network, 4, vec![wish(&dual, &["four"])]);
        assert_eq!(addresses(&three.attachment), ["10.63.0.2", "fd00:61::99"]);
        assert_eq!(addresses(&four.attachment), ["10.63.0.3", "fd00:61::2"]);
        connect(
            Some(&four),
            echo(Some(&three), "fd00:61::99".parse().unwrap()),
        )
        .unwrap();
        connect(None, echo(Some(&three), "fd00:61::99".parse().unwrap())).unwrap();
    });
}

#[test]
fn a_new_daemon_knows_all_networks_and_their_addresses() {
    Host::run(|host| {
        let first = host.open(unpooled());
        first.reconcile(Vec::new()).unwrap();
        let front = make(&first, "front", &[]);
        let one = attach(&first, 1, vec![wish(&front, &["one"])]);
        let _two = attach(&first, 2, vec![wish(&front, &["two"])]);
        drop(first);
        ip(&format!("link del br-{}", &front.id[..12]));
        let second = host.open(unpooled());
        second
            .reconcile(vec![Living {
                container: container(1),
                name: "c1".to_owned(),
                attachment: one.attachment.clone(),
                netns: None,
                dns: Vec::new(),
            }])
            .unwrap();
        assert_eq!(second.find("front").unwrap().id, front.id);
        assert_eq!(second.members_of(&front.id).len(), 1);
        let third = attach(&second, 3, vec![wish(&front, &["three"])]);
        assert_eq!(
            addresses(&third.attachment),
            ["172.18.0.3"],
            "2 lives, 3 does not"
        );
        let wrong = EndpointRequest {
            ipv4: "172.18.0.2".parse().ok(),
            ..wish(&front, &[])
        };
        let request = AttachRequest {
            endpoints: vec![wrong],
            ..AttachRequest::default()
        };
        let error = second
            .attach(&container(4), NetworkMode::User, request)
            .unwrap_err();
        assert_eq!(error.to_string(), "Address already in use");
    });
}

/// A question, and the bytes that answer it.
fn ask(host: &Host, from: &Sandbox, name: &str, kind: u16) -> Vec<u8> {
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.as_bytes());
    }
    question.push(0);
    question.extend(kind.to_be_bytes());
    question.extend([0, 1]);
    host.inside(from, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
            .connect(SocketAddr::from(([127, 0, 0, 11], 53)))
            .unwrap();
        socket.send(&question).unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    })
}

#[test]
fn containers_find_each_other_by_name() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let front = make(&network, "front", &["10.64.0.0/24"]);
        let back = make(&network, "back", &["10.65.0.0/24"]);
        let one = attach(&network, 1, vec![wish(&front, &["one"])]);
        let _two = attach(&network, 2, vec![wish(&front, &["two", "alias"])]);
        let _three = attach(&network, 3, vec![wish(&back, &["three"])]);
        for name in ["two", "ALIAS", "two.front"] {
            let answer = ask(host, &one, name, 1);
            assert!(answer.ends_with(&[10, 64, 0, 3]), "{name}: {answer:?}");
        }
        let _twin = attach(&network, 4, vec![wish(&front, &["twin", "alias"])]);
        let firsts = [(); 4].map(|()| ask(host, &one, "alias", 1)[38]);
        assert!(
            firsts[0] != firsts[1] && firsts[..2] == firsts[2..],
            "in turns"
        );
        let reverse = ask(host, &one, "3.0.64.10.in-addr.arpa", 12);
        assert!(reverse.windows(3).any(|w| w == b"two"), "{reverse:?}");
        network.rename(&container(2), "other");
        network.release(&container(2));
        let gone = ask(host, &one, "two", 1);
        assert_eq!(gone[7], 0, "no answers: {gone:?}");
        // A name server of the container's own has port 53 for itself.
        host.inside(&one, || UdpSocket::bind("0.0.0.0:53").unwrap());
    });
}

#[test]
fn other_names_are_asked_of_the_given_servers() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let front = make(&network, "front", &["10.66.0.0/24"]);
        let server = UdpSocket::bind("127.0.0.77:53").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            // It answers once: whoever asks again has to know by then.
            for _ in 0..1 {
                let (length, client) = server.recv_from(&mut buffer).unwrap();
                let mut answer = buffer[..length].to_vec();
                answer[2] |= 0x80;
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 99]);
                let _ = server.send_to(&answer, client);
            }
        });
        let request = AttachRequest {
            name: "one".to_owned(),
            endpoints: vec![wish(&front, &["one"])],
            dns: vec![
                "192.0.2.200".parse().unwrap(),
                "127.0.0.77".parse().unwrap(),
            ],
            ..AttachRequest::default()
        };
        let one = network
            .attach(&container(1), NetworkMode::User, request)
            .unwrap();
        for name in ["example.org", "Example.ORG"] {
            let answer = ask(host, &one, name, 1);
            assert!(answer.ends_with(&[192, 0, 2, 99]), "{answer:?}");
        }
    });
}

#[test]
fn gateway_modes_decide_who_gets_in() {
    Host::run(|host| {
        let world = host.world("192.0.2.1/24", "192.0.2.9/24");
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        for subnet in ["10.64.0.0/16", "10.65.0.0/16"] {
            world.ip(&format!("route add {subnet} via 192.0.2.1"));
        }
        let key = "com.docker.network.bridge.gateway_mode_ipv4";
        let with_mode = |name: &str, subnet: &str, mode: &str| {
            let options = [(key.to_owned(), mode.to_owned())];
            network
                .create(Definition {
                    options: options.into(),
                    ..definition(name, &[subnet])
                })
                .unwrap()
        };
        let routed = with_mode("routed", "10.64.0.0/24", "routed");
        let open = with_mode("open", "10.65.0.0/24", "nat-unprotected");
        let one = attach(&network, 1, vec![wish(&routed, &[])]);
        let two = attach(&network, 2, vec![wish(&open, &[])]);
        let at = |sandbox| echo(Some(sandbox), harness::address(sandbox).into());
        let (closed, published, any) = (at(&one), at(&one), at(&two));
        let port = PortRequest {
            protocol: Protocol::Tcp,
            container_port: published.port(),
            host_ip: None,
            host_ports: HostPorts::One(8080),
        };
        let sources = Sources::parse("192.0.2.0/24").unwrap();
        let shown = network
            .publish(&container(1), &[port], Some(&sources))
            .unwrap();
        assert_eq!((shown.len(), shown[0].host_port), (1, 0));
        assert_eq!(world.connect(published).unwrap(), "192.0.2.9");
        assert!(world.connect(closed).is_err());
        assert!(world.connect(any).is_ok(), "unprotected");
        assert!(world.connect("192.0.2.1:8080".parse().unwrap()).is_err());
        // Out of a routed network, with the container's own address.
        let there = world.echo("192.0.2.9".parse().unwrap());
        assert_eq!(connect(Some(&one), there).unwrap(), "10.64.0.2");
        assert_eq!(connect(Some(&two), there).unwrap(), "192.0.2.1");
        network.release(&container(1));
        assert!(
            world.connect(published).is_err(),
            "closed with its container"
        );
        assert!(network.remove("routed").is_ok());
    });
}
