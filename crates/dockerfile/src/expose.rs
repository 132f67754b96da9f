//! The ports of `EXPOSE`: `[address:][host port:]port[-port][/protocol]`.

use std::net::IpAddr;

use crate::error::Error;
use crate::shell::quoted;

/// One word of `EXPOSE`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed<'a> {
    /// An address, which means nothing here.
    pub address: String,
    /// A port of the host, which means nothing either.
    pub host_port: &'a str,
    /// The port or ports.
    pub port: &'a str,
    /// As it is written; `tcp` without one.
    pub protocol: &'a str,
}

impl<'a> Exposed<'a> {
    /// Fails without a port and with an unknown protocol.
    pub fn split(word: &'a str) -> Result<Self, Error> {
        let (rest, port) = word.rsplit_once(':').unwrap_or(("", word));
        let (address, host_port) = rest.rsplit_once(':').unwrap_or(("", rest));
        let invalid = |what: String| Error::new(format!("invalid port: {}: {what}", quoted(word)));
        let (port, protocol) = port.split_once('/').unwrap_or((port, ""));
        if port.is_empty() {
            return Err(invalid("no port specified".to_owned()));
        }
        let protocol = match protocol.to_lowercase().as_str() {
            "" => "tcp",
            "tcp" | "udp" | "sctp" => protocol,
            _ => return Err(invalid(format!("invalid proto: {protocol}"))),
        };
        Ok(Self {
            address: address.to_owned(),
            host_port,
            port,
            protocol,
        })
    }

    /// The ports as an image's configuration has them, `80/tcp`. Fails on what is
    /// no address, no port or no range.
    pub fn ports(&self) -> Result<Vec<String>, Error> {
        let bare = self
            .address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let address = bare.unwrap_or(&self.address);
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            return Err(Error::new(format!("invalid IP address: {address}")));
        }
        let (first, last) = range(self.port)
            .ok_or_else(|| Error::new(format!("invalid containerPort: {}", self.port)))?;
        if !self.host_port.is_empty() {
            let (from, to) = range(self.host_port)
                .ok_or_else(|| Error::new(format!("invalid hostPort: {}", self.host_port)))?;
            if last - first != to - from && first != last {
                return Err(Error::new(format!(
                    "invalid ranges specified for container and host Ports: {} and {}",
                    self.port, self.host_port
                )));
            }
        }
        let protocol = self.protocol.to_lowercase();
        Ok((first..=last)
            .map(|port| format!("{port}/{protocol}"))
            .collect())
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = text.strip_prefix('+').unwrap_or(text);
        digits.parse::<u16>().ok()
    };
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(word: &str) -> Result<Vec<String>, String> {
        Exposed::split(word)
            .and_then(|exposed| exposed.ports())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn ports_and_ranges() {
        assert_eq!(ports("80"), Ok(vec!["80/tcp".to_owned()]));
        assert_eq!(ports("80/UDP"), Ok(vec!["80/udp".to_owned()]));
        assert_eq!(
            ports("7-8"),
            Ok(vec!["7/tcp".to_owned(), "8/tcp".to_owned()])
        );
        assert_eq!(ports("127.0.0.1:90:80"), Ok(vec!["80/tcp".to_owned()]));
        assert_eq!(ports("[::1]:90:80"), Ok(vec!["80/tcp".to_owned()]));
        for (word, expected) in [
            ("a", "invalid containerPort: a"),
            ("70000", "invalid containerPort: 70000"),
            ("8-7", "invalid containerPort: 8-7"),
            ("/tcp", "invalid port: \"/tcp\": no port specified"),
            ("80/x", "invalid port: \"80/x\": invalid proto: x"),
            ("x:90:80", "invalid IP address: x"),
            ("a:80", "invalid hostPort: a"),
            (
                "1-3:8-9",
                "invalid ranges specified for container and host Ports: 8-9 and 1-3",
            ),
        ] {
            assert_eq!(ports(word), Err(expected.to_owned()), "{word}");
        }
    }
}
