//! The choice of a subnet that nothing on this host uses yet.

use std::net::Ipv6Addr;

use crate::cidr::Ipv4Cidr;
use crate::config::AddressPool;
use crate::error::Error;
use crate::ip_cidr::IpCidr;

/// The first subnet of a family in the pools that overlaps with none of `taken`, as
/// the gateway's address in it.
///
/// Fails with `NoFreeSubnet`.
pub(crate) fn choose(pools: &[AddressPool], ipv4: bool, taken: &[IpCidr]) -> Result<IpCidr, Error> {
    pools
        .iter()
        .filter(|pool| pool.base.is_ipv4() == ipv4)
        .find_map(|pool| first_free(pool, taken))
        .ok_or(Error::NoFreeSubnet)
}

/// The first free subnet of a pool. What is taken is stepped over as a whole: a pool of
/// IPv6 has more subnets than anybody can look at.
fn first_free(pool: &AddressPool, taken: &[IpCidr]) -> Option<IpCidr> {
    let base = pool.base.network();
    let same = taken.iter().filter(|t| t.is_ipv4() == base.is_ipv4());
    let mut taken: Vec<(u128, u128)> = same.map(|t| (t.first(), t.last())).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let mut next = base.first();
    loop {
        let subnet = IpCidr::new(base.at(next), pool.size)?.network();
        // What ends before it is behind all that are looked at from here on.
        while taken.next_if(|(_, last)| *last < subnet.first()).is_some() {}
        let Some((_, end)) = taken.next_if(|(first, _)| *first <= subnet.last()) else {
            return Some(subnet.with_address(subnet.at(*subnet.hosts().start())));
        };
        // The end of what is taken, and then of the subnet that this is in.
        let end = subnet.last().max(end);
        let last = IpCidr::new(base.at(end), pool.size)?.last();
        if last >= base.last() {
            return None;
        }
        next = last + 1;
    }
}

/// The first subnet of our own range of unique local IPv6 addresses that overlaps
/// with none of `taken`, as the gateway's address in it. The range comes from
/// `seed`, so that it is the same at all times and another on other hosts.
fn choose_ipv6(seed: &str, taken: &[IpCidr]) -> Result<IpCidr, Error> {
    let number = |text: Option<&str>| u128::from_str_radix(text.unwrap_or("0"), 16).unwrap_or(0);
    let base = 0xfd << 120 | number(seed.get(..10)) << 80;
    (0..=0xffffu128)
        .filter_map(|number| {
            let gateway = Ipv6Addr::from_bits(base | number << 64 | 1);
            IpCidr::new(gateway.into(), 64)
        })
        .find(|subnet| !taken.iter().any(|other| other.overlaps(subnet)))
        .ok_or(Error::NoFreeSubnet)
}

/// The first free IPv6 subnet: of the pools that the administrator gives, else of our
/// own range.
pub(crate) fn choose_any_ipv6(
    pools: &[AddressPool],
    seed: &str,
    taken: &[IpCidr],
) -> Result<IpCidr, Error> {
    match pools.iter().any(|pool| !pool.base.is_ipv4()) {
        true => choose(pools, false, taken),
        false => choose_ipv6(seed, taken),
    }
}

/// Checks the daemon's address options.
pub(crate) fn check_options(bip: Option<Ipv4Cidr>, pools: &[AddressPool]) -> Result<(), Error> {
    let invalid = |option: &str, reason: &str| {
        Err(Error::InvalidOption {
            option: option.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if let Some(bip) = bip {
        let address = bip.address();
        if !bip.hosts().contains(&address.to_bits()) {
            return invalid(
                "bip",
                &format!("{bip} is not the address of a host in its subnet"),
            );
        }
        if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
            return invalid(
                "bip",
                &format!("{address} cannot be the address of a bridge"),
            );
        }
    }
    for pool in pools {
        let longest = if pool.base.is_ipv4() { 30 } else { 126 };
        if pool.size < pool.base.prefix() || pool.size > longest {
            let reason = format!("{} cannot be cut into subnets of /{}", pool.base, pool.size);
            return invalid("default-address-pools", &reason);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::docker_address_pools;

    fn any(text: &str) -> IpCidr {
        text.parse().unwrap()
    }

    fn cidr(text: &str) -> Ipv4Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_subnet_that_is_free_is_chosen() {
        let pools = docker_address_pools();
        for (taken, expected) in [
            (vec![], "172.17.0.1/16"),
            (vec!["172.17.3.4/24"], "172.18.0.1/16"),
            (vec!["172.16.0.0/12"], "192.168.0.1/20"),
            (vec!["172.16.0.0/12", "192.168.5.1/24"], "192.168.16.1/20"),
            (vec!["172.16.0.0/14", "10.0.0.0/8"], "172.20.0.1/16"),
        ] {
            let taken: Vec<_> = taken.into_iter().map(any).collect();
            let chosen = choose(&pools, true, &taken).unwrap();
            assert_eq!(chosen, any(expected), "{taken:?}");
        }
        let taken = [any("172.16.0.0/12"), any("192.168.0.0/16")];
        let error = choose(&pools, true, &taken).unwrap_err();
        assert_eq!(
            error.to_string(),
            "all predefined address pools have been fully subnetted"
        );
    }

    #[test]
    fn ipv6_subnets_are_of_this_host() {
        let first = choose_ipv6("0123456789abcdef", &[]).unwrap();
        assert_eq!(first.to_string(), "fd01:2345:6789::1/64");
        let second = choose_ipv6("0123456789abcdef", &[first]).unwrap();
        assert_eq!(second.to_string(), "fd01:2345:6789:1::1/64");
    }

    #[test]
    fn a_pool_at_the_end_of_the_address_space_is_cut_without_overflow() {
        let pool = AddressPool {
            base: any("255.255.255.0/24"),
            size: 26,
        };
        let first = first_free(&pool, &[any("255.255.255.0/25")]);
        assert_eq!(first, Some(any("255.255.255.129/26")));
        assert_eq!(first_free(&pool, &[any("255.255.0.0/16")]), None);
        let six = AddressPool {
            base: any("ff00::/8"),
            size: 64,
        };
        let first = first_free(&six, &[any("ff00::/16"), any("ff01::/64")]);
        assert_eq!(first, Some(any("ff01:0:0:1::1/64")));
    }

    #[test]
    fn senseless_options_are_refused() {
        for bip in [
            "172.17.0.0/16",
            "172.17.255.255/16",
            "127.0.0.1/8",
            "10.0.0.1/31",
        ] {
            assert!(check_options(Some(cidr(bip)), &[]).is_err(), "{bip}");
        }
        assert!(check_options(Some(cidr("10.0.0.1/30")), &[]).is_ok());
        let pool = AddressPool {
            base: any("10.0.0.0/16"),
            size: 8,
        };
        assert!(check_options(None, &[pool]).is_err());
    }
}
