//! `port`: where the ports of a container are published.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;
use gantry_api::PortBinding;
use serde::Deserialize;

use super::names::natural_order;
use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    network_settings: Settings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    ports: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
}

/// `docker port`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let container = &matches.operands[0];
        let call = Call::get(container_path(container, "/json")?);
        let found: Inspected = session.client.json(&call).await?;
        let ports = found.network_settings.ports.unwrap_or_default();
        let mut lines = match matches.operands.get(1) {
            Some(wanted) => one(&ports, wanted, container)?,
            None => all(&ports),
        };
        gantry_types::sort::by(&mut lines, |a, b| natural_order(a, b));
        for line in lines {
            session.printer.line(&line);
        }
        Ok(0)
    })
}

fn address(binding: &PortBinding) -> String {
    match binding.host_ip.contains(':') {
        true => format!("[{}]:{}", binding.host_ip, binding.host_port),
        false => format!("{}:{}", binding.host_ip, binding.host_port),
    }
}

fn all(ports: &BTreeMap<String, Option<Vec<PortBinding>>>) -> Vec<String> {
    let bound = ports
        .iter()
        .flat_map(|(port, bindings)| bindings.iter().flatten().map(move |b| (port, b)));
    bound
        .map(|(port, binding)| format!("{port} -> {}", address(binding)))
        .collect()
}

fn one(
    ports: &BTreeMap<String, Option<Vec<PortBinding>>>,
    wanted: &str,
    container: &str,
) -> Result<Vec<String>, Error> {
    let (number, protocol) = match wanted.split_once('/') {
        Some((number, protocol)) if !protocol.is_empty() => (number, protocol),
        Some((number, _)) => (number, "tcp"),
        None => (wanted, "tcp"),
    };
    if let Err(error) = number.parse::<u16>() {
        let reason = match error.kind() {
            std::num::IntErrorKind::PosOverflow => "value out of range",
            _ => "invalid syntax",
        };
        return Err(Error::message(format!(
            "Error: invalid port ({number}): strconv.ParseUint: parsing {number:?}: {reason}"
        )));
    }
    let bindings = ports.get(&format!("{number}/{protocol}"));
    let found: Vec<String> = bindings
        .iter()
        .flat_map(|list| list.iter().flatten())
        .map(address)
        .collect();
    match found.is_empty() {
        true => Err(Error::message(format!(
            "Error: No public port '{wanted}' published for {container}"
        ))),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let binding = |ip: &str, port: &str| PortBinding {
            host_ip: ip.to_owned(),
            host_port: port.to_owned(),
        };
        let ports = BTreeMap::from([
            (
                "80/tcp".to_owned(),
                Some(vec![binding("0.0.0.0", "8080"), binding("::", "8080")]),
            ),
            ("81/tcp".to_owned(), None),
        ]);
        assert_eq!(
            all(&ports),
            ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
        );
        assert_eq!(one(&ports, "80", "x").unwrap().len(), 2);
        for wanted in ["81", "80/udp", "x", "99999"] {
            assert!(one(&ports, wanted, "x").is_err(), "{wanted}");
        }
    }
}
