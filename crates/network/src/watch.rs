//! Watches what others do to our rules and our bridges, and has it repaired:
//! `nft flush ruleset`, a firewall that is loaded anew, a bridge that is deleted.
//!
//! The kernel tells of every change; what we did ourselves is passed over. The
//! thread looks at most once in [`PAUSE`], so that a container's start, which
//! changes much, wakes it once. Whoever takes our rules away again and again is
//! answered more and more slowly.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::commands::Commands;
use crate::netlink::message::{Answer, Attributes};
use crate::netlink::{Family, Monitor};
use crate::network::Network;
use crate::sandbox::lock;

/// How long changes are gathered.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest time between two repairs.
const LONGEST: Duration = Duration::from_secs(10);
/// After as long without one, repairs are quick again.
const PEACE: Duration = Duration::from_secs(60);

const COMMANDS: u64 = 0;
const RULES: u64 = 1;
const LINKS: u64 = 2;

const RTM_DELLINK: u16 = 17;
const IFLA_IFNAME: u16 = 3;
const NFTA_TABLE: u16 = 1;
/// `NFT_MSG_DEL…` of tables, chains, rules, sets and elements.
const DELETIONS: [u16; 5] = [
    10 << 8 | 2,
    10 << 8 | 5,
    10 << 8 | 8,
    10 << 8 | 11,
    10 << 8 | 14,
];

/// The thread that watches, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    monitors: Mutex<Option<Monitors>>,
    network: OnceLock<Weak<Network>>,
    commands: OnceLock<Arc<Commands<()>>>,
}

#[derive(Debug)]
struct Monitors {
    rules: Option<Monitor>,
    links: Monitor,
}

/// What was done to us.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Harm {
    /// Some of our rules are gone.
    pub(crate) rules: bool,
    /// One of our bridges may be gone.
    pub(crate) bridges: bool,
    /// Something was not heard.
    pub(crate) unknown: bool,
}

impl Watch {
    /// Listens from now on, in the namespace of the calling thread.
    pub(crate) fn listen(&self, network: &Arc<Network>, rules: bool) {
        let opened = || -> std::io::Result<Monitors> {
            Ok(Monitors {
                rules: rules
                    .then(|| Monitor::open(Family::Netfilter))
                    .transpose()?,
                links: Monitor::open(Family::Route)?,
            })
        };
        match opened() {
            Ok(monitors) => *lock(&self.monitors) = Some(monitors),
            Err(error) => tracing::warn!(%error, "nobody watches over rules and bridges"),
        }
        let _ = self.network.set(Arc::downgrade(network));
    }

    /// Looks at what has been heard, and from now on at everything.
    pub(crate) fn start(&self) {
        let (Some(monitors), Some(network)) = (lock(&self.monitors).take(), self.network.get())
        else {
            return;
        };
        match begin(monitors, Weak::clone(network)) {
            Ok(commands) => drop(self.commands.set(commands)),
            Err(error) => tracing::warn!(%error, "nobody watches over rules and bridges"),
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        if let Some(commands) = self.commands.get() {
            commands.tell(());
        }
    }
}

fn begin(monitors: Monitors, network: Weak<Network>) -> std::io::Result<Arc<Commands<()>>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let commands = Commands::new(&poll, COMMANDS)?;
    let watched = |token, monitor: &Monitor| {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&poll, monitor.as_fd(), data, epoll::EventFlags::IN)
    };
    watched(LINKS, &monitors.links)?;
    if let Some(rules) = &monitors.rules {
        watched(RULES, rules)?;
    }
    let ended = Arc::clone(&commands);
    std::thread::Builder::new()
        .name("network-watch".to_owned())
        .stack_size(192 * 1024)
        .spawn(move || watch(&poll, monitors, &network, &ended))?;
    Ok(commands)
}

fn watch(poll: &OwnedFd, mut monitors: Monitors, network: &Weak<Network>, ended: &Commands<()>) {
    let mut events = Vec::with_capacity(4);
    let (mut pause, mut last) = (PAUSE, None::<Instant>);
    loop {
        events.clear();
        match epoll::wait(poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return tracing::error!(%error, "nobody watches over the rules any more"),
        }
        std::thread::sleep(PAUSE);
        if !ended.take().is_empty() {
            return;
        }
        let Some(network) = network.upgrade() else {
            return;
        };
        let harm = monitors.harm(&network);
        if harm == Harm::default() {
            continue;
        }
        pause = match last {
            Some(at) if at.elapsed() < PEACE => (pause * 2).min(LONGEST),
            _ => PAUSE,
        };
        std::thread::sleep(pause - PAUSE);
        network.repair(harm);
        last = Some(Instant::now());
    }
}

impl Monitors {
    fn harm(&mut self, network: &Network) -> Harm {
        let mut harm = Harm::default();
        let bridges = network.bridges();
        let heard = self.links.drain(|answer| {
            harm.bridges |= deleted_link(answer).is_some_and(|name| bridges.contains(&name));
        });
        harm.unknown |= !heard;
        if let (Some(rules), Some(firewall)) = (&mut self.rules, &network.firewall) {
            let heard = rules.drain(|answer| {
                harm.rules |= answer.port != firewall.port()
                    && deleted_from(answer).is_some_and(|table| firewall.is_ours(&table));
            });
            harm.unknown |= !heard;
        }
        harm
    }
}

fn deleted_link(answer: Answer<'_>) -> Option<String> {
    let attributes = Attributes::after(answer.payload, 16);
    (answer.kind == RTM_DELLINK).then(|| attributes.string(IFLA_IFNAME))?
}

/// The table that something was deleted from.
fn deleted_from(answer: Answer<'_>) -> Option<String> {
    let attributes = Attributes::after(answer.payload, 4);
    DELETIONS
        .contains(&answer.kind)
        .then(|| attributes.string(NFTA_TABLE))?
}
