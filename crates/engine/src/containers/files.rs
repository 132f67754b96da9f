//! The three files that tell a container its names; they are bound into it, and
//! written anew at each start.

use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use gantry_network::{
    Attachment, DnsOptions, HostFiles, NameFiles, NameRequest, Network, parse_extra_hosts,
};

use super::record::Record;
use crate::error::{Error, Result};
use crate::user_namespaces::IdMap;

/// Writes `hosts`, `hostname` and `resolv.conf` into the container's directory.
///
/// # Errors
/// `Network` for wrong extra hosts, `Invalid` for wrong name servers, `Io`.
pub(super) fn write(
    record: &Record,
    attachment: &Attachment,
    links: &[(String, IpAddr)],
    dir: &Path,
    network: &Network,
) -> Result<()> {
    let rendered = render(record, attachment, links, network)?;
    let root = record.id_map.as_ref().and_then(IdMap::root);
    for (name, text) in [
        ("hosts", rendered.hosts),
        ("hostname", rendered.hostname),
        ("resolv.conf", rendered.resolv_conf),
    ] {
        let path = dir.join(name);
        // Readable by every user of the container, whatever the daemon's umask.
        std::fs::write(&path, text)
            .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o644)))
            .and_then(|()| match root {
                Some((uid, gid)) => chown(&path, Some(uid), Some(gid)),
                None => Ok(()),
            })
            .map_err(|error| Error::io("write", &path, error))?;
    }
    Ok(())
}

/// Where a container is, and what it is told of others.
pub(super) type Place<'a> = (&'a Attachment, &'a [(String, IpAddr)]);

/// Brings the files of a running container up to date with its networks and links, in
/// place: they are mounted. One that somebody has changed is left as it is.
///
/// # Errors
/// As [`write`].
pub(super) fn rewrite(
    record: &Record,
    (before, links_before): Place<'_>,
    (after, links_after): Place<'_>,
    dir: &Path,
    network: &Network,
) -> Result<()> {
    let old = render(record, before, links_before, network)?;
    let new = render(record, after, links_after, network)?;
    for (name, old, new) in [
        ("hosts", old.hosts, new.hosts),
        ("resolv.conf", old.resolv_conf, new.resolv_conf),
    ] {
        let path = dir.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == old) {
            std::fs::write(&path, new).map_err(|error| Error::io("write", &path, error))?;
        }
    }
    Ok(())
}

fn render(
    record: &Record,
    attachment: &Attachment,
    links: &[(String, IpAddr)],
    network: &Network,
) -> Result<NameFiles> {
    let (config, host) = (&record.config, &record.host_config);
    let lines = host.extra_hosts.as_deref().unwrap_or_default();
    let mut extra_hosts = parse_extra_hosts(lines, network.host_gateways())?;
    extra_hosts.extend_from_slice(links);
    let endpoints = attachment.endpoints.iter();
    let addresses: Vec<IpAddr> = endpoints.flat_map(|e| e.addresses()).collect();
    Ok(NameFiles::render(
        &NameRequest {
            mode: attachment.mode,
            hostname: &config.hostname,
            domainname: &config.domainname,
            ipv6: !super::endpoints::no_ipv6(host),
            addresses: &addresses,
            extra_hosts: &extra_hosts,
            dns: &dns(record, network)?,
        },
        &HostFiles::read(),
    ))
}

/// What the client said about name servers; what it did not say is the daemon's.
///
/// # Errors
/// `Invalid` for what is no address.
pub(super) fn dns(record: &Record, network: &Network) -> Result<DnsOptions> {
    let host = &record.host_config;
    let servers = host.dns.iter().flatten().map(|server| {
        server
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid IP address in dns: {server}")))
    });
    let mut dns = DnsOptions {
        servers: servers.collect::<Result<_>>()?,
        search: host.dns_search.clone().unwrap_or_default(),
        options: host.dns_options.clone().unwrap_or_default(),
    };
    let default = network.dns();
    if dns.servers.is_empty() {
        dns.servers.clone_from(&default.servers);
    }
    if dns.search.is_empty() {
        dns.search.clone_from(&default.search);
    }
    if dns.options.is_empty() {
        dns.options.clone_from(&default.options);
    }
    Ok(dns)
}
