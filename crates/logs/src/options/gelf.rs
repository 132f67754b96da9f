//! The options of `gelf`.

use std::time::Duration;

use super::address::{self, Address};
use super::{Options, Subject, TAG, attributes, invalid};
use crate::error::Result;
use crate::speak::Transport;
use crate::speak::gelf::{Compression, Settings};

/// Their names.
pub(super) const OPTIONS: [&str; 5] = [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

const MAX_RECONNECT: u32 = 3;
const RECONNECT_DELAY: u64 = 1;

/// Where the service is.
pub(super) fn address(options: &Options) -> Result<(Transport, Address)> {
    let text = options.get("gelf-address").map_or("", String::as_str);
    if text.is_empty() {
        return Err(invalid("gelf-address is a required parameter"));
    }
    let address = match Address::parse(text) {
        Err(error) if text.contains("://") => return Err(error),
        other => other.ok(),
    };
    let transport = match address.as_ref().map(|address| address.scheme.as_str()) {
        Some("udp") => Some(Transport::Udp),
        Some("tcp") => Some(Transport::Tcp),
        _ => None,
    };
    let (Some(transport), Some(address)) = (transport, address) else {
        return Err(invalid("gelf: endpoint needs to be TCP or UDP"));
    };
    match address.host_and_port() {
        (_, Some(port)) if !port.is_empty() => Ok((transport, address)),
        _ => Err(invalid(
            "gelf: please provide gelf-address as proto://host:port",
        )),
    }
}

pub(super) fn check(options: &Options) -> Result<()> {
    let (transport, _) = address(options)?;
    let given = |name: &str| options.get(name).map(String::as_str);
    let unknown = |option: &str, value: &str| {
        invalid(format!(
            "unknown value {value:?} for log opt {option:?} for gelf log driver"
        ))
    };
    for option in ["gelf-compression-level", "gelf-compression-type"] {
        let Some(value) = given(option) else {
            continue;
        };
        if transport != Transport::Udp {
            return Err(invalid("compression is only supported on UDP"));
        }
        let fine = match option {
            "gelf-compression-level" => value
                .parse::<i32>()
                .is_ok_and(|level| (-1..=9).contains(&level)),
            _ => compression(value).is_some(),
        };
        if !fine {
            return Err(unknown(option, value));
        }
    }
    for option in ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"] {
        let Some(value) = given(option) else {
            continue;
        };
        if transport != Transport::Tcp {
            return Err(invalid(format!("{option:?} is only valid for TCP")));
        }
        if value.parse::<u32>().is_err() {
            return Err(invalid(format!("{option:?} must be a positive integer")));
        }
    }
    Ok(())
}

fn compression(name: &str) -> Option<Compression> {
    match name {
        "gzip" => Some(Compression::Gzip),
        "zlib" => Some(Compression::Zlib),
        "none" => Some(Compression::None),
        _ => None,
    }
}

pub(super) fn settings(options: &Options, subject: &Subject<'_>) -> Result<Settings> {
    let (transport, address) = address(options)?;
    let (host, port) = address.host_and_port();
    let number = |name: &str| options.get(name).and_then(|text| text.parse::<i64>().ok());
    let kind = options.get("gelf-compression-type");
    let kind = kind.and_then(|name| compression(name));
    let mut extra = vec![
        ("_container_id".to_owned(), subject.id.to_owned()),
        (
            "_container_name".to_owned(),
            subject.plain_name().to_owned(),
        ),
        ("_image_id".to_owned(), subject.image_id.to_owned()),
        ("_image_name".to_owned(), subject.image_name.to_owned()),
        ("_command".to_owned(), subject.command()),
        ("_tag".to_owned(), attributes::tag(options, TAG, subject)?),
        ("_created".to_owned(), subject.created.to_owned()),
    ];
    for (key, value) in attributes::chosen(options, subject)? {
        let key = match key.starts_with('_') {
            true => key,
            false => format!("_{key}"),
        };
        extra.retain(|(other, _)| *other != key);
        extra.push((key, value));
    }
    Ok(Settings {
        endpoint: address::endpoint(transport, host, port.unwrap_or_default())?,
        hostname: subject.hostname.clone(),
        extra: extra.into_iter().collect(),
        compression: kind.unwrap_or(Compression::Gzip),
        level: number("gelf-compression-level").map_or(1, |level| match level {
            // "As the library likes it."
            -1 => 6,
            level => u32::try_from(level).unwrap_or(6),
        }),
        max_reconnect: number("gelf-tcp-max-reconnect")
            .map_or(MAX_RECONNECT, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        reconnect_delay: Duration::from_secs(
            number("gelf-tcp-reconnect-delay")
                .map_or(RECONNECT_DELAY, |n| u64::try_from(n).unwrap_or(0)),
        ),
    })
}
