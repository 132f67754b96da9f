//! An address of either family with the length of its network prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cidr::{Ipv4Cidr, text_form};

/// An address with a prefix length, such as `172.20.0.1/16` or `2001:db8::/64`: a
/// subnet if the host part is zero, an interface's address otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpCidr {
    address: IpAddr,
    prefix: u8,
}

impl IpCidr {
    /// An address with its prefix length; `None` if that is longer than an
    /// address of the family.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= width(address)).then_some(Self { address, prefix })
    }

    /// The address, host part included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that name the subnet.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether this is IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// The same as an IPv4 address, if it is one.
    pub fn to_ipv4(&self) -> Option<Ipv4Cidr> {
        match self.address {
            IpAddr::V4(address) => Ipv4Cidr::new(address, self.prefix),
            IpAddr::V6(_) => None,
        }
    }

    /// The subnet: the same prefix with a host part of zero.
    pub fn network(&self) -> Self {
        Self {
            address: self.at(self.first()),
            ..*self
        }
    }

    /// Another address with the same prefix length.
    pub fn with_address(&self, address: IpAddr) -> Self {
        Self { address, ..*self }
    }

    /// The subnet's lowest address, as a number.
    pub(crate) fn first(&self) -> u128 {
        bits(self.address) & !self.host_mask()
    }

    /// The subnet's highest address, as a number.
    pub(crate) fn last(&self) -> u128 {
        bits(self.address) | self.host_mask()
    }

    /// The address of this family with that number.
    pub(crate) fn at(&self, number: u128) -> IpAddr {
        match self.address {
            // Only the lower half is in use: the number is of this family.
            IpAddr::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
        }
    }

    /// Whether `address` lies in this subnet.
    pub fn contains(&self, address: IpAddr) -> bool {
        let number = bits(address);
        address.is_ipv4() == self.is_ipv4() && (self.first()..=self.last()).contains(&number)
    }

    /// Whether all of `other` lies in this subnet.
    pub fn encloses(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Whether the two subnets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.first() <= other.last()
            && other.first() <= self.last()
    }

    /// The numbers that interfaces may have. Of IPv4, all but the network's and
    /// the broadcast address; of IPv6, all but the network's own.
    pub(crate) fn hosts(&self) -> std::ops::RangeInclusive<u128> {
        let (first, last) = (self.first(), self.last());
        match self.address {
            // Too small for both special addresses: all of them are hosts.
            _ if last - first < 2 => first..=last,
            IpAddr::V4(_) => first + 1..=last - 1,
            IpAddr::V6(_) => first + 1..=last,
        }
    }

    fn host_mask(&self) -> u128 {
        match width(self.address) - self.prefix {
            128 => u128::MAX,
            bits => (1 << bits) - 1,
        }
    }
}

/// The number of an address.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The bytes of an address, in the network's order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The lowest address of a family, which stands for all of them.
pub(crate) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The highest address of a family.
pub(crate) fn highest(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX).into(),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl From<Ipv4Cidr> for IpCidr {
    fn from(cidr: Ipv4Cidr) -> Self {
        Self {
            address: cidr.address().into(),
            prefix: cidr.prefix(),
        }
    }
}

text_form!(IpCidr);

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> IpCidr {
        text.parse().unwrap()
    }

    #[test]
    fn both_families_are_understood() {
        for text in [
            "10.0.0.1/8",
            "::/0",
            "2001:db8::1/64",
            "0.0.0.0/0",
            "::1/128",
        ] {
            assert_eq!(cidr(text).to_string(), text);
        }
        for wrong in [
            "10.0.0.1/33",
            "::/129",
            "10.0.0.1",
            "x/8",
            "::/",
            "1.2.3.4/-1",
        ] {
            assert!(wrong.parse::<IpCidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn subnets_know_their_addresses() {
        let six = cidr("2001:db8::5/64");
        assert_eq!(six.network(), cidr("2001:db8::/64"));
        assert!(six.contains("2001:db8::ffff".parse().unwrap()));
        assert!(!six.contains("10.0.0.1".parse().unwrap()));
        assert_eq!(six.at(six.first() + 2).to_string(), "2001:db8::2");
        assert!(cidr("10.0.0.0/8").encloses(&cidr("10.1.0.0/16")));
        assert!(!cidr("10.1.0.0/16").encloses(&cidr("10.0.0.0/8")));
        assert!(cidr("10.1.0.0/16").overlaps(&cidr("10.0.0.0/8")));
        assert!(!cidr("10.1.0.0/16").overlaps(&cidr("::/0")));
        assert_eq!(cidr("10.0.0.0/30").hosts().count(), 2);
        assert_eq!(cidr("10.0.0.0/31").hosts().count(), 2);
        assert_eq!(cidr("::/0").last(), u128::MAX);
    }
}
