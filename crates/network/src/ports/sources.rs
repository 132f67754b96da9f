//! Who may use published ports: `--publish-from`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ip_cidr::IpCidr;

/// As many subnets are taken at most.
const LIMIT: usize = 256;

/// Subnets whose packets published ports let in; the empty value is for
/// everybody. This host itself is always let in.
///
/// Invariant: none of them contains another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(Vec<IpCidr>);

impl Sources {
    /// Understands subnets and addresses with commas or spaces between them, and
    /// `all` for everybody.
    ///
    /// Fails with what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let mut subnets: Vec<IpCidr> = Vec::new();
        for word in words {
            if word == "all" {
                return Ok(Self::default());
            }
            let subnet = subnet(word).ok_or_else(|| {
                format!("invalid subnet to publish to: {word:?}: expected all, ADDRESS or CIDR")
            })?;
            if subnets.len() == LIMIT {
                return Err(format!("more than {LIMIT} subnets to publish to"));
            }
            subnets.push(subnet);
        }
        if subnets.is_empty() {
            return Err("there is no subnet to publish to".to_owned());
        }
        // Wider ones first: each of the others is in one of them, or stays.
        gantry_types::sort::by_key(&mut subnets, IpCidr::prefix);
        let mut kept: Vec<IpCidr> = Vec::new();
        for subnet in subnets {
            if !kept.iter().any(|wide| wide.contains(subnet.address())) {
                kept.push(subnet);
            }
        }
        Ok(Self(kept))
    }

    /// Whether nobody is kept out.
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is let in.
    pub fn admit(&self, address: IpAddr) -> bool {
        self.is_everybody() || self.0.iter().any(|subnet| subnet.contains(address))
    }

    /// The subnets of one family.
    pub(crate) fn of_family(&self, ipv4: bool) -> impl Iterator<Item = &IpCidr> {
        self.0.iter().filter(move |subnet| subnet.is_ipv4() == ipv4)
    }
}

impl std::fmt::Display for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_everybody() {
            return f.write_str("all");
        }
        let subnets: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&subnets.join(","))
    }
}

fn subnet(word: &str) -> Option<IpCidr> {
    let subnet: IpCidr = match word.contains('/') {
        true => word.parse().ok()?,
        false => {
            let address: IpAddr = word.parse().ok()?;
            IpCidr::new(address, if address.is_ipv4() { 32 } else { 128 })?
        }
    };
    Some(subnet.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_and_addresses_are_understood() {
        let sources = Sources::parse("10.1.2.3, 10.0.0.7/8 2001:db8::1").unwrap();
        assert_eq!(sources.to_string(), "10.0.0.0/8,2001:db8::1/128");
        let admitted = |address: &str| sources.admit(address.parse().unwrap());
        assert!(admitted("10.9.9.9") && admitted("2001:db8::1"));
        assert!(!admitted("11.0.0.1") && !admitted("2001:db8::2"));
        assert!(Sources::parse("all").unwrap().admit([1, 2, 3, 4].into()));
        for wrong in ["", ",", "10.0.0.0/33", "localhost", "10.0.0.0/8;x"] {
            assert!(Sources::parse(wrong).is_err(), "{wrong}");
        }
    }
}
