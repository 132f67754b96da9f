//! Throw-away hosts for network tests: namespaces, worlds beyond them, and
//! small servers and clients inside.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gantry_metadata::Database;
use gantry_network::{AttachRequest, Error, Network, NetworkConfig, Sandbox};
use gantry_sys::netns;
use gantry_types::ContainerId;

/// A network namespace that plays the host, with a database.
pub struct Host {
    directory: tempfile::TempDir,
    worlds: AtomicU32,
}

/// A namespace beyond the host, connected by a veth pair.
pub struct World {
    namespace: OwnedFd,
}

impl Host {
    /// Runs a test in a fresh namespace; says so when it cannot.
    pub fn run(test: impl FnOnce(&Host) + Send) {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        if Command::new("ip").arg("-V").output().is_err() {
            println!("skipped: needs ip (iproute2)");
            return;
        }
        let body = || {
            ip("link set lo up");
            let directory = tempfile::tempdir().unwrap();
            test(&Host {
                directory,
                worlds: AtomicU32::new(0),
            });
        };
        netns::create_and(body).expect("the test body has panicked, see above");
    }

    pub fn database_path(&self) -> PathBuf {
        self.directory.path().join("metadata.db")
    }

    pub fn try_open(&self, config: NetworkConfig) -> Result<Arc<Network>, Error> {
        let database = Arc::new(Database::open(self.database_path()).unwrap());
        Network::open(config, &database)
    }

    pub fn open(&self, config: NetworkConfig) -> Arc<Network> {
        self.try_open(config).unwrap()
    }

    /// Another host behind a link with these addresses.
    pub fn world(&self, here: &str, there: &str) -> World {
        let namespace = netns::create().unwrap();
        let number = self.worlds.fetch_add(1, Ordering::Relaxed);
        let link = format!("up{number}");
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        ip(&format!(
            "link add {link} type veth peer name far0 netns {path}"
        ));
        ip(&format!("addr add {here} dev {link}"));
        ip(&format!("link set {link} up"));
        let world = World { namespace };
        world.ip(&format!("addr add {there} dev far0"));
        world.ip("link set far0 up");
        world.ip("link set lo up");
        // A look makes the kernel notice that the link is up.
        ip(&format!("link show dev {link}"));
        world.ip("link show dev far0");
        world
    }

    /// Runs something inside a sandbox.
    pub fn inside<T: Send>(&self, sandbox: &Sandbox, work: impl FnOnce() -> T + Send) -> T {
        netns::enter(sandbox.netns.as_ref().unwrap(), work).unwrap()
    }
}

impl World {
    /// Runs something in there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        netns::enter(&self.namespace, work).unwrap()
    }

    pub fn ip(&self, arguments: &str) -> String {
        netns::enter(&self.namespace, || ip(arguments)).unwrap()
    }

    pub fn echo(&self, address: IpAddr) -> SocketAddr {
        netns::enter(&self.namespace, || serve(address)).unwrap()
    }

    pub fn connect(&self, to: SocketAddr) -> io::Result<String> {
        netns::enter(&self.namespace, || ask(to)).unwrap()
    }
}

/// A configuration without ready sandboxes, so that addresses are predictable.
pub fn unpooled() -> NetworkConfig {
    NetworkConfig {
        pool_size: 0,
        ..NetworkConfig::default()
    }
}

pub fn container(number: u8) -> ContainerId {
    ContainerId::from_random([number; 32])
}

/// Nothing but what the mode says.
pub fn plain() -> AttachRequest {
    AttachRequest::default()
}

pub fn address(sandbox: &Sandbox) -> Ipv4Addr {
    match sandbox.attachment.endpoints[0].addresses()[0] {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server that tells its one client from where it came; in a sandbox or on the host.
pub fn echo(inside: Option<&Sandbox>, address: IpAddr) -> SocketAddr {
    match inside.and_then(|sandbox| sandbox.netns.as_ref()) {
        Some(namespace) => netns::enter(namespace, || serve(address)).unwrap(),
        None => serve(address),
    }
}

/// The same, on a port of the caller's choice.
pub fn echo_at(inside: Option<&Sandbox>, address: SocketAddr) {
    match inside.and_then(|sandbox| sandbox.netns.as_ref()) {
        Some(namespace) => drop(netns::enter(namespace, || serve_at(address)).unwrap()),
        None => drop(serve_at(address)),
    }
}

/// Asks such a server; fails with `TimedOut` when no answer comes in time.
pub fn connect(inside: Option<&Sandbox>, to: SocketAddr) -> io::Result<String> {
    match inside.and_then(|sandbox| sandbox.netns.as_ref()) {
        Some(namespace) => netns::enter(namespace, || ask(to)).unwrap(),
        None => ask(to),
    }
}

fn serve(address: IpAddr) -> SocketAddr {
    serve_at(SocketAddr::new(address, 0))
}

fn serve_at(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let bound = listener.local_addr().unwrap();
    // Ends with the test program; its namespace lives until then.
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(8) {
            match listener.accept() {
                Ok((mut stream, peer)) => {
                    let _ = stream.write_all(peer.ip().to_string().as_bytes());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    });
    bound
}

fn ask(to: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(1500))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// One echo request, without any capability.
pub fn ping(from: &Sandbox, to: Ipv4Addr) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};
    netns::enter(from.netns.as_ref().unwrap().as_fd(), || {
        let socket =
            rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP))?;
        let timeout = Some(Duration::from_secs(2));
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, timeout)?;
        let request = [8, 0, 0, 0, 0, 0, 0, 1];
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendto(&socket, &request, flags, &SocketAddr::from((to, 0)))?;
        let mut answer = [0; 64];
        rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty())?;
        assert_eq!(answer[0], 0, "an echo reply");
        Ok(())
    })
    .unwrap()
}

/// Waits until something is true, for what the kernel does in its own time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
