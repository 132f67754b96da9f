//! `--network` and the flags that belong to its first endpoint.

use std::collections::BTreeMap;

use gantry_api::{EndpointIpam, EndpointSettings, NetworkingConfig};

use crate::args::Matches;
use crate::error::Error;

struct Attachment {
    target: String,
    endpoint: EndpointSettings,
    has_aliases: bool,
}

/// `name` or `name=n,alias=a,ip=i,…`.
fn attachment(text: &str) -> Result<Attachment, String> {
    let mut endpoint = EndpointSettings::default();
    let mut target = String::new();
    let mut aliases = Vec::new();
    let mut ipam = EndpointIpam::default();
    let is_long = text.contains('=');
    let fields = if is_long {
        super::mount::fields(text)?
    } else {
        vec![format!("name={text}")]
    };
    for field in fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("invalid field {field}"));
        };
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "name" => target = value.to_owned(),
            "alias" => aliases.push(value.to_owned()),
            "ip" => ipam.ipv4_address = value.to_owned(),
            "ip6" => ipam.ipv6_address = value.to_owned(),
            "link-local-ip" => {
                ipam.link_local_ips
                    .get_or_insert_with(Vec::new)
                    .push(value.to_owned());
            }
            "mac-address" => endpoint.mac_address = value.to_owned(),
            "gw-priority" => {
                endpoint.gw_priority = value
                    .parse()
                    .map_err(|_| format!("invalid gw-priority: {value}"))?;
            }
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or("invalid key value pair format in driver options")?;
                endpoint
                    .driver_opts
                    .get_or_insert_with(BTreeMap::new)
                    .insert(key.to_lowercase(), value.to_lowercase());
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if target.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    let has_aliases = !aliases.is_empty();
    endpoint.aliases = Some(aliases).filter(|list| !list.is_empty());
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
    Ok(Attachment {
        target,
        endpoint,
        has_aliases,
    })
}

/// The mode of the first network, and every endpoint.
pub(super) fn build(matches: &Matches) -> Result<(String, NetworkingConfig), Error> {
    let mut texts = matches.list("network");
    texts.extend(matches.list("net"));
    if texts.is_empty() {
        texts.push("default".to_owned());
    }
    let mut endpoints = BTreeMap::new();
    let mut mode = String::new();
    for (index, text) in texts.iter().enumerate() {
        let mut found = attachment(text).map_err(Error::Message)?;
        if index == 0 {
            mode.clone_from(&found.target);
            first(matches, &mut found)?;
        }
        let plain = matches!(found.target.as_str(), "none" | "host" | "bridge")
            || found.target.starts_with("container:");
        // What is wished of such a network is the daemon's to refuse.
        let has_endpoint = !plain || found.endpoint != EndpointSettings::default();
        if has_endpoint {
            if endpoints.contains_key(&found.target) {
                return Err(Error::message(format!(
                    "network {:?} is specified multiple times",
                    found.target
                )));
            }
            endpoints.insert(found.target, Some(found.endpoint));
        }
    }
    let config = NetworkingConfig {
        endpoints_config: Some(endpoints),
    };
    Ok((mode, config))
}

/// Six, eight or twenty bytes in hexadecimal, between colons or dashes, or in
/// groups of two between dots.
fn is_mac(text: &str) -> bool {
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let of = |separator: char, len: usize, counts: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| hex(part, len))
    };
    of(':', 2, [6, 8, 20]) || of('-', 2, [6, 8, 20]) || of('.', 4, [3, 4, 10])
}

/// Gives the top-level flags to the first network.
fn first(matches: &Matches, attachment: &mut Attachment) -> Result<(), Error> {
    let mut aliases = matches.list("network-alias");
    aliases.extend(matches.list("net-alias"));
    if !aliases.is_empty() {
        if attachment.has_aliases {
            return Err(Error::message(
                "conflicting options: cannot specify both --network-alias and per-network alias",
            ));
        }
        attachment.endpoint.aliases = Some(aliases);
    }
    let links = matches.list("link");
    if !links.is_empty() {
        attachment.endpoint.links = Some(links);
    }
    let (ip, ip6) = (matches.text("ip"), matches.text("ip6"));
    let local = matches.optional_list("link-local-ip");
    if !ip.is_empty() || !ip6.is_empty() || local.is_some() {
        let ipam = attachment
            .endpoint
            .ipam_config
            .get_or_insert_with(EndpointIpam::default);
        ip.clone_into(&mut ipam.ipv4_address);
        ip6.clone_into(&mut ipam.ipv6_address);
        ipam.link_local_ips = local;
    }
    let mac = matches.text("mac-address");
    if !mac.is_empty() {
        if !is_mac(mac) {
            return Err(Error::message(format!("{mac} is not a valid mac address")));
        }
        mac.clone_into(&mut attachment.endpoint.mac_address);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_form() {
        let found = attachment("name=bar,alias=z,ip=1.2.3.4,driver-opt=A=B").unwrap();
        assert_eq!(found.target, "bar");
        assert_eq!(found.endpoint.aliases, Some(vec!["z".to_owned()]));
        assert_eq!(found.endpoint.ipam_config.unwrap().ipv4_address, "1.2.3.4");
        assert_eq!(attachment("host").unwrap().target, "host");
        assert!(attachment("alias=z").is_err());
        assert!(attachment("name=a,foo=b").is_err());
    }
}
