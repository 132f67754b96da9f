//! `--publish` and `--expose`.

use std::collections::BTreeMap;

use gantry_api::{Empty, PortBinding, PortMap};

/// Exposed ports and their bindings.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) exposed: BTreeMap<String, Empty>,
    pub(super) bindings: PortMap,
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A port or a range, in the words of Go's parser.
fn exposed(ports: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        text.parse::<u16>().map_err(|error| {
            let reason = match error.kind() {
                std::num::IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.ParseUint: parsing {text:?}: {reason}")
        })
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (number(first)?, number(last)?);
    match first <= last {
        true => Ok((first, last)),
        false => Err(format!("invalid range specified for port: {ports}")),
    }
}

fn protocol(text: &str) -> Result<(&str, String), String> {
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_lowercase();
    match protocol.as_str() {
        "" => Ok((ports, "tcp".to_owned())),
        "tcp" | "udp" | "sctp" => Ok((ports, protocol)),
        other => Err(format!("invalid proto: {other}")),
    }
}

/// `host:port` of a published port: address, ports of the host, of the container.
fn split(text: &str) -> (String, &str, &str) {
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or("");
    let host = parts.next().unwrap_or("");
    let address = parts.next().unwrap_or("");
    let address = address.trim_start_matches('[').trim_end_matches(']');
    (address.to_owned(), host, container)
}

impl Ports {
    /// Adds `[ip:][host-port:]port[/protocol]`, or the long form.
    pub(super) fn publish(&mut self, text: &str) -> Result<(), String> {
        if text.contains('=') {
            return self.publish_long(text);
        }
        let (ports, protocol) = protocol(text)?;
        let (address, host, container) = split(ports);
        if container.is_empty() {
            return Err(format!("no port specified: {text}<empty>"));
        }
        let (first, last) =
            range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
        let host = match host {
            "" => None,
            host => Some(range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?),
        };
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address: {address}"));
        }
        if let Some((from, to)) = host
            && to - from != last - first
            && first != last
        {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {container} and {from}-{to}"
            ));
        }
        for port in first..=last {
            let host_port = match host {
                None => String::new(),
                Some((from, to)) if first == last && from != to => format!("{from}-{to}"),
                Some((from, _)) => (from + (port - first)).to_string(),
            };
            self.bind(port, &protocol, &address, host_port);
        }
        Ok(())
    }

    fn bind(&mut self, port: u16, protocol: &str, address: &str, host_port: String) {
        let key = format!("{port}/{protocol}");
        self.exposed.insert(key.clone(), Empty {});
        let bindings = self.bindings.entry(key).or_default();
        bindings.get_or_insert_with(Vec::new).push(PortBinding {
            host_ip: address.to_owned(),
            host_port,
        });
    }

    fn publish_long(&mut self, text: &str) -> Result<(), String> {
        let (mut target, mut published, mut protocol) = (None, String::new(), "tcp".to_owned());
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("target", value)) => target = value.parse::<u16>().ok(),
                Some(("published", value)) => published = value.to_owned(),
                Some(("protocol", value)) => protocol = value.to_lowercase(),
                Some(("mode", _)) => {}
                _ => return Err(format!("invalid field {field}")),
            }
        }
        let Some(target) = target.filter(|port| *port != 0) else {
            return Err("target port is required".to_owned());
        };
        self.bind(target, &protocol, "", published);
        Ok(())
    }

    /// Adds `port[-port][/protocol]`.
    pub(super) fn expose(&mut self, text: &str) -> Result<(), String> {
        let (ports, protocol) = protocol(text)?;
        let (first, last) = exposed(ports).map_err(|reason| {
            format!("invalid range format for --expose: {ports}, error: {reason}")
        })?;
        for port in first..=last {
            self.exposed
                .entry(format!("{port}/{protocol}"))
                .or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> String {
        let mut ports = Ports::default();
        if let Err(error) = ports.publish(text) {
            return error;
        }
        let mut out = Vec::new();
        for (key, bindings) in &ports.bindings {
            for binding in bindings.iter().flatten() {
                out.push(format!("{key}={}:{}", binding.host_ip, binding.host_port));
            }
        }
        out.join(" ")
    }

    #[test]
    fn publishing() {
        let table = [
            ("80", "80/tcp=:"),
            ("8080:80", "80/tcp=:8080"),
            ("127.0.0.1:8080:80/udp", "80/udp=127.0.0.1:8080"),
            ("127.0.0.1::80", "80/tcp=127.0.0.1:"),
            ("[::1]:1:2", "2/tcp=::1:1"),
            ("90-91:80-81", "80/tcp=:90 81/tcp=:91"),
            ("90-99:80", "80/tcp=:90-99"),
            ("target=80,published=81,protocol=udp", "80/udp=:81"),
            ("x", "invalid containerPort: x"),
            (
                "1-2:1-3",
                "invalid ranges specified for container and host Ports: 1-3 and 1-2",
            ),
            ("1/foo", "invalid proto: foo"),
        ];
        for (text, expected) in table {
            assert_eq!(bound(text), expected, "{text}");
        }
    }
}
