//! Instructions that only change the configuration: CMD, ENV, EXPOSE and their like.

use std::time::Duration;

use gantry_dockerfile::config::health_test;
pub(super) use gantry_dockerfile::config::{directory, shell, words};
use gantry_dockerfile::{Exposed, Healthcheck, Pair, Span, Word, expansion};
use gantry_types::ProcessConfig;
use serde_json::json;

use super::history::quoted_list;
use super::variables::Scope;
use super::{Dialect, placed};
use crate::{Error, Result};

/// The search path where an image has none.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `ENV`: what the history says of it. None of its values sees the others.
pub(super) fn env(scope: &mut Scope, pairs: &[Pair], escape: char, span: Span) -> Result<String> {
    let mut set = Vec::new();
    for pair in pairs {
        let name = scope.expand(&pair.name, escape, span)?;
        let value = scope.expand(&pair.value, escape, span)?;
        if name.is_empty() {
            return Err(Error::Invalid("ENV names can not be blank".to_owned()));
        }
        set.push((name, value));
    }
    let mut said = "ENV".to_owned();
    for (name, value) in set {
        scope.set(&name, &value);
        said.push_str(&format!(" {name}={value}"));
    }
    Ok(said)
}

/// `LABEL`.
pub(super) fn label(
    config: &mut ProcessConfig,
    pairs: &[Pair],
    scope: &Scope,
    escape: char,
    span: Span,
) -> Result<String> {
    let mut said = Vec::new();
    for pair in pairs {
        let name = scope.expand(&pair.name, escape, span)?;
        let value = scope.expand(&pair.value, escape, span)?;
        if name.is_empty() {
            return Err(Error::Invalid("LABEL names can not be blank".to_owned()));
        }
        said.push(format!("{name}={value}"));
        config.labels.get_or_insert_default().insert(name, value);
    }
    Ok(format!("LABEL {}", said.join(" ")))
}

/// `EXPOSE`: the words, and the ports that they mean.
pub(super) fn expose(
    config: &mut ProcessConfig,
    ports: &[Word],
    scope: &Scope,
    escape: char,
    span: Span,
) -> Result<(Vec<String>, Vec<String>)> {
    let (mut words, mut said) = (Vec::new(), Vec::new());
    for word in ports {
        let expanded = expansion(word, escape, &|name| scope.lookup(name))
            .map_err(|error| placed(error, span))?;
        for word in expanded.words {
            let ports = Exposed::split(&word).and_then(|exposed| exposed.ports());
            said.extend(ports.map_err(|error| placed(error, span))?);
            words.push(word);
        }
    }
    let set = config.exposed_ports.get_or_insert_default();
    set.extend(said.iter().map(|port| (port.clone(), json!({}))));
    Ok((words, said))
}

/// `HEALTHCHECK`: what the history says of it.
pub(super) fn healthcheck(
    config: &mut ProcessConfig,
    check: &Healthcheck,
    dialect: Dialect,
) -> String {
    config.healthcheck = Some(gantry_dockerfile::config::healthcheck(check));
    let Healthcheck::Check {
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
        ..
    } = check
    else {
        return match dialect {
            Dialect::Classic => "HEALTHCHECK &{[NONE] 0s 0s 0s 0s 0}".to_owned(),
            Dialect::BuildKit => {
                "HEALTHCHECK &{[\"NONE\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\x00'}".to_owned()
            }
        };
    };
    let times = [interval, timeout, start_period, start_interval];
    let test = health_test(check);
    if dialect == Dialect::Classic {
        let shown = times.map(|time| go_duration(*time)).join(" ");
        return format!("HEALTHCHECK &{{[{}] {shown} {retries}}}", test.join(" "));
    }
    let shown: Vec<String> = times
        .iter()
        .map(|time| format!("\"{}\"", go_duration(**time)))
        .collect();
    format!(
        "HEALTHCHECK &{{{} {} '\\x{:02x}'}}",
        quoted_list(&test),
        shown.join(" "),
        retries
    )
}

/// A duration as Go prints it.
fn go_duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < 1_000_000_000 {
        let (value, unit) = match nanoseconds {
            n if n < 1_000 => return format!("{n}ns"),
            n if n < 1_000_000 => (n as f64 / 1e3, "µs"),
            n => (n as f64 / 1e6, "ms"),
        };
        return format!("{value}{unit}");
    }
    let seconds = time.as_secs();
    let rest = (nanoseconds % 60_000_000_000) as f64 / 1e9;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_in_go() {
        for (time, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(1500), "1.5s"),
            (Duration::from_millis(5), "5ms"),
            (Duration::from_secs(90), "1m30s"),
            (Duration::from_secs(3600), "1h0m0s"),
        ] {
            assert_eq!(go_duration(time), text);
        }
    }
}
