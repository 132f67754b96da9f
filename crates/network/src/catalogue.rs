//! All networks that there are: their definitions, and those at work among them.
//!
//! ```text
//! making     check ─► choose subnets ─► row ─► driver ─► firewall ─► listed
//! removing   unlisted ─► firewall ─► driver ─► row
//! ```
//!
//! Whatever moment a daemon is killed at: a row has a bridge again when the next
//! one has opened, and a bridge without a row does not come about.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use gantry_metadata::Database;

use crate::config::NetworkConfig;
use crate::definition::Definition;
use crate::error::Error;
use crate::firewall::{Forward, Member};
use crate::mode::NetworkMode;
use crate::netlink::Socket;
use crate::ports::{Protocol, Sources};
use crate::sandbox::lock;
use crate::seen::Seen;
use crate::segment::Segment;
use crate::{builtin, drivers, records};

/// A network that is listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) definition: Arc<Definition>,
    /// It at work; `None` where it never works, or could not be made.
    pub(crate) segment: Option<Arc<Segment>>,
}

/// All networks, by id.
#[derive(Debug)]
pub(crate) struct Catalogue {
    listed: Mutex<BTreeMap<String, Listed>>,
    /// Held while a network is made or removed.
    pub(crate) changing: Mutex<()>,
}

impl Catalogue {
    /// The predefined networks, and those that users made, with their bridges. One
    /// that cannot work is listed all the same.
    pub(crate) fn open(
        socket: &mut Socket,
        seen: &Seen,
        config: &NetworkConfig,
        database: &Database,
        default: Option<(Definition, Arc<Segment>)>,
    ) -> Result<Self, Error> {
        let mut listed = BTreeMap::new();
        let mut add = |definition: Definition, segment| {
            let definition = Arc::new(definition);
            listed.insert(
                definition.id.clone(),
                Listed {
                    definition,
                    segment,
                },
            );
        };
        if let Some((definition, segment)) = default {
            add(definition, Some(segment));
        }
        for mode in [NetworkMode::Host, NetworkMode::None] {
            let known = records::find_or_make(database, mode)?;
            add(builtin::plain(mode, &known), None);
        }
        for definition in records::users_networks(database)? {
            let segment = at_work(socket, seen, config, &definition)
                .inspect_err(|error| {
                    tracing::error!(network = definition.name, %error, "a network cannot work");
                })
                .unwrap_or_default();
            add(definition, segment);
        }
        Ok(Self {
            listed: Mutex::new(listed),
            changing: Mutex::new(()),
        })
    }

    /// All definitions.
    pub(crate) fn definitions(&self) -> Vec<Arc<Definition>> {
        let listed = lock(&self.listed);
        listed.values().map(|l| Arc::clone(&l.definition)).collect()
    }

    /// The network of that id, name, or beginning of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Listed, Error> {
        let listed = lock(&self.listed);
        if let Some(found) = listed.get(wanted) {
            return Ok(found.clone());
        }
        let named = listed.values().find(|l| l.definition.name == wanted);
        if let Some(found) = named {
            return Ok(found.clone());
        }
        let begins = |l: &&Listed| !wanted.is_empty() && l.definition.id.starts_with(wanted);
        let mut matching = listed.values().filter(begins);
        match (matching.next(), matching.next()) {
            (Some(found), None) => Ok(found.clone()),
            (Some(_), Some(_)) => Err(Error::Invalid(format!(
                "network {wanted} is ambiguous (2 matches found based on ID prefix)"
            ))),
            (None, _) => Err(Error::NetworkNotFound(wanted.to_owned())),
        }
    }

    /// The network at work of that id.
    pub(crate) fn segment(&self, id: &str) -> Option<Arc<Segment>> {
        lock(&self.listed).get(id).and_then(|l| l.segment.clone())
    }

    /// All networks at work.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        let listed = lock(&self.listed);
        listed.values().filter_map(|l| l.segment.clone()).collect()
    }

    /// Those of them that users made.
    pub(crate) fn users_segments(&self) -> Vec<Arc<Segment>> {
        let mut segments = self.segments();
        segments.retain(|segment| segment.name != NetworkMode::Bridge.name());
        segments
    }

    /// What the firewall knows of them.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.segments().iter().flat_map(|s| s.members()).collect()
    }

    /// For whom the host's ports are that networks over several hosts use.
    pub(crate) fn guards(&self) -> Vec<Forward> {
        let mut guards: BTreeMap<(u16, bool), Vec<String>> = BTreeMap::new();
        for segment in self.segments() {
            let (port, peers) = segment.driver.peers().unwrap_or_default();
            for peer in peers {
                let of = guards.entry((port, peer.is_ipv4())).or_default();
                of.push(peer.to_string());
            }
        }
        let guard = |((port, ipv4), peers): ((u16, bool), Vec<String>)| {
            let any = match ipv4 {
                true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                false => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            Some(Forward {
                protocol: Protocol::Udp,
                from: SocketAddr::new(any, port),
                to: SocketAddr::new(any, 0),
                sources: Sources::parse(&peers.join(",")).ok()?,
                direct: false,
            })
        };
        guards.into_iter().filter_map(guard).collect()
    }

    /// Whether one of them has IPv6.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.segments().iter().any(|segment| segment.has_ipv6())
    }

    pub(crate) fn add(&self, definition: Definition, segment: Option<Arc<Segment>>) {
        let entry = Listed {
            definition: Arc::new(definition),
            segment,
        };
        lock(&self.listed).insert(entry.definition.id.clone(), entry);
    }

    pub(crate) fn take(&self, id: &str) -> Option<Listed> {
        lock(&self.listed).remove(id)
    }

    pub(crate) fn put_back(&self, entry: Listed) {
        lock(&self.listed).insert(entry.definition.id.clone(), entry);
    }
}

/// A user's network at work, with what is missing of it on this host made. A mere
/// configuration never works.
pub(crate) fn at_work(
    socket: &mut Socket,
    seen: &Seen,
    config: &NetworkConfig,
    definition: &Definition,
) -> Result<Option<Arc<Segment>>, Error> {
    if definition.config_only {
        return Ok(None);
    }
    let driver = drivers::open(socket, seen, config, definition)?;
    Ok(Some(Arc::new(Segment::new(seen, definition, driver)?)))
}
