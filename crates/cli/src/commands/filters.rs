//! `--filter key=value`, repeated.

use gantry_api::Filters;

use crate::args::Matches;

/// The filters as a query value; empty without any.
pub(crate) fn query(matches: &Matches) -> String {
    let filters = parse(matches);
    if filters.is_empty() {
        return String::new();
    }
    filters.to_json()
}

/// The filters of the command line. Keys are lower case, values trimmed.
pub(crate) fn parse(matches: &Matches) -> Filters {
    let mut filters = Filters::new();
    for text in matches.list("filter") {
        if let Some((key, value)) = text.split_once('=') {
            filters.add(key.trim().to_lowercase(), value.trim());
        }
    }
    filters
}
