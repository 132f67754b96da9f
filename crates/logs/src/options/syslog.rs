//! The options of `syslog`.

use super::address::{self, Address};
use super::{Options, Subject, TAG, attributes, invalid};
use crate::error::{Error, Result};
use crate::speak::syslog::{Form, Settings};
use crate::speak::{Endpoint, Transport};

/// Their names.
pub(super) const OPTIONS: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

/// Facilities in the order of their numbers; two have no name.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const DAEMON: u8 = 3;
const PORT: &str = "514";

pub(super) fn check(options: &Options) -> Result<()> {
    parse_address(options)?;
    facility(options)?;
    form(options)?;
    let tls = options.keys().find(|key| key.starts_with("syslog-tls-"));
    tls.map_or(Ok(()), |option| {
        Err(Error::UnsupportedOption {
            option: option.clone(),
        })
    })
}

pub(super) fn settings(options: &Options, subject: &Subject<'_>) -> Result<Settings> {
    let endpoint = match parse_address(options)? {
        None => Endpoint::LocalSyslog,
        Some(Place::Socket { path, datagram }) => Endpoint::Socket { path, datagram },
        Some(Place::Host(transport, host, port)) => address::endpoint(transport, &host, &port)?,
    };
    Ok(Settings {
        endpoint,
        facility: facility(options)?,
        form: form(options)?,
        tag: attributes::tag(options, TAG, subject)?,
        hostname: subject.hostname.clone(),
    })
}

/// Where the service is.
enum Place {
    Socket { path: String, datagram: bool },
    Host(Transport, String, String),
}

fn parse_address(options: &Options) -> Result<Option<Place>> {
    let Some(text) = options
        .get("syslog-address")
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let address = Address::parse(text)?;
    let transport = match address.scheme.as_str() {
        "unix" | "unixgram" => {
            let path = address.path;
            std::fs::metadata(&path)
                .map_err(|_| invalid(format!("stat {path}: no such file or directory")))?;
            let datagram = address.scheme == "unixgram";
            return Ok(Some(Place::Socket { path, datagram }));
        }
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tcp+tls" => {
            return Err(Error::UnsupportedOption {
                option: "syslog-address=tcp+tls".to_owned(),
            });
        }
        other => return Err(invalid(format!("unsupported scheme: '{other}'"))),
    };
    if !address.host.starts_with('[') && address.host.matches(':').count() > 1 {
        let host = &address.host;
        return Err(invalid(format!(
            "address {host}: too many colons in address"
        )));
    }
    let (host, port) = address.host_and_port();
    let port = port.filter(|port| !port.is_empty()).unwrap_or(PORT);
    Ok(Some(Place::Host(
        transport,
        host.to_owned(),
        port.to_owned(),
    )))
}

fn facility(options: &Options) -> Result<u8> {
    let Some(text) = options
        .get("syslog-facility")
        .filter(|text| !text.is_empty())
    else {
        return Ok(DAEMON);
    };
    let named = FACILITIES.iter().position(|name| name == text);
    let number = named.or_else(|| text.parse().ok().filter(|n| *n < FACILITIES.len()));
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| invalid("invalid syslog facility"))
}

fn form(options: &Options) -> Result<Form> {
    match options.get("syslog-format").map_or("", String::as_str) {
        "" => Ok(Form::Local),
        "rfc3164" => Ok(Form::Rfc3164),
        "rfc5424" => Ok(Form::Rfc5424 { micro: false }),
        "rfc5424micro" => Ok(Form::Rfc5424 { micro: true }),
        _ => Err(invalid("Invalid syslog format")),
    }
}
