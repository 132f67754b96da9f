//! Which addresses of a subnet are in use.
//!
//! An address is in one of three states: free; used; or cooling, that is
//! released by its container while the kernel has not yet removed the
//! interface that carries it. A cooling address becomes free when its host-side
//! link is gone, which is looked up only when the address is wanted again. So
//! no two live interfaces ever share an address, and nobody waits for the
//! kernel's teardown.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ip_cidr::{IpCidr, bits};

/// The addresses of one subnet.
#[derive(Debug)]
pub(crate) struct Addresses {
    subnet: IpCidr,
    /// Where addresses that nobody names are taken from.
    range: IpCidr,
    used: BTreeSet<u128>,
    cooling: BTreeMap<u128, String>,
}

/// What [`Addresses::take`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// This address; it is used now.
    Free(IpAddr),
    /// Nothing but this cooling address, whose link must be deleted first. It
    /// is used now.
    AfterDeleting(IpAddr, String),
    /// Every address is used.
    Exhausted,
}

impl Addresses {
    /// All addresses of the subnet but the reserved ones are free; those that
    /// nobody names come from `range`.
    pub(crate) fn new(subnet: IpCidr, range: Option<IpCidr>, reserved: &[IpAddr]) -> Self {
        let subnet = subnet.network();
        Self {
            subnet,
            range: range.unwrap_or(subnet),
            used: reserved.iter().map(|address| bits(*address)).collect(),
            cooling: BTreeMap::new(),
        }
    }

    /// Takes the lowest free address. `link_exists` tells whether the link of a
    /// cooling address is still there.
    pub(crate) fn take(&mut self, mut link_exists: impl FnMut(&str) -> bool) -> Taken {
        let (hosts, range) = (self.subnet.hosts(), &self.range);
        let candidates = *hosts.start().max(&range.first())..=*hosts.end().min(&range.last());
        let mut occupied = None;
        let mut used = self.used.iter().copied().peekable();
        let mut found = None;
        for candidate in candidates {
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
            (Some(number), _) => Taken::Free(self.subnet.at(number)),
            (None, Some((number, link))) => Taken::AfterDeleting(self.subnet.at(number), link),
            (None, None) => Taken::Exhausted,
        };
        if let Taken::Free(address) | Taken::AfterDeleting(address, _) = &taken {
            self.cooling.remove(&bits(*address));
            self.used.insert(bits(*address));
        }
        taken
    }

    /// Takes an address that somebody names; `None` when it is used or none of an
    /// interface. With it comes the link that must be deleted first, if any.
    pub(crate) fn take_this(&mut self, address: IpAddr) -> Option<Option<String>> {
        let number = bits(address);
        let possible = self.subnet.contains(address) && self.subnet.hosts().contains(&number);
        if !possible || !self.used.insert(number) {
            return None;
        }
        Some(self.cooling.remove(&number))
    }

    /// Marks an address used by a container that is alive. Whether it was not
    /// used already; an address outside the subnet collides with nothing.
    pub(crate) fn claim(&mut self, address: IpAddr) -> bool {
        self.cooling.remove(&bits(address));
        !self.subnet.contains(address) || self.used.insert(bits(address))
    }

    /// Gives an address back, which is free once `link` is gone; without one, at once.
    pub(crate) fn release(&mut self, address: IpAddr, link: String) {
        if self.used.remove(&bits(address)) && !link.is_empty() {
            self.cooling.insert(bits(address), link);
        }
    }

    /// Notes a link found on the bridge, whose container is not known.
    pub(crate) fn found_link(&mut self, address: IpAddr, link: String) {
        let number = bits(address);
        if self.subnet.contains(address) && !self.used.contains(&number) {
            self.cooling.insert(number, link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(gateway: &str) -> Addresses {
        let gateway: IpCidr = gateway.parse().unwrap();
        Addresses::new(gateway, None, &[gateway.address()])
    }

    fn four(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn free(last: u8) -> Taken {
        Taken::Free(four(last))
    }

    #[test]
    fn what_is_named_is_had_once() {
        let mut pool = addresses("10.0.0.1/29");
        assert_eq!(pool.take_this(four(5)), Some(None));
        for taken in [5, 1, 0, 7, 9] {
            assert_eq!(pool.take_this(four(taken)), None, "{taken}");
        }
        pool.release(four(5), "old".to_owned());
        assert_eq!(pool.take_this(four(5)), Some(Some("old".to_owned())));
    }

    #[test]
    fn a_range_limits_what_nobody_names() {
        let subnet: IpCidr = "10.0.0.0/24".parse().unwrap();
        let range = "10.0.0.128/31".parse().ok();
        let mut pool = Addresses::new(subnet, range, &[four(128)]);
        assert_eq!(pool.take(|_| false), free(129));
        assert_eq!(pool.take(|_| false), Taken::Exhausted);
        assert_eq!(pool.take_this(four(7)), Some(None));
        let six: IpCidr = "fd00::/64".parse().unwrap();
        let mut pool = Addresses::new(six, None, &["fd00::1".parse().unwrap()]);
        assert_eq!(
            pool.take(|_| false),
            Taken::Free("fd00::2".parse().unwrap())
        );
    }

    #[test]
    fn the_lowest_free_address_comes_first() {
        let mut pool = addresses("10.0.0.1/29");
        assert_eq!(pool.take(|_| false), free(2));
        assert_eq!(pool.take(|_| false), free(3));
        pool.release(four(2), "a".to_owned());
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
        pool.release(four(2), "old".to_owned());
        let expected = Taken::AfterDeleting(four(2), "old".to_owned());
        assert_eq!(pool.take(|_| true), expected);
        assert_eq!(pool.take(|_| true), Taken::Exhausted);
    }

    #[test]
    fn what_lives_is_claimed_once() {
        let mut pool = addresses("10.0.0.1/29");
        let address = four(2);
        pool.found_link(address, "veth".to_owned());
        assert!(pool.claim(address));
        assert!(!pool.claim(address));
        assert_eq!(pool.take(|_| false), free(3));
        assert!(
            pool.claim(IpAddr::from([192, 0, 2, 1])),
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
            let mut held: Vec<(IpAddr, String)> = Vec::new();
            let mut links: BTreeMap<String, IpAddr> = BTreeMap::new();
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
                        prop_assert!((2..=14).contains(&(bits(address) & 0xff)));
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
