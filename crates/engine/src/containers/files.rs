//! The three files that tell a container its names; they are bound into it, and
//! written anew at each start.

use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use gantry_network::{
    Attachment, DnsOptions, HostFiles, NameFiles, NameRequest, parse_extra_hosts,
};

use super::record::Record;
use crate::error::{Error, Result};
use crate::user_namespaces::IdMap;

/// Writes `hosts`, `hostname` and `resolv.conf` into the container's directory.
/// `host_gateway` is what `host-gateway` stands for in `--add-host`.
///
/// # Errors
/// `Network` for wrong extra hosts, `Invalid` for wrong name servers, `Io`.
pub(super) fn write(
    record: &Record,
    attachment: &Attachment,
    links: &[(String, IpAddr)],
    dir: &Path,
    host_gateway: Option<IpAddr>,
) -> Result<()> {
    let rendered = render(record, attachment, links, host_gateway)?;
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
    host_gateway: Option<IpAddr>,
) -> Result<()> {
    let old = render(record, before, links_before, host_gateway)?;
    let new = render(record, after, links_after, host_gateway)?;
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
    host_gateway: Option<IpAddr>,
) -> Result<NameFiles> {
    let (config, host) = (&record.config, &record.host_config);
    let lines = host.extra_hosts.as_deref().unwrap_or_default();
    let mut extra_hosts = parse_extra_hosts(lines, host_gateway)?;
    extra_hosts.extend_from_slice(links);
    let endpoints = attachment.endpoints.iter();
    let addresses: Vec<IpAddr> = endpoints.flat_map(|e| e.addresses()).collect();
    Ok(NameFiles::render(
        &NameRequest {
            mode: attachment.mode,
            hostname: &config.hostname,
            domainname: &config.domainname,
            addresses: &addresses,
            extra_hosts: &extra_hosts,
            dns: &dns(record)?,
        },
        &HostFiles::read(),
    ))
}

/// What the client said about name servers.
///
/// # Errors
/// `Invalid` for what is no address.
pub(super) fn dns(record: &Record) -> Result<DnsOptions> {
    let host = &record.host_config;
    let servers = host.dns.iter().flatten().map(|server| {
        server
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid IP address in dns: {server}")))
    });
    Ok(DnsOptions {
        servers: servers.collect::<Result<_>>()?,
        search: host.dns_search.clone().unwrap_or_default(),
        options: host.dns_options.clone().unwrap_or_default(),
    })
}
