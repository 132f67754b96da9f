//! `system prune`: everything that is not used.

use futures_util::future::LocalBoxFuture;

use super::names::natural_order;
use super::{Outcome, prune};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;

/// `docker system prune`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let wanted = prune::wanted(session, matches);
        let (all, volumes) = (matches.bool("all"), matches.bool("volumes"));
        if volumes && wanted.contains("until") {
            return Err(Error::message(
                "ERROR: The \"until\" filter is not supported with \"--volumes\"",
            ));
        }
        if !matches.bool("force") && !prune::asked(session, &warning(all, volumes, &wanted)) {
            return Err(prune::cancelled());
        }
        let mut bytes = 0;
        let mut report = |removed: prune::Removed| {
            session.printer.out(&removed.text());
            bytes += removed.bytes;
        };
        report(prune::remove_containers(session, &wanted).await?);
        if let Some(removed) = known(prune::remove_networks(session, &wanted).await)? {
            report(removed);
        }
        if volumes && let Some(removed) = known(prune::remove_volumes(session, &wanted).await)? {
            report(removed);
        }
        report(prune::remove_images(session, wanted.clone(), all).await?);
        if let Some(removed) = known(prune::remove_build_cache(session, &wanted, all).await)? {
            report(removed);
        }
        prune::report_total(session, bytes);
        Ok(0)
    })
}

/// A daemon that has none of a kind of object has nothing of it to remove.
fn known(outcome: Result<prune::Removed, Error>) -> Result<Option<prune::Removed>, Error> {
    match outcome {
        Err(Error::Daemon { status: 501, .. }) => Ok(None),
        other => other.map(Some),
    }
}

fn warning(all: bool, volumes: bool, wanted: &gantry_api::Filters) -> String {
    let mut kinds = vec![
        "all stopped containers",
        "all networks not used by at least one container",
    ];
    if volumes {
        kinds.push("all anonymous volumes not used by at least one container");
    }
    kinds.extend(match all {
        true => [
            "all images without at least one container associated to them",
            "all build cache",
        ],
        false => ["all dangling images", "unused build cache"],
    });
    let mut filters: Vec<String> = ["label", "label!", "until"]
        .iter()
        .flat_map(|key| {
            wanted
                .get(key)
                .iter()
                .map(move |value| format!("{key}={value}"))
        })
        .collect();
    gantry_types::sort::by(&mut filters, |a, b| natural_order(a, b));
    let mut out = String::from("WARNING! This will remove:\n");
    for kind in kinds {
        out.push_str(&format!("  - {kind}\n"));
    }
    if !filters.is_empty() {
        out.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in filters {
            out.push_str(&format!("  - {filter}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_goes() {
        let mut wanted = gantry_api::Filters::new();
        assert_eq!(
            warning(false, false, &wanted),
            "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  - all dangling images\n  - unused build cache\n"
        );
        wanted.add("label", "x=1");
        assert!(warning(true, true, &wanted).ends_with("filtered with:\n  - label=x=1\n"));
    }
}
