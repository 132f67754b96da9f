//! What a client asks for: a port of the container, and where on the host.

use std::net::IpAddr;

use super::Protocol;

/// Which port of the host is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPorts {
    /// This one.
    One(u16),
    /// The first free one of these, ends included.
    Range(u16, u16),
    /// Any that is free.
    Any,
}

impl HostPorts {
    /// Understands `8080`, `8080-8090`, and for any port nothing or `0`.
    ///
    /// Fails with what is wrong, in Docker's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.ok_or_else(|| format!("invalid port specification: {text:?}"))
        };
        if text.is_empty() {
            return Ok(Self::Any);
        }
        let Some((first, last)) = text.split_once('-') else {
            return Ok(match number(text)? {
                0 => Self::Any,
                port => Self::One(port),
            });
        };
        match (number(first)?, number(last)?) {
            (first, last) if first > last || first == 0 => {
                Err(format!("invalid port range: {first}-{last}"))
            }
            (first, last) if first == last => Ok(Self::One(first)),
            (first, last) => Ok(Self::Range(first, last)),
        }
    }
}

/// A port of a container that is to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRequest {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The container's port.
    pub container_port: u16,
    /// The host's address; `None` for all addresses of both families.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_ports: HostPorts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ports_are_understood() {
        for (text, ports) in [
            ("", HostPorts::Any),
            ("0", HostPorts::Any),
            ("80", HostPorts::One(80)),
            ("80-80", HostPorts::One(80)),
            ("80-90", HostPorts::Range(80, 90)),
        ] {
            assert_eq!(HostPorts::parse(text), Ok(ports), "{text}");
        }
        for wrong in ["x", "-1", "70000", "80-", "90-80", "0-5", "+80", "1-2-3"] {
            assert!(HostPorts::parse(wrong).is_err(), "{wrong}");
        }
    }
}
