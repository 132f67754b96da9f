//! `/etc/resolv.conf`: the host's, with what a container cannot reach taken
//! out and what the user gave put in.

use std::fmt::Write;
use std::net::IpAddr;

use crate::mode::NetworkMode;

/// Asked when nothing else is left, as Docker does.
pub(super) const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
const SYSTEMD_RESOLVED: &str = "127.0.0.53";

/// What the user says about name servers; empty lists leave the host's values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// `--dns`.
    pub servers: Vec<IpAddr>,
    /// `--dns-search`; a single `.` means none.
    pub search: Vec<String>,
    /// `--dns-option`.
    pub options: Vec<String>,
}

/// The host's file, as far as it is understood; the rest is kept as it is.
#[derive(Debug, Default)]
struct Parsed<'a> {
    servers: Vec<&'a str>,
    search: Vec<&'a str>,
    options: Vec<&'a str>,
    others: Vec<&'a str>,
}

fn parse(text: &str) -> Parsed<'_> {
    let mut parsed = Parsed::default();
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => parsed.servers.extend(words.next()),
            // The last of these lines counts.
            Some("search" | "domain") => parsed.search = words.collect(),
            Some("options") => parsed.options.extend(words),
            Some(word) if !word.starts_with(['#', ';']) => parsed.others.push(line),
            _ => {}
        }
    }
    parsed
}

/// The name servers of a file.
pub(super) fn servers(text: &str) -> Vec<IpAddr> {
    let servers = parse(text).servers.into_iter();
    servers.filter_map(|server| server.parse().ok()).collect()
}

pub(super) fn asks_only_systemd_resolved(text: &str) -> bool {
    parse(text).servers == [SYSTEMD_RESOLVED]
}

/// Only what the user gives is taken as it is; of the host's servers those
/// that a container can reach by IPv4 remain, except in the host's own network.
pub(super) fn render(mode: NetworkMode, dns: &DnsOptions, host: &str) -> String {
    let host = parse(host);
    let mut servers: Vec<String> = if dns.servers.is_empty() {
        host.servers
            .iter()
            .filter(|s| reachable(mode, s))
            .map(ToString::to_string)
            .collect()
    } else {
        dns.servers.iter().map(ToString::to_string).collect()
    };
    if servers.is_empty() && mode != NetworkMode::Host {
        servers = FALLBACK.iter().map(ToString::to_string).collect();
    }
    if mode == NetworkMode::User {
        // Our resolver asks the others.
        servers = vec![crate::names::ADDRESS.to_string()];
    }
    let search: Vec<&str> = match dns.search.as_slice() {
        [] => host.search,
        [only] if only == "." => Vec::new(),
        given => given.iter().map(String::as_str).collect(),
    };
    let mut options: Vec<&str> = if dns.options.is_empty() {
        host.options
    } else {
        dns.options.iter().map(String::as_str).collect()
    };
    // A name of one word is a container's, too.
    if mode == NetworkMode::User && !options.iter().any(|o| o.starts_with("ndots:")) {
        options.push("ndots:0");
    }
    let mut text = "# Made by gantry from the host's file and the container's options. It may be\n\
                    # changed: gantry writes it only when the container starts.\n\n"
        .to_owned();
    // Writing to a string cannot fail.
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    for line in host.others {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn reachable(mode: NetworkMode, server: &str) -> bool {
    if mode == NetworkMode::Host {
        return true;
    }
    matches!(server.parse::<IpAddr>(), Ok(IpAddr::V4(address)) if !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mode: NetworkMode, dns: &DnsOptions, host: &str) -> Vec<String> {
        let text = render(mode, dns, host);
        text.lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn unreachable_servers_are_left_out() {
        let none = DnsOptions::default();
        let bridge = NetworkMode::Bridge;
        let host = "# c\nnameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n\
                    domain old\nsearch a.b c\noptions edns0\nsortlist 1.2.3.4\n";
        assert_eq!(
            lines(bridge, &none, host),
            [
                "nameserver 192.0.2.1",
                "search a.b c",
                "options edns0",
                "sortlist 1.2.3.4"
            ]
        );
        let fallback = ["nameserver 8.8.8.8", "nameserver 8.8.4.4"];
        assert_eq!(lines(bridge, &none, "nameserver 127.0.0.53\n"), fallback);
        assert_eq!(lines(bridge, &none, ""), fallback);
        assert_eq!(lines(NetworkMode::None, &none, "nameserver ::1"), fallback);
        assert_eq!(
            lines(NetworkMode::Host, &none, "nameserver ::1"),
            ["nameserver ::1"]
        );
    }

    /// The same order as dockerd 28.5 writes.
    #[test]
    fn options_replace_the_hosts_values() {
        let dns = DnsOptions {
            servers: vec!["1.1.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            search: vec!["a.b".to_owned(), "c".to_owned()],
            options: vec!["ndots:2".to_owned(), "debug".to_owned()],
        };
        let host = "nameserver 192.0.2.1\nsearch x\noptions edns0\n";
        assert_eq!(
            lines(NetworkMode::Bridge, &dns, host),
            [
                "nameserver 1.1.1.1",
                "nameserver 127.0.0.1",
                "search a.b c",
                "options ndots:2 debug"
            ]
        );
        let dns = DnsOptions {
            search: vec![".".to_owned()],
            ..DnsOptions::default()
        };
        assert_eq!(
            lines(NetworkMode::Bridge, &dns, host),
            ["nameserver 192.0.2.1", "options edns0"]
        );
    }
}
