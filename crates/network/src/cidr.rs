//! An IPv4 address together with the length of its network prefix.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// Why a string is not an address with a prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct CidrError(String);

impl CidrError {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The address and the prefix length that a text consists of.
pub(crate) fn parts<A: FromStr>(text: &str) -> Result<(A, u8), CidrError> {
    let wrong = || CidrError::of(text);
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let address = address.parse().map_err(|_| wrong())?;
    Ok((address, prefix.parse().map_err(|_| wrong())?))
}

/// Writes and reads an address with its prefix length, in records as elsewhere.
macro_rules! text_form {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}/{}", self.address, self.prefix)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::cidr::CidrError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let (address, prefix) = crate::cidr::parts(text)?;
                Self::new(address, prefix).ok_or_else(|| Self::Err::of(text))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: String = serde::Deserialize::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_form;

/// An IPv4 address with a prefix length, such as `172.17.0.1/16`: a subnet if
/// the host part is zero, an interface's address otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

impl Ipv4Cidr {
    /// An address with its prefix length; `None` if `prefix` is above 32.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix > 32 {
            None
        } else {
            Some(Self { address, prefix })
        }
    }

    /// The address, host part included.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The number of leading bits that name the subnet.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The subnet mask, as a number.
    pub const fn mask(&self) -> u32 {
        match self.prefix {
            0 => 0,
            bits => u32::MAX << (32 - bits),
        }
    }

    /// The subnet: the same prefix with a host part of zero.
    pub fn network(&self) -> Self {
        Self {
            address: Ipv4Addr::from_bits(self.address.to_bits() & self.mask()),
            ..*self
        }
    }

    /// The last address of the subnet: its broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether `address` lies in this subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }

    /// Whether the two subnets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = if self.prefix <= other.prefix {
            self
        } else {
            other
        };
        (self.address.to_bits() ^ other.address.to_bits()) & shorter.mask() == 0
    }

    /// The addresses that interfaces may have: all but the network's and the
    /// broadcast address. Empty for prefixes above 30.
    pub fn hosts(&self) -> std::ops::Range<u32> {
        let first = self.network().address.to_bits();
        if self.prefix > 30 {
            return first..first;
        }
        first + 1..self.broadcast().to_bits()
    }
}

text_form!(Ipv4Cidr);

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Ipv4Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn parses_only_whole_cidrs() {
        assert_eq!(cidr("172.17.0.1/16").to_string(), "172.17.0.1/16");
        for wrong in [
            "172.17.0.1",
            "172.17.0.1/",
            "172.17.0.1/33",
            "172.17.0/16",
            "1.2.3.4/+8",
            "",
        ] {
            assert!(wrong.parse::<Ipv4Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn subnets_know_their_addresses() {
        let bridge = cidr("172.17.0.1/16");
        assert_eq!(bridge.network(), cidr("172.17.0.0/16"));
        assert_eq!(bridge.broadcast(), Ipv4Addr::new(172, 17, 255, 255));
        assert!(bridge.contains(Ipv4Addr::new(172, 17, 9, 9)));
        assert!(!bridge.contains(Ipv4Addr::new(172, 18, 0, 0)));
        assert_eq!(cidr("10.0.0.0/30").hosts().count(), 2);
        assert_eq!(cidr("10.0.0.0/31").hosts().count(), 0);
        assert_eq!(cidr("0.0.0.0/0").mask(), 0);
    }

    #[test]
    fn overlap_is_symmetric() {
        for (a, b, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/16", "10.1.0.0/16", false),
            ("172.17.0.0/16", "172.17.3.0/24", true),
            ("0.0.0.0/0", "192.0.2.0/24", true),
        ] {
            assert_eq!(cidr(a).overlaps(&cidr(b)), expected, "{a} {b}");
            assert_eq!(cidr(b).overlaps(&cidr(a)), expected, "{b} {a}");
        }
    }
}
