//! The options of `fluentd`.

use std::time::Duration;

use super::address::{self, Address};
use super::{Options, Subject, TAG, attributes, invalid, number};
use crate::error::{Error, Result};
use crate::speak::fluentd::Settings;
use crate::speak::{Endpoint, Transport};

/// Their names.
pub(super) const OPTIONS: [&str; 9] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];

const HOST: &str = "127.0.0.1";
const PORT: &str = "24224";
const BUFFER: u64 = 1 << 20;
const RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRIES: u64 = i32::MAX as u64;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn check(options: &Options) -> Result<()> {
    parse_address(options)?;
    numbers(options).map(drop)
}

pub(super) fn settings(options: &Options, subject: &Subject<'_>) -> Result<Settings> {
    let mut settings = numbers(options)?;
    settings.endpoint = match parse_address(options)? {
        Place::Socket(path) => Endpoint::Socket {
            path,
            datagram: false,
        },
        Place::Host(host, port) => address::endpoint(Transport::Tcp, &host, &port)?,
    };
    settings.tag = attributes::tag(options, TAG, subject)?;
    settings.record = vec![
        ("container_id".to_owned(), subject.id.to_owned()),
        ("container_name".to_owned(), subject.name.to_owned()),
    ];
    settings
        .record
        .extend(attributes::chosen(options, subject)?);
    Ok(settings)
}

/// All but the address and what the container gives.
fn numbers(options: &Options) -> Result<Settings> {
    let given = |name: &str| {
        let value = options.get(&format!("fluentd-{name}"));
        value.map(String::as_str).filter(|text| !text.is_empty())
    };
    let switch = |name: &str| given(name).map_or(Ok(false), number::boolean);
    let duration = |name: &str| match given(name) {
        None => Ok(None),
        Some(text) => number::duration(text).map(|found| Some(found.unwrap_or_default())),
    };
    let timeout = duration("write-timeout").map_err(|error| {
        invalid(format!(
            "invalid value for fluentd-write-timeout: value must be a duration: {error}"
        ))
    })?;
    let interval = duration("async-reconnect-interval").map_err(|error| {
        invalid(format!(
            "invalid value for fluentd-async-reconnect-interval: {error}"
        ))
    })?;
    if let Some(interval) = interval.filter(|i| *i != Duration::ZERO)
        && !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval)
    {
        return Err(invalid(format!(
            "invalid value for fluentd-async-reconnect-interval: value (\"{}\") must be between \
             100ms and 10s",
            number::spelled(interval)
        )));
    }
    let buffer_limit = given("buffer-limit").map(number::memory).transpose();
    Ok(Settings {
        endpoint: Endpoint::LocalSyslog,
        tag: String::new(),
        record: Vec::new(),
        asynchronous: switch("async")?,
        reconnect_interval: interval.filter(|i| *i != Duration::ZERO),
        buffer_limit: buffer_limit.map_err(invalid)?.unwrap_or(BUFFER),
        max_retries: given("max-retries").map_or(Ok(MAX_RETRIES), number::unsigned)?,
        retry_wait: duration("retry-wait")?.unwrap_or(RETRY_WAIT),
        write_timeout: timeout.filter(|t| *t != Duration::ZERO),
        sub_second: switch("sub-second-precision")?,
        request_ack: switch("request-ack")?,
    })
}

/// Where the service is.
enum Place {
    Socket(String),
    Host(String, String),
}

fn parse_address(options: &Options) -> Result<Place> {
    let Some(given) = options
        .get("fluentd-address")
        .filter(|text| !text.is_empty())
    else {
        return Ok(Place::Host(HOST.to_owned(), PORT.to_owned()));
    };
    let wrong = |reason: String| invalid(format!("invalid fluentd-address ({given}): {reason}"));
    let text = match given.contains("://") {
        true => given.clone(),
        false => format!("tcp://{given}"),
    };
    let address = Address::parse(&text).map_err(|error| wrong(error.to_string()))?;
    match address.scheme.as_str() {
        "unix" if address.path.trim_start_matches('/').is_empty() => {
            return Err(wrong("path is empty".to_owned()));
        }
        "unix" => return Ok(Place::Socket(address.path)),
        "tcp" => {}
        "tls" => {
            return Err(Error::UnsupportedOption {
                option: "fluentd-address=tls".to_owned(),
            });
        }
        other => return Err(wrong(format!("unsupported scheme: '{other}'"))),
    }
    if !address.path.is_empty() {
        return Err(wrong("should not contain a path element".to_owned()));
    }
    let (host, port) = address.host_and_port();
    let port = port.filter(|port| !port.is_empty()).unwrap_or(PORT);
    port.parse::<u16>().map_err(|_| {
        wrong(format!(
            "invalid port: strconv.ParseUint: parsing {port:?}: value out of range"
        ))
    })?;
    let host = if host.is_empty() { HOST } else { host };
    Ok(Place::Host(host.to_owned(), port.to_owned()))
}
