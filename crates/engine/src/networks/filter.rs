//! The filters of the list of networks and of `prune`.

use gantry_api::{Filters, Timestamp};
use gantry_network::Definition;

use super::shown::is_predefined;
use crate::clock::now_nano;
use crate::error::{Error, Result};
use crate::pattern::Pattern;

const LIST: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
const PRUNE: [&str; 3] = ["label", "label!", "until"];

/// Filters, checked.
pub(super) struct Filter<'a> {
    filters: &'a Filters,
    dangling: Option<bool>,
    until: Option<i64>,
}

impl<'a> Filter<'a> {
    /// # Errors
    /// `Invalid` for unknown keys and values.
    pub(super) fn new(filters: &'a Filters) -> Result<Self> {
        filters.validate(&LIST).map_err(invalid)?;
        let kinds = filters.get("type");
        if let Some(kind) = kinds
            .iter()
            .find(|k| !["builtin", "custom"].contains(&k.as_str()))
        {
            return Err(Error::Invalid(format!("invalid filter: 'type'='{kind}'")));
        }
        let dangling = match filters.get("dangling") {
            [] => None,
            [only] if only == "true" || only == "1" => Some(true),
            [only] if only == "false" || only == "0" => Some(false),
            _ => {
                return Err(Error::Invalid(
                    "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \
                     \"false\" (or \"0\")"
                        .to_owned(),
                ));
            }
        };
        Ok(Self {
            filters,
            dangling,
            until: None,
        })
    }

    /// # Errors
    /// `Invalid` for unknown keys and values.
    pub(super) fn for_prune(filters: &'a Filters) -> Result<Self> {
        filters.validate(&PRUNE).map_err(invalid)?;
        let until = match filters.get("until") {
            [] => None,
            [only] => {
                let time = Timestamp::parse("until", only, now_nano());
                let wrong = |_| {
                    let text = format!("failed to parse value as time or duration: {only:?}");
                    Error::Invalid(text)
                };
                Some(time.map_err(wrong)?)
            }
            _ => {
                return Err(Error::Invalid(
                    "more than one until filter specified".to_owned(),
                ));
            }
        };
        Ok(Self {
            filters,
            dangling: None,
            until: until.map(|time| time.nanos),
        })
    }

    /// Whether a network is meant; `in_use` tells whether somebody is in it.
    pub(super) fn matches(
        &self,
        network: &Definition,
        in_use: &dyn Fn(&Definition) -> bool,
    ) -> bool {
        let filters = self.filters;
        let kind = if is_predefined(network) {
            "builtin"
        } else {
            "custom"
        };
        filters.any("driver", |driver| network.driver == driver)
            && filters.any("id", |id| Pattern::new(id).matches(&network.id))
            && filters.any("name", |name| Pattern::new(name).matches(&network.name))
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |wanted| wanted == kind)
            && filters.all_pairs("label", Some(&network.labels))
            && (filters.get("label!").is_empty()
                || !filters.all_pairs("label!", Some(&network.labels)))
            && self.until.is_none_or(|until| network.created < until)
            && self.dangling.is_none_or(|wanted| {
                // Those that always exist are never left over.
                (kind == "custom") && (wanted != in_use(network))
            })
    }
}

fn invalid(error: gantry_api::FilterError) -> Error {
    Error::Invalid(error.to_string())
}
