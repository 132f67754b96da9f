//! Subnets of a new network, and what of ranges, gateways and reserved
//! addresses belongs to each.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::args::Matches;
use crate::error::Error;

/// An address with a number of leading bits.
#[derive(Debug, Clone, Copy)]
struct Block {
    address: IpAddr,
    bits: u8,
}

impl Block {
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid CIDR address: {text}");
        let (address, bits) = text.split_once('/').ok_or_else(invalid)?;
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits: u8 = bits.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        match bits <= most {
            true => Ok(Self { address, bits }),
            false => Err(invalid()),
        }
    }

    fn contains(self, other: IpAddr) -> bool {
        let shifted =
            |value: u128, width: u32| value.checked_shr(width - u32::from(self.bits)).unwrap_or(0);
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                shifted(u128::from(own.to_bits()), 32) == shifted(u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                shifted(own.to_bits(), 128) == shifted(other.to_bits(), 128)
            }
            _ => false,
        }
    }
}

/// The address of `address` or `address/bits`.
fn address(text: &str) -> Result<Option<IpAddr>, String> {
    match text.contains('/') {
        true => Block::parse(text).map(|block| Some(block.address)),
        false => Ok(text.parse().ok()),
    }
}

fn subnet(text: &str) -> Result<Block, String> {
    Block::parse(text).map_err(|error| format!("invalid subnet: {error}"))
}

type Fields = Map<String, Value>;

/// Subnets as they were written: one that is not compared with anything is for
/// the daemon to check.
struct Subnets(Vec<(String, Fields)>);

impl Subnets {
    fn parse(texts: &[String]) -> Result<Self, String> {
        let mut all: Vec<(String, Fields)> = Vec::new();
        for text in texts {
            for (other, _) in &all {
                let (block, other) = (subnet(text)?, subnet(other)?);
                if other.contains(block.address) || block.contains(other.address) {
                    return Err(
                        "multiple overlapping subnet configuration is not supported".to_owned()
                    );
                }
            }
            let mut fields = Map::new();
            fields.insert("Subnet".to_owned(), text.as_str().into());
            all.push((text.clone(), fields));
        }
        Ok(Self(all))
    }

    fn of(&mut self, text: &str) -> Result<Option<(&str, &mut Fields)>, String> {
        for (name, fields) in &mut self.0 {
            let block = subnet(name)?;
            if address(text)?.is_some_and(|wanted| block.contains(wanted)) {
                return Ok(Some((name.as_str(), fields)));
            }
        }
        Ok(None)
    }

    fn put(&mut self, key: &str, what: &str, text: &str) -> Result<(), String> {
        let Some((subnet, fields)) = self.of(text)? else {
            return Err(format!("no matching subnet for {what} {text}"));
        };
        if let Some(other) = fields.get(key).and_then(Value::as_str) {
            let preposition = if what == "range" {
                "on the same"
            } else {
                "for the same"
            };
            return Err(format!(
                "cannot configure multiple {what}s ({text}, {other}) {preposition} subnet ({subnet})"
            ));
        }
        fields.insert(key.to_owned(), text.into());
        Ok(())
    }
}

/// The `IPAM.Config` of a new network.
pub(super) fn config(matches: &Matches) -> Result<Value, Error> {
    let lists = ["subnet", "ip-range", "gateway", "aux-address"].map(|name| matches.list(name));
    build(&lists).map_err(Error::Message)
}

fn build([subnets, ranges, gateways, reserved]: &[Vec<String>; 4]) -> Result<Value, String> {
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut all = Subnets::parse(subnets)?;
    for range in ranges {
        Block::parse(range)?;
        all.put("IPRange", "range", range)?;
    }
    for gateway in gateways {
        all.put("Gateway", "gateway", gateway)?;
    }
    for entry in reserved {
        let (name, text) = entry.split_once('=').unwrap_or((entry, ""));
        let Some((_, fields)) = all.of(text)? else {
            return Err(format!("no matching subnet for aux-address {text}"));
        };
        let own = fields
            .entry("AuxiliaryAddresses")
            .or_insert_with(|| json!({}));
        own[name] = text.into();
    }
    Ok(all
        .0
        .into_iter()
        .map(|(_, fields)| Value::Object(fields))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(texts: [&[&str]; 4]) -> Result<String, String> {
        let lists = texts.map(|list| list.iter().map(|text| (*text).to_owned()).collect());
        build(&lists).map(|value| value.to_string())
    }

    #[test]
    fn everything_finds_its_subnet() {
        assert_eq!(made([&[], &[], &[], &[]]).unwrap(), "[]");
        assert_eq!(
            made([
                &["10.0.0.0/16", "fd00::/64"],
                &["10.0.1.0/24"],
                &["10.0.0.1", "fd00::1"],
                &["a=10.0.0.5"]
            ])
            .unwrap(),
            r#"[{"Subnet":"10.0.0.0/16","IPRange":"10.0.1.0/24","Gateway":"10.0.0.1","AuxiliaryAddresses":{"a":"10.0.0.5"}},{"Subnet":"fd00::/64","Gateway":"fd00::1"}]"#
        );
        let wrong: [[&[&str]; 4]; 6] = [
            [&["10.0.0.0/16", "10.0.1.0/24"], &[], &[], &[]],
            [&["10.0.0.0", "x"], &[], &[], &[]],
            [&[], &[], &["10.0.0.1"], &[]],
            [&["10.0.0.0/24"], &[], &["10.0.1.1"], &[]],
            [
                &["10.0.0.0/24", "10.1.0.0/24"],
                &[],
                &["10.0.0.1", "10.0.0.2"],
                &[],
            ],
            [&["10.0.0.0/24"], &[], &[], &["a=x"]],
        ];
        for texts in wrong {
            assert!(made(texts).is_err(), "{texts:?}");
        }
    }
}
