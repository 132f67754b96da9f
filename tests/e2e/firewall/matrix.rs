//! Who reaches whom: another host, this host, containers of the same network and of
//! another one, by each kind of network and both families of addresses. What is not
//! reached is tried as well as what is.

use super::{Host, fetch, here, serve};
use crate::gantry_only;
use crate::harness::{Engine, in_network_of};

/// A kind of network, and who gets an answer there.
struct Kind {
    name: &'static str,
    options: &'static str,
    /// From the other host: at the container's own addresses, and at this host's.
    own: bool,
    host: bool,
    /// From this host, at the container's own addresses.
    here: bool,
    /// From a container of the same network.
    neighbour: bool,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "nat",
        options: "--ipv6",
        own: false,
        host: true,
        here: true,
        neighbour: true,
    },
    Kind {
        name: "routed",
        options: "--ipv6 -o com.docker.network.bridge.gateway_mode_ipv4=routed \
                  -o com.docker.network.bridge.gateway_mode_ipv6=routed",
        own: true,
        host: false,
        here: true,
        neighbour: true,
    },
    Kind {
        name: "silent",
        options: "--ipv6 -o com.docker.network.bridge.enable_icc=false",
        own: false,
        host: true,
        here: true,
        neighbour: false,
    },
    Kind {
        name: "internal",
        options: "--ipv6 --internal",
        own: false,
        host: false,
        here: true,
        neighbour: true,
    },
    Kind {
        name: "isolated",
        options: "--ipv6 --internal -o com.docker.network.bridge.gateway_mode_ipv4=isolated \
                  -o com.docker.network.bridge.gateway_mode_ipv6=isolated",
        own: false,
        host: false,
        here: false,
        neighbour: true,
    },
];

/// The addresses of a container, as they stand in a URL.
fn addresses(engine: &Engine, container: &str) -> [String; 2] {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}";
    let told = engine.inspect(container, format);
    let (four, six) = told.split_once(' ').expect("two addresses");
    assert!(!four.is_empty() && !six.is_empty(), "{container}: {told}");
    [four.to_owned(), format!("[{six}]")]
}

/// What a container is answered, of both families.
fn from_container(engine: &Engine, container: &str, at: &[String; 2]) -> [bool; 2] {
    let pid = engine.inspect(container, "{{.State.Pid}}");
    at.clone().map(|at| {
        let fetched = in_network_of(&pid, &format!("curl -sg -m 1 http://{at}"));
        !fetched.stdout.is_empty()
    })
}

#[test]
fn each_kind_of_network_lets_in_whom_it_should() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let far = Host::beyond(&engine, "192.0.2.1/24", "192.0.2.2/24");
    far.run("ip -6 addr add 2001:db8:77::2/64 dev up0 nodad");
    here(
        &engine,
        &format!("ip -6 addr add 2001:db8:77::1/64 dev {} nodad", far.link()),
    );
    far.run("ip route add default via 192.0.2.1");
    far.run("ip -6 route add default via 2001:db8:77::1");
    for (number, kind) in KINDS.iter().enumerate() {
        let create = format!("network create {} {}", kind.options, kind.name);
        let words: Vec<&str> = create.split_whitespace().collect();
        engine.docker(&words).ok();
        let (open, closed) = (kind.name.to_owned(), format!("{}-closed", kind.name));
        let port = 8100 + number;
        let publish = format!("{port}:80");
        serve(&engine, &open, &["--network", kind.name, "-p", &publish]);
        serve(&engine, &closed, &["--network", kind.name]);
        let (open_at, closed_at) = (addresses(&engine, &open), addresses(&engine, &closed));
        let host_at = ["192.0.2.1", "[2001:db8:77::1]"].map(|host| format!("{host}:{port}"));
        let of_far = |at: &[String; 2]| at.clone().map(|at| !far.fetch(&at).is_empty());
        let of_here = |at: &[String; 2]| at.clone().map(|at| !fetch(&engine, &at).is_empty());
        let name = kind.name;
        assert_eq!(
            of_far(&open_at),
            [kind.own; 2],
            "{name}: published, by its addresses"
        );
        assert_eq!(
            of_far(&host_at),
            [kind.host; 2],
            "{name}: published, by the host's"
        );
        assert_eq!(of_far(&closed_at), [false; 2], "{name}: not published");
        assert_eq!(
            of_here(&closed_at),
            [kind.here; 2],
            "{name}: from this host"
        );
        let loopback = ["127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}"));
        assert_eq!(of_here(&loopback), [kind.host; 2], "{name}: by loopback");
        assert_eq!(
            from_container(&engine, &open, &closed_at),
            [kind.neighbour; 2],
            "{name}: from a neighbour"
        );
    }
    // Of another network, by the containers' own addresses: nobody, published or not.
    for kind in &KINDS {
        let from = match kind.name {
            "nat" => "routed",
            _ => "nat",
        };
        for (container, published) in [
            (kind.name.to_owned(), true),
            (format!("{}-closed", kind.name), false),
        ] {
            let at = addresses(&engine, &container);
            // Routed ones are open to all that reach the host's network.
            let reached = published && kind.name == "routed";
            assert_eq!(
                from_container(&engine, from, &at),
                [reached; 2],
                "{from} to {container}"
            );
        }
    }
    let ids = engine.docker(&["ps", "-q"]).ok().stdout;
    let ids: Vec<&str> = ids.lines().collect();
    engine.docker(&[&["rm", "-f"], &ids[..]].concat()).ok();
    engine.docker(&["network", "prune", "-f"]).ok();
}
