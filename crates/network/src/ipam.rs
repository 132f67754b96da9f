//! Which addresses of a subnet are in use.
//!
//! An address is in one of three states: free; used; or cooling, that is
//! released by its container while the kernel has not yet removed the
//! interface that carries it. A cooling address becomes free when its host-side
//! link is gone, which is looked up only when the address is wanted again. So
//! no two live interfaces ever share an address, and nobody waits for the
//! kernel's teardown.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::cidr::Ipv4Cidr;

/// The addresses of one subnet.
#[derive(Debug)]
pub(crate) struct Addresses {
    subnet: Ipv4Cidr,
    used: BTreeSet<u32>,
    cooling: BTreeMap<u32, String>,
}

/// What [`Addresses::take`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// This address; it is used now.
    Free(Ipv4Addr),
    /// Nothing but this cooling address, whose link must be deleted first. It
    /// is used now.
    AfterDeleting(Ipv4Addr, String),
    /// Every address is used.
    Exhausted,
}

impl Addresses {
    /// All addresses of the subnet but the gateway's are free.
    pub(crate) fn new(gateway: Ipv4Cidr) -> Self {
        let used = BTreeSet::from([gateway.address().to_bits()]);
        Self {
            subnet: gateway.network(),
            used,
            cooling: BTreeMap::new(),
        }
    }

    /// Takes the lowest free address. `link_exists` tells whether the link of a
    /// cooling address is still there.
    pub(crate) fn take(&mut self, mut link_exists: impl FnMut(&str) -> bool) -> Taken {
        let mut occupied = None;
        let mut used = self.used.iter().copied().peekable();
        let mut found = None;
        for candidate in self.subnet.hosts() {
            while used.next_if(|u| *u < candidate).is_some() {}
            if used.peek() == Some(&candidate) {
                continue;
            }
            match self.cooling.get(&candidate) {
                Some(link) if link_exists(link) => {
                    occupied.get_or_insert_with(|| (candidate, link.clone()));
                }
                _ => {
                    found = Some(candidate);
                    break;
                }
            }
        }
        drop(used);
        let taken = match (found, occupied) {
            (Some(bits), _) => Taken::Free(Ipv4Addr::from_bits(bits)),
            (None, Some((bits, link))) => Taken::AfterDeleting(Ipv4Addr::from_bits(bits), link),
            (None, None) => Taken::Exhausted,
        };
        if let Taken::Free(address) | Taken::AfterDeleting(address, _) = &taken {
            self.cooling.remove(&address.to_bits());
            self.used.insert(address.to_bits());
        }
        taken
    }

    /// Marks an address used by a container that is alive. Whether it was not
    /// used already; an address outside the subnet collides with nothing.
    pub(crate) fn claim(&mut self, address: Ipv4Addr) -> bool {
        self.cooling.remove(&address.to_bits());
        !self.subnet.contains(address) || self.used.insert(address.to_bits())
    }

    /// Gives an address back, which is free once `link` is gone.
    pub(crate) fn release(&mut self, address: Ipv4Addr, link: String) {
        if self.used.remove(&address.to_bits()) {
            self.cooling.insert(address.to_bits(), link);
        }
    }

    /// Notes a link found on the bridge, whose container is not known.
    pub(crate) fn found_link(&mut self, address: Ipv4Addr, link: String) {
        let bits = address.to_bits();
        if self.subnet.contains(address) && !self.used.contains(&bits) {
            self.cooling.insert(bits, link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(gateway: &str) -> Addresses {
        Addresses::new(gateway.parse().unwrap())
    }

    fn free(last: u8) -> Taken {
        Taken::Free(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn the_lowest_free_address_comes_first() {
        let mut pool = addresses("10.0.0.1/29");
        assert_eq!(pool.take(|_| false), free(2));
        assert_eq!(pool.take(|_| false), free(3));
        pool.release(Ipv4Addr::new(10, 0, 0, 2), "a".to_owned());
        assert_eq!(pool.take(|_| true), free(4), "2 is cooling");
        assert_eq!(pool.take(|_| false), free(2), "2 has cooled");
        assert_eq!(pool.take(|_| false), free(5));
        assert_eq!(pool.take(|_| false), free(6));
        assert_eq!(pool.take(|_| false), Taken::Exhausted);
    }

    #[test]
    fn a_gateway_in_the_middle_is_left_out() {
        let mut pool = addresses("10.0.0.2/30");
        assert_eq!(pool.take(|_| false), free(1));
        assert_eq!(pool.take(|_| false), Taken::Exhausted);
    }

    #[test]
    fn a_full_subnet_falls_back_on_a_cooling_address() {
        let mut pool = addresses("10.0.0.1/30");
        assert_eq!(pool.take(|_| false), free(2));
        pool.release(Ipv4Addr::new(10, 0, 0, 2), "old".to_owned());
        let expected = Taken::AfterDeleting(Ipv4Addr::new(10, 0, 0, 2), "old".to_owned());
        assert_eq!(pool.take(|_| true), expected);
        assert_eq!(pool.take(|_| true), Taken::Exhausted);
    }

    #[test]
    fn what_lives_is_claimed_once() {
        let mut pool = addresses("10.0.0.1/29");
        let address = Ipv4Addr::new(10, 0, 0, 2);
        pool.found_link(address, "veth".to_owned());
        assert!(pool.claim(address));
        assert!(!pool.claim(address));
        assert_eq!(pool.take(|_| false), free(3));
        assert!(
            pool.claim(Ipv4Addr::new(192, 0, 2, 1)),
            "not of this subnet"
        );
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take,
        Release(usize),
        LinkGone(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Take),
            2 => any::<usize>().prop_map(Step::Release),
            1 => any::<usize>().prop_map(Step::LinkGone),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens, no address is held twice, none is handed out while
        /// an interface with it exists, and none is lost.
        #[test]
        fn no_address_is_shared_or_lost(steps in steps()) {
            let mut pool = addresses("10.0.0.1/28");
            let mut held: Vec<(Ipv4Addr, String)> = Vec::new();
            let mut links: BTreeMap<String, Ipv4Addr> = BTreeMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Take => {
                        let taken = pool.take(|link| links.contains_key(link));
                        let address = match taken {
                            Taken::Free(address) => address,
                            Taken::AfterDeleting(address, link) => {
                                prop_assert_eq!(links.remove(&link), Some(address));
                                address
                            }
                            Taken::Exhausted => {
                                prop_assert_eq!(held.len(), 13);
                                continue;
                            }
                        };
                        prop_assert!(!links.values().any(|a| *a == address));
                        prop_assert!((2..=14).contains(&address.octets()[3]));
                        let link = format!("link{number}");
                        links.insert(link.clone(), address);
                        held.push((address, link));
                    }
                    Step::Release(which) if !held.is_empty() => {
                        let (address, link) = held.swap_remove(which % held.len());
                        pool.release(address, link);
                    }
                    Step::LinkGone(which) => {
                        let idle: Vec<_> = links.keys()
                            .filter(|link| !held.iter().any(|(_, l)| l == *link)).cloned().collect();
                        if !idle.is_empty() {
                            links.remove(&idle[which % idle.len()]);
                        }
                    }
                    Step::Release(_) => {}
                }
            }
        }
    }
}
