//! Published ports with real packets: from the host, from other containers and
//! from another host; and that they are closed when nobody has them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "not every file of tests uses all of it")]
mod harness;

use std::net::{Ipv4Addr, SocketAddr};

use gantry_network::{
    HostPorts, Living, NetworkConfig, NetworkMode, PortRequest, Protocol, Sources,
};
use harness::{Host, connect, container, echo_at, eventually, ip, plain, unpooled};

fn tcp(host: u16, container: u16) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        container_port: container,
        host_ip: None,
        host_ports: HostPorts::One(host),
    }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

#[test]
fn a_port_is_reached_from_everywhere() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let two = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        echo_at(Some(&one), at("0.0.0.0", 80));
        let published = network
            .publish(&container(1), &[tcp(8080, 80)], None)
            .unwrap();
        assert_eq!(published.len(), 2, "{published:?}");
        assert_eq!(world.connect(at("192.0.2.1", 8080)).unwrap(), "192.0.2.2");
        connect(None, at("127.0.0.1", 8080)).expect("localhost");
        connect(None, at("192.0.2.1", 8080)).expect("the host's address");
        connect(None, at("172.17.0.1", 8080)).expect("the bridge's address");
        connect(None, at("::1", 8080)).expect("localhost by IPv6, through the proxy");
        connect(Some(&two), at("172.17.0.1", 8080)).expect("a neighbour");
        connect(Some(&two), at("192.0.2.1", 8080)).expect("a neighbour, by another address");
        connect(Some(&one), at("192.0.2.1", 8080)).expect("itself");
        // What is published on 127.0.0.1 is not for others.
        let local = PortRequest {
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            ..tcp(9090, 80)
        };
        network.publish(&container(1), &[local], None).unwrap();
        connect(None, at("127.0.0.1", 9090)).expect("localhost alone");
        world
            .connect(at("192.0.2.1", 9090))
            .expect_err("not published there");
        world.ip("route add 127.0.0.0/8 via 192.0.2.1");
        world.ip("route del local 127.0.0.0/8 dev lo table local");
        world
            .connect(at("127.0.0.1", 9090))
            .expect_err("a packet that lies");
        network.release(&container(1));
        world.connect(at("192.0.2.1", 8080)).expect_err("closed");
        connect(None, at("127.0.0.1", 8080)).expect_err("closed");
        connect(None, at("::1", 8080)).expect_err("closed");
    });
}

#[test]
fn ports_survive_the_daemon() {
    Host::run(|host| {
        let first = host.open(unpooled());
        first.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let mut one = first
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let two = first
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        for (sandbox, number, port) in [(&one, 1, 8080), (&two, 2, 8081)] {
            echo_at(Some(sandbox), at("0.0.0.0", 80));
            first
                .publish(&container(number), &[tcp(port, 80)], None)
                .unwrap();
        }
        one.attachment.published = first.published(&container(1));
        drop(first);
        connect(None, at("127.0.0.1", 8080)).expect("no daemon is needed");
        let second = host.open(unpooled());
        world
            .connect(at("192.0.2.1", 8080))
            .expect("before it is known who lives");
        second
            .reconcile(vec![Living {
                container: container(1),
                name: "one".to_owned(),
                attachment: one.attachment.clone(),
                netns: None,
                dns: Vec::new(),
            }])
            .unwrap();
        world.connect(at("192.0.2.1", 8080)).expect("still wanted");
        world
            .connect(at("192.0.2.1", 8081))
            .expect_err("not wanted any more");
        let third = second
            .attach(&container(3), NetworkMode::Bridge, plain())
            .unwrap();
        let taken = second
            .publish(&container(3), &[tcp(8080, 80)], None)
            .unwrap_err();
        assert_eq!(
            taken.to_string(),
            "Bind for 0.0.0.0:8080 failed: port is already allocated"
        );
        second
            .publish(&container(3), &[tcp(8081, 80)], None)
            .unwrap();
        drop(third);
    });
}

#[test]
fn ports_are_chosen_and_refused() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let _one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let _two = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        let ask = |number, request| network.publish(&container(number), &[request], None);
        let any = PortRequest {
            host_ports: HostPorts::Any,
            ..tcp(0, 80)
        };
        let first = ask(1, any).unwrap();
        let second = ask(2, any).unwrap();
        assert_eq!(first[0].host_port, first[1].host_port);
        assert_ne!(first[0].host_port, second[0].host_port);
        let range = PortRequest {
            host_ports: HostPorts::Range(9000, 9001),
            ..tcp(0, 81)
        };
        assert_eq!(ask(1, range).unwrap()[0].host_port, 9000);
        assert_eq!(ask(2, range).unwrap()[0].host_port, 9001);
        let error = ask(1, range).unwrap_err();
        assert_eq!(error.to_string(), "all ports are allocated");
        let foreign = std::net::TcpListener::bind("0.0.0.0:7777").unwrap();
        let error = ask(1, tcp(7777, 80)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to bind host port for 0.0.0.0:7777:172.17.0.2:80/tcp: address already in use"
        );
        drop(foreign);
        ask(1, tcp(7777, 80)).unwrap();
        let nowhere = PortRequest {
            host_ip: Some("192.0.2.77".parse().unwrap()),
            ..tcp(80, 80)
        };
        let error = ask(1, nowhere).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("cannot assign requested address")
        );
        // All or nothing: the first of the two is free again.
        let both = [tcp(6000, 80), tcp(7777, 80)];
        network.publish(&container(2), &both, None).unwrap_err();
        ask(1, tcp(6000, 80)).unwrap();
        // Closed and opened again at once.
        for _ in 0..20 {
            network.release(&container(1));
            let _again = network
                .attach(&container(1), NetworkMode::Bridge, plain())
                .unwrap();
            ask(1, tcp(7777, 80)).unwrap();
        }
    });
}

#[test]
fn flushed_rules_are_put_back() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        echo_at(Some(&one), at("0.0.0.0", 80));
        network
            .publish(&container(1), &[tcp(8080, 80)], None)
            .unwrap();
        // A second daemon's view of the same tables throws them away.
        let other = host.open(unpooled());
        other.remove_rules().unwrap();
        // Until then there is the proxy, of which the container sees the host.
        eventually("the rules are there again", || {
            world.connect(at("192.0.2.1", 8080)).unwrap() == "192.0.2.2"
        });
        other.remove_rules().unwrap();
        network
            .publish(&container(1), &[tcp(8081, 80)], None)
            .unwrap();
        for port in [8080, 8081] {
            eventually("once more", || {
                world.connect(at("192.0.2.1", port)).unwrap() == "192.0.2.2"
            });
        }
    });
}

#[test]
fn a_deleted_bridge_is_made_again() {
    // Where neighbours are kept apart, they stay so; elsewhere a container reaches itself.
    for icc in [true, false] {
        Host::run(|host| {
            let config = NetworkConfig { icc, ..unpooled() };
            let network = host.open(config);
            network.reconcile(Vec::new()).unwrap();
            let world = host.world("192.0.2.1/24", "192.0.2.2/24");
            let attach = |number| {
                let sandbox = network.attach(&container(number), NetworkMode::Bridge, plain());
                let sandbox = sandbox.unwrap();
                echo_at(Some(&sandbox), at("0.0.0.0", 80));
                sandbox
            };
            let (one, two) = (attach(1), attach(2));
            network
                .publish(&container(1), &[tcp(8080, 80)], None)
                .unwrap();
            let asked = |sandbox, address, port| connect(sandbox, at(address, port)).is_ok();
            assert!(asked(None, "172.17.0.2", 80), "from the host");
            ip("link del gantry0");
            eventually("the bridge is there again", || {
                asked(None, "172.17.0.2", 80)
            });
            eventually("from outside", || {
                world.connect(at("192.0.2.1", 8080)).is_ok()
            });
            assert!(asked(None, "127.0.0.1", 8080), "localhost");
            assert_eq!(asked(Some(&two), "172.17.0.2", 80), icc);
            assert!(!icc || asked(Some(&one), "192.0.2.1", 8080), "itself");
        });
    }
}

#[test]
fn ports_are_for_those_they_are_published_to() {
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let (near, far) = (
            host.world("192.0.2.1/24", "192.0.2.2/24"),
            host.world("198.51.100.1/24", "198.51.100.2/24"),
        );
        near.ip("route add default via 192.0.2.1");
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        echo_at(Some(&one), at("0.0.0.0", 80));
        let sources = Sources::parse("192.0.2.0/28,192.0.2.0/24,2001:db8::/32").unwrap();
        let single = PortRequest {
            host_ip: Some("198.51.100.1".parse().unwrap()),
            ..tcp(9090, 80)
        };
        network
            .publish(&container(1), &[tcp(8080, 80), single], Some(&sources))
            .unwrap();
        near.connect(at("192.0.2.1", 8080)).expect("a friend");
        near.connect(at("198.51.100.1", 9090))
            .expect("a friend, at another address");
        for port in [8080, 9090] {
            far.connect(at("198.51.100.1", port))
                .expect_err("a stranger");
        }
        connect(None, at("127.0.0.1", 8080)).expect("the host itself");
        connect(None, at("198.51.100.1", 8080)).expect("by another address");
        connect(None, at("::1", 8080)).expect("by IPv6, through the proxy");
        // Others' packets to the same port of others are let through.
        let server = far.echo("198.51.100.2".parse().unwrap());
        near.connect(server).expect_err("this host is no router");
        network.release(&container(1));
        let two = network
            .attach(&container(2), NetworkMode::Bridge, plain())
            .unwrap();
        echo_at(Some(&two), at("0.0.0.0", 80));
        network
            .publish(&container(2), &[tcp(8080, 80)], None)
            .unwrap();
        far.connect(at("198.51.100.1", 8080))
            .expect("the next one's are for all");
    });
}

#[test]
fn without_rules_the_proxy_does_it_all() {
    Host::run(|host| {
        let network = host.open(NetworkConfig {
            iptables: false,
            ..unpooled()
        });
        network.reconcile(Vec::new()).unwrap();
        let world = host.world("192.0.2.1/24", "192.0.2.2/24");
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        echo_at(Some(&one), at("0.0.0.0", 80));
        network
            .publish(&container(1), &[tcp(8080, 80)], None)
            .unwrap();
        connect(None, at("127.0.0.1", 8080)).unwrap();
        assert_eq!(world.connect(at("192.0.2.1", 8080)).unwrap(), "172.17.0.1");
        let nobody = Sources::parse("203.0.113.0/24").unwrap();
        network
            .publish(&container(1), &[tcp(8081, 80)], Some(&nobody))
            .unwrap();
        assert_eq!(world.connect(at("192.0.2.1", 8081)).unwrap(), "");
        connect(None, at("192.0.2.1", 8081)).expect("the host itself");
        let udp = PortRequest {
            protocol: Protocol::Udp,
            ..tcp(5353, 53)
        };
        network.publish(&container(1), &[udp], None).unwrap();
        let server = host.inside(&one, || std::net::UdpSocket::bind("0.0.0.0:53").unwrap());
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        for text in [&b"one"[..], b"two"] {
            client.send_to(text, "127.0.0.1:5353").unwrap();
            let mut buffer = [0; 16];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text);
            server.send_to(b"answer", from).unwrap();
            let (length, _) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"answer");
        }
        ip("link show");
    });
}

#[test]
fn much_goes_through_the_proxy() {
    use std::io::{Read, Write};
    Host::run(|host| {
        let network = host.open(unpooled());
        network.reconcile(Vec::new()).unwrap();
        let one = network
            .attach(&container(1), NetworkMode::Bridge, plain())
            .unwrap();
        let listener = host.inside(&one, || std::net::TcpListener::bind("0.0.0.0:80").unwrap());
        network
            .publish(&container(1), &[tcp(8080, 80)], None)
            .unwrap();
        const SIZE: usize = 20 << 20;
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
            all.len()
        });
        let mut client = std::net::TcpStream::connect("[::1]:8080").unwrap();
        let data: Vec<u8> = (0..SIZE).map(|n| n as u8).collect();
        client.write_all(&data).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert!(back == data, "what comes back is what was sent");
        assert_eq!(server.join().unwrap(), SIZE);
    });
}
