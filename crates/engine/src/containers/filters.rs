//! The filters of the list of containers and of `prune`.

use std::ops::RangeInclusive;

use gantry_api::{Filters, Timestamp};

use super::container::Container;
use super::publish;
use super::state::State;
use super::table::Table;
use crate::clock::now_nano;
use crate::error::{Error, Result};
use crate::images::Images;

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
}

impl<'a> ListFilter<'a> {
    /// # Errors
    /// `Invalid` for unknown keys and values, `NoSuchContainer` for what
    /// `before` or `since` names.
    pub(crate) fn new(filters: &'a Filters, table: &Table, images: &Images) -> Result<Self> {
        filters.validate(&LIST).map_err(invalid)?;
        check_words(filters, "status", "state", &STATES)?;
        check_words(filters, "health", "health", &HEALTHS)?;
        for value in ["expose", "publish"]
            .iter()
            .flat_map(|key| filters.get(key))
        {
            check_port(value)?;
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
            && filters.any("name", |pattern| name_matches(pattern, &name))
            && filters.any("status", |status| status == state.word())
            && filters.any("health", |health| {
                health == state.health.as_ref().map_or("none", |h| h.word())
            })
            && filters.any("network", |network| self.network(container, state, network))
            && filters.any("volume", |volume| mounted(container, volume))
            && filters.any("expose", |port| exposes(container, port))
            && filters.any("publish", |wanted| published(state, wanted))
            && filters.all_pairs("label", record.config.labels.as_ref())
    }

    fn exited(&self, state: &State) -> bool {
        self.exit_codes.is_empty()
            || (state.started_at != 0
                && !state.active()
                && self.exit_codes.contains(&state.exit_code))
    }

    fn network(&self, container: &Container, state: &State, wanted: &str) -> bool {
        container.record().network == wanted
            || state
                .attachment
                .as_ref()
                .is_some_and(|attachment| attachment.network_id.starts_with(wanted))
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
fn check_port(value: &str) -> Result<()> {
    let range = value.split('/').next().unwrap_or_default();
    for port in range.splitn(2, '-') {
        if port.parse::<u16>().is_err() {
            return Err(Error::Invalid(format!(
                "error while looking up for expose {value}: strconv.ParseUint: parsing \
                 \"{port}\": invalid syntax"
            )));
        }
    }
    Ok(())
}

/// A range of ports, and their protocol.
fn port_range(wanted: &str) -> Option<(RangeInclusive<u16>, &str)> {
    let (range, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..=last, protocol))
}

fn published(state: &State, wanted: &str) -> bool {
    port_range(wanted).is_some_and(|(ports, kind)| publish::publishes(state, &ports, kind))
}

fn exposes(container: &Container, wanted: &str) -> bool {
    let record = container.record();
    let exposed = record.config.exposed_ports.iter().flatten();
    port_range(wanted).is_some_and(|(ports, protocol)| {
        exposed.map(|(port, _)| port).any(|port| {
            let (number, kind) = port.split_once('/').unwrap_or((port, "tcp"));
            let number = number.parse::<u16>();
            kind == protocol && number.is_ok_and(|number| ports.contains(&number))
        })
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

/// Docker's name filter is a regular expression; the parts of one that are used
/// in practice are understood: the anchors `^` and `$`, a leading slash, `.*`.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    let (from_start, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (to_end, rest) = match rest.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    // Both `/web` and `web` are tried, as Docker does.
    let slashed = format!("/{name}");
    [name, slashed.as_str()]
        .into_iter()
        .any(|candidate| pieces_match(rest, candidate, from_start, to_end))
}

fn pieces_match(pattern: &str, text: &str, from_start: bool, to_end: bool) -> bool {
    let pieces: Vec<&str> = pattern.split(".*").collect();
    let mut left = text;
    for (index, piece) in pieces.iter().enumerate() {
        let first = index == 0 && from_start;
        let last = index + 1 == pieces.len() && to_end;
        left = match (first, last) {
            (true, true) => return left == *piece,
            (true, false) => match left.strip_prefix(piece) {
                Some(rest) => rest,
                None => return false,
            },
            (false, true) => return left.ends_with(piece),
            (false, false) => match left.find(piece) {
                Some(at) => &left[at + piece.len()..],
                None => return false,
            },
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_unless_anchored() {
        for (pattern, name, matches) in [
            ("we", "web", true),
            ("^we$", "web", false),
            ("^web$", "web", true),
            ("^/web$", "web", true),
            ("/web", "web", true),
            ("b$", "web", true),
            ("^w.*b$", "web", true),
            ("x", "web", false),
            ("", "web", true),
        ] {
            assert_eq!(name_matches(pattern, name), matches, "{pattern}");
        }
    }

    #[test]
    fn ports_are_checked() {
        check_port("80").unwrap();
        check_port("80-90/udp").unwrap();
        assert!(
            check_port("a")
                .unwrap_err()
                .to_string()
                .contains("parsing \"a\"")
        );
    }
}
