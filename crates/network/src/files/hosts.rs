//! `/etc/hosts` and the container's full name.

use std::fmt::Write;
use std::net::IpAddr;

use super::NameRequest;
use crate::error::Error;
use crate::mode::NetworkMode;

/// The line every container has.
const DEFAULT: &str = "127.0.0.1\tlocalhost\n";

/// The lines of those with IPv6.
const OF_IPV6: &str = "::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// What stands for the host's address in `--add-host`.
const HOST_GATEWAY: &str = "host-gateway";

/// Understands `HostConfig.ExtraHosts`: `name:address` or `name=address`, where
/// the address may be `host-gateway` or an IPv6 address, in brackets or not.
///
/// Fails with `InvalidOption` in Docker's words.
pub fn parse_extra_hosts(
    lines: &[String],
    host_gateways: &[IpAddr],
) -> Result<Vec<(String, IpAddr)>, Error> {
    let mut hosts = Vec::new();
    for line in lines {
        let (name, addresses) = parse_extra_host(line, host_gateways)?;
        hosts.extend(addresses.into_iter().map(|address| (name.clone(), address)));
    }
    Ok(hosts)
}

fn parse_extra_host(line: &str, host_gateways: &[IpAddr]) -> Result<(String, Vec<IpAddr>), Error> {
    let invalid = |reason: String| Error::InvalidOption {
        option: "add-host".to_owned(),
        reason,
    };
    let (name, address) = line
        .split_once('=')
        .or_else(|| line.split_once(':'))
        .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
        .ok_or_else(|| invalid(format!("bad format for add-host: {line:?}")))?;
    if address == HOST_GATEWAY {
        if host_gateways.is_empty() {
            return Err(invalid(
                "unable to derive the IP value for host-gateway".to_owned(),
            ));
        }
        return Ok((name.to_owned(), host_gateways.to_vec()));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    let address = bare
        .parse()
        .map_err(|_| invalid(format!("invalid IP address in add-host: {address:?}")))?;
    Ok((name.to_owned(), vec![address]))
}

/// The host name with its domain.
fn full_name(request: &NameRequest<'_>) -> String {
    match request.domainname {
        "" => request.hostname.to_owned(),
        domain => format!("{}.{domain}", request.hostname),
    }
}

/// A container in the host's network gets the host's own file, unless it wants
/// lines of its own.
pub(super) fn render(request: &NameRequest<'_>, host: &str) -> String {
    if request.mode == NetworkMode::Host && request.extra_hosts.is_empty() && !host.is_empty() {
        return host.to_owned();
    }
    let mut text = DEFAULT.to_owned();
    if request.ipv6 {
        text.push_str(OF_IPV6);
    }
    // Writing to a string cannot fail.
    for (name, address) in request.extra_hosts {
        let _ = writeln!(text, "{address}\t{name}");
    }
    for address in request.addresses {
        let full = full_name(request);
        let _ = match full.split_once('.') {
            Some((short, _)) if !short.is_empty() => writeln!(text, "{address}\t{full} {short}"),
            _ => writeln!(text, "{address}\t{full}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::files::DnsOptions;

    fn hosts(mode: NetworkMode, hostname: &str, domainname: &str, extra: &[&str]) -> String {
        let lines: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let gateway = ["10.213.0.1".parse().unwrap()];
        let request = NameRequest {
            mode,
            hostname,
            domainname,
            ipv6: true,
            addresses: match mode {
                NetworkMode::Bridge => &[IpAddr::V4(Ipv4Addr::new(10, 213, 0, 2))],
                _ => &[],
            },
            extra_hosts: &parse_extra_hosts(&lines, &gateway).unwrap(),
            dns: &DnsOptions::default(),
        };
        render(&request, "127.0.0.1 vm\n")
    }

    /// Recorded from dockerd 28.5.
    #[test]
    fn files_are_dockers() {
        let plain = hosts(NetworkMode::Bridge, "f93ab64cd290", "", &[]);
        assert_eq!(
            plain,
            format!("{DEFAULT}{OF_IPV6}10.213.0.2\tf93ab64cd290\n")
        );
        let extra = ["six:2001:db8::1", "br=[2001:db8::2]", "gw=host-gateway"];
        let lines = "2001:db8::1\tsix\n2001:db8::2\tbr\n10.213.0.1\tgw\n";
        let dotted = hosts(NetworkMode::Bridge, "web.example.org", "", &extra);
        assert_eq!(
            dotted,
            format!("{DEFAULT}{OF_IPV6}{lines}10.213.0.2\tweb.example.org web\n")
        );
        let domain = hosts(NetworkMode::Bridge, "web", "ex.org", &[]);
        assert_eq!(
            domain,
            format!("{DEFAULT}{OF_IPV6}10.213.0.2\tweb.ex.org web\n")
        );
        assert_eq!(
            hosts(NetworkMode::None, "web", "", &[]),
            format!("{DEFAULT}{OF_IPV6}")
        );
        assert_eq!(hosts(NetworkMode::Host, "vm", "", &[]), "127.0.0.1 vm\n");
        let host = hosts(NetworkMode::Host, "vm", "", &["x:1.1.1.1"]);
        assert_eq!(host, format!("{DEFAULT}{OF_IPV6}1.1.1.1\tx\n"));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "bad",
            "bad:x",
            ":1.1.1.1",
            "a\nb:1.1.1.1",
            "gw:host-gateway",
            "a:[::1",
        ] {
            assert!(
                parse_extra_hosts(&[line.to_owned()], &[]).is_err(),
                "{line}"
            );
        }
    }
}
