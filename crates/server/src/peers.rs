//! How many connections one client may have open at a time, so that one that
//! floods leaves descriptors and memory for all others.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// More than any known client opens; each may hold a thread and a few buffers.
pub(crate) const MOST: usize = 2000;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// A process of this machine, over a unix socket; 0 when it is not seen from here.
    Process(i32),
    /// An address, over TCP.
    Address(IpAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The open connections of all peers.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<Peer, usize>>);

/// One connection; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    peers: Arc<Peers>,
    peer: Peer,
}

impl Peers {
    /// A place for one more connection of `peer`; `None` when it has too many.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        (*count < MOST).then(|| {
            *count += 1;
            Place {
                peers: Arc::clone(self),
                peer,
            }
        })
    }
}

impl Place {
    /// Who has it.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_places() {
        let peers = Arc::new(Peers::default());
        let (one, other) = (Peer::Process(1), Peer::Process(2));
        let mut places: Vec<_> = (0..MOST).map_while(|_| peers.admit(one)).collect();
        assert_eq!(places.len(), MOST);
        assert!(peers.admit(one).is_none());
        assert!(peers.admit(other).is_some());
        places.pop();
        assert!(peers.admit(one).is_some());
        places.clear();
        assert!(peers.0.lock().unwrap().is_empty());
    }
}
