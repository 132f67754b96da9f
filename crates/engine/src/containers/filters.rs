//! The filters of the list of containers and of `prune`.

use std::num::IntErrorKind;
use std::ops::RangeInclusive;

use gantry_api::{Filters, Timestamp};

use super::container::Container;
use super::endpoints;
use super::publish;
use super::record::Record;
use super::state::State;
use super::table::Table;
use crate::clock::now_nano;
use crate::error::{Error, Result};
use crate::images::Images;
use crate::pattern::Pattern;

const LIST: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const PRUNE: [&str; 3] = ["label", "label!", "until"];
const STATES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// The filters of a list, checked, with what they name looked up.
pub(crate) struct ListFilter<'a> {
    filters: &'a Filters,
    exit_codes: Vec<i32>,
    images: Option<Vec<String>>,
    created_before: Option<i64>,
    created_after: Option<i64>,
    is_task: Option<bool>,
    names: Vec<Pattern>,
}

impl<'a> ListFilter<'a> {
    /// # Errors
    /// `Invalid` for unknown keys and values, `NoSuchContainer` for what
    /// `before` or `since` names.
    pub(crate) fn new(filters: &'a Filters, table: &Table, images: &Images) -> Result<Self> {
        filters.validate(&LIST).map_err(invalid)?;
        check_words(filters, "status", "state", &STATES)?;
        check_words(filters, "health", "health", &HEALTHS)?;
        for key in ["expose", "publish"] {
            for value in filters.get(key) {
                check_port(key, value)?;
            }
        }
        let exit_codes = filters.get("exited").iter().map(|code| {
            code.parse().map_err(|_| {
                Error::Invalid(format!(
                    "invalid filter 'exited={code}': strconv.Atoi: parsing \"{code}\": invalid syntax"
                ))
            })
        });
        let created = |key: &str| -> Result<Option<i64>> {
            let Some(idref) = filters.get(key).first() else {
                return Ok(None);
            };
            Ok(Some(table.find(idref)?.record().created))
        };
        let is_task = match filters.contains("is-task") {
            true => Some(filters.boolean("is-task", false).map_err(invalid)?),
            false => None,
        };
        Ok(Self {
            filters,
            exit_codes: exit_codes.collect::<Result<_>>()?,
            images: filters
                .contains("ancestor")
                .then(|| images.descend_from(filters.get("ancestor")))
                .transpose()?,
            created_before: created("before")?,
            created_after: created("since")?,
            is_task,
            names: filters
                .get("name")
                .iter()
                .map(|n| Pattern::new(n))
                .collect(),
        })
    }

    /// Whether the filters ask for containers that do not run: then the list
    /// is not limited to running ones.
    pub(crate) fn wants_stopped(&self) -> bool {
        self.filters.contains("status") || self.filters.contains("exited")
    }

    pub(crate) fn matches(&self, container: &Container, state: &State) -> bool {
        let record = &container.record();
        let filters = self.filters;
        let name = container.name();
        let created = record.created;
        self.created_before.is_none_or(|limit| created < limit)
            && self.created_after.is_none_or(|limit| created > limit)
            && self.is_task != Some(true)
            && self.exited(state)
            && self
                .images
                .as_ref()
                .is_none_or(|images| images.contains(&record.image_id))
            && filters.any("id", |prefix| record.id.as_str().starts_with(prefix))
            && self.named(&name)
            && filters.any("status", |status| status == state.word())
            && filters.any("health", |health| {
                health == state.health.as_ref().map_or("none", |h| h.word())
            })
            && filters.any("network", |network| self.network(container, state, network))
            && filters.any("volume", |volume| mounted(container, volume))
            && has_port(filters, record, state)
            && filters.all_pairs("label", record.config.labels.as_ref())
    }

    /// Docker's names begin with a slash; without it they are tried as well.
    fn named(&self, name: &str) -> bool {
        let slashed = format!("/{name}");
        let mut names = self.names.iter();
        self.names.is_empty() || names.any(|p| p.matches(name) || p.matches(&slashed))
    }

    fn exited(&self, state: &State) -> bool {
        self.exit_codes.is_empty()
            || (state.started_at != 0
                && !state.active()
                && self.exit_codes.contains(&state.exit_code))
    }

    fn network(&self, container: &Container, state: &State, wanted: &str) -> bool {
        let attachment = state.attachment.as_ref();
        let mut places = attachment.iter().flat_map(|a| &a.endpoints);
        endpoints::wishes(&container.record(), state).contains_key(wanted)
            || places.any(|place| place.network_id.starts_with(wanted))
    }
}

/// The filters of `prune`, checked.
pub(crate) struct PruneFilter<'a> {
    filters: &'a Filters,
    until: Option<i64>,
}

impl<'a> PruneFilter<'a> {
    /// # Errors
    /// `Invalid` for unknown keys and for what is no time.
    pub(crate) fn new(filters: &'a Filters) -> Result<Self> {
        filters.validate(&PRUNE).map_err(invalid)?;
        let until = match filters.get("until") {
            [] => None,
            [text] => Some(
                Timestamp::parse("until", text, now_nano())
                    .map_err(|_| {
                        Error::Invalid(format!(
                            "failed to parse value as time or duration: \"{text}\""
                        ))
                    })?
                    .nanos,
            ),
            _ => {
                return Err(Error::Invalid(
                    "more than one until filter specified".to_owned(),
                ));
            }
        };
        Ok(Self { filters, until })
    }

    pub(crate) fn matches(&self, container: &Container) -> bool {
        let record = &container.record();
        self.until.is_none_or(|until| record.created < until)
            && self
                .filters
                .all_pairs("label", record.config.labels.as_ref())
            && lacks_labels(self.filters, container)
    }
}

fn invalid(error: gantry_api::FilterError) -> Error {
    Error::Invalid(error.to_string())
}

fn check_words(filters: &Filters, key: &str, noun: &str, known: &[&str]) -> Result<()> {
    for value in filters.get(key) {
        if !known.contains(&value.as_str()) {
            return Err(Error::Invalid(format!(
                "invalid filter '{key}={value}': invalid value for {noun} ({value}): must be one \
                 of {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// `port`, `first-last`, each with an optional `/protocol`.
fn check_port(key: &str, value: &str) -> Result<()> {
    let wrong = |why: String| {
        Err(Error::Invalid(format!(
            "error while looking up for {key} {value}: {why}"
        )))
    };
    let range = value.split('/').next().unwrap_or_default();
    let mut bounds = Vec::new();
    for port in range.splitn(2, '-') {
        match port.parse::<u16>() {
            Ok(number) => bounds.push(number),
            Err(error) => {
                let why = match error.kind() {
                    IntErrorKind::PosOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                return wrong(format!("strconv.ParseUint: parsing \"{port}\": {why}"));
            }
        }
    }
    match bounds.is_sorted() {
        true => Ok(()),
        false => wrong(format!("Invalid range specified for the Port: {range}")),
    }
}

/// A range of ports, and their protocol.
fn port_range(wanted: &str) -> Option<(RangeInclusive<u16>, &str)> {
    let (range, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..=last, protocol))
}

/// Whether a container's ports have one that is wanted, published or inside: as in
/// Docker either is enough, and one that does not run has none.
fn has_port(filters: &Filters, record: &Record, state: &State) -> bool {
    if !filters.contains("expose") && !filters.contains("publish") {
        return true;
    }
    let wanted = |key: &str, number: u16, kind: &str| {
        filters.get(key).iter().any(|wanted| {
            port_range(wanted).is_some_and(|(ports, k)| k == kind && ports.contains(&number))
        })
    };
    publish::list(record, state).iter().any(|port| {
        wanted("publish", port.public_port, &port.kind)
            || wanted("expose", port.private_port, &port.kind)
    })
}

fn mounted(container: &Container, wanted: &str) -> bool {
    let record = container.record();
    let mut mounts = record.mounts.iter();
    mounts.any(|mount| {
        let name = mount.volume().map(|volume| volume.name.as_str());
        mount.source() == wanted || mount.target == wanted || name == Some(wanted)
    })
}

fn lacks_labels(filters: &Filters, container: &Container) -> bool {
    let record = container.record();
    let labels = record.config.labels.as_ref();
    filters.get("label!").iter().all(|unwanted| {
        let mut one = Filters::new();
        one.add("label", unwanted.clone());
        !one.all_pairs("label", labels)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_checked() {
        for good in ["80", "80-90/udp"] {
            check_port("expose", good).unwrap();
        }
        for (port, why) in [
            ("a", "strconv.ParseUint: parsing \"a\": invalid syntax"),
            (
                "70000",
                "strconv.ParseUint: parsing \"70000\": value out of range",
            ),
            ("85-70", "Invalid range specified for the Port: 85-70"),
        ] {
            let error = check_port("publish", port).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("error while looking up for publish {port}: {why}")
            );
        }
    }
}
