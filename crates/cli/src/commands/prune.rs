//! Removing what is not used: containers, images, networks, volumes.

use std::io::BufRead;

use futures_util::future::LocalBoxFuture;
use gantry_api::{ApiVersion, ContainersPruned, Filters, ImagesPruned};
use serde::Deserialize;

use super::{Outcome, filters};
use crate::args::Matches;
use crate::container_options::units::parse_size;
use crate::error::Error;
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

/// What was removed, under a title, and how much space that gave.
#[derive(Debug, Default)]
pub(super) struct Removed {
    title: &'static str,
    lines: Vec<String>,
    pub(super) bytes: u64,
}

impl Removed {
    /// The title and the names, and an empty line; nothing without names.
    pub(super) fn text(&self) -> String {
        match self.lines.is_empty() {
            true => String::new(),
            false => format!("{}\n{}\n\n", self.title, self.lines.join("\n")),
        }
    }
}

/// Asks on standard output; only `y` goes on.
pub(super) fn asked(session: &Session, warning: &str) -> bool {
    session.printer.out(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    // Not buffered beyond the line: what follows it is for somebody else.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}

/// What a prune that the user does not want comes to: nothing, in silence.
pub(super) fn cancelled() -> Error {
    Error::Status {
        message: String::new(),
        code: 0,
    }
}

fn confirm(session: &Session, matches: &Matches, warning: &str) -> Result<(), Error> {
    match matches.bool("force") || asked(session, warning) {
        true => Ok(()),
        false => Err(cancelled()),
    }
}

fn total(bytes: u64) -> String {
    let size = human::size(i64::try_from(bytes).unwrap_or(i64::MAX), 4);
    format!("Total reclaimed space: {size}\n")
}

/// Prints the last line of a prune.
pub(super) fn report_total(session: &Session, bytes: u64) {
    session.printer.out(&total(bytes));
}

/// The filters of the command line and those of config.json, which give way
/// where they contradict.
pub(super) fn wanted(session: &Session, matches: &Matches) -> Filters {
    let mut wanted = filters::parse(matches);
    for text in &session.settings.config.prune_filters {
        let Some((key, value)) = text.split_once('=') else {
            continue;
        };
        let opposite = match key {
            "label" => "label!",
            "label!" => "label",
            _ => "",
        };
        if !wanted.get(opposite).iter().any(|other| other == value) {
            wanted.add(key, value);
        }
    }
    wanted
}

/// Removes stopped containers.
pub(super) async fn remove_containers(
    session: &Session,
    wanted: &Filters,
) -> Result<Removed, Error> {
    let call = Call::post("/containers/prune").query_some("filters", &wanted.to_json());
    let pruned: ContainersPruned = session.client.json(&call).await?;
    Ok(Removed {
        title: "Deleted Containers:",
        lines: pruned.containers_deleted.unwrap_or_default(),
        bytes: pruned.space_reclaimed,
    })
}

/// Removes dangling images, or all that no container uses.
pub(super) async fn remove_images(
    session: &Session,
    mut wanted: Filters,
    all: bool,
) -> Result<Removed, Error> {
    wanted.add("dangling", if all { "false" } else { "true" });
    let call = Call::post("/images/prune").query("filters", &wanted.to_json());
    let pruned: ImagesPruned = session.client.json(&call).await?;
    let line = |item: gantry_api::ImageDeleted| match (item.untagged, item.deleted) {
        (Some(name), _) => Some(format!("untagged: {name}")),
        (None, id) => id.map(|id| format!("deleted: {id}")),
    };
    let deleted = pruned.images_deleted.unwrap_or_default();
    Ok(Removed {
        title: "Deleted Images:",
        lines: deleted.into_iter().filter_map(line).collect(),
        bytes: pruned.space_reclaimed,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamesPruned {
    #[serde(alias = "VolumesDeleted", alias = "CachesDeleted")]
    networks_deleted: Option<Vec<String>>,
    #[serde(default)]
    space_reclaimed: u64,
}

async fn remove_names(
    session: &Session,
    path: &str,
    title: &'static str,
    query: &[(&str, String)],
) -> Result<Removed, Error> {
    let mut call = Call::post(path);
    for (name, value) in query {
        call = call.query_some(name, value);
    }
    let pruned: NamesPruned = session.client.json(&call).await?;
    Ok(Removed {
        title,
        lines: pruned.networks_deleted.unwrap_or_default(),
        bytes: pruned.space_reclaimed,
    })
}

/// Removes networks that no container uses.
pub(super) async fn remove_networks(session: &Session, wanted: &Filters) -> Result<Removed, Error> {
    let filters = [("filters", wanted.to_json())];
    remove_names(session, "/networks/prune", "Deleted Networks:", &filters).await
}

/// Removes volumes that no container uses.
pub(super) async fn remove_volumes(session: &Session, wanted: &Filters) -> Result<Removed, Error> {
    let filters = [("filters", wanted.to_json())];
    remove_names(session, "/volumes/prune", "Deleted Volumes:", &filters).await
}

/// Removes the cache of builds.
pub(super) async fn remove_build_cache(
    session: &Session,
    wanted: &Filters,
    all: bool,
) -> Result<Removed, Error> {
    remove_cache_but(session, wanted, all, Vec::new()).await
}

async fn remove_cache_but(
    session: &Session,
    wanted: &Filters,
    all: bool,
    bounds: Vec<(&'static str, String)>,
) -> Result<Removed, Error> {
    let all = if all { "1" } else { "" };
    let mut asked = vec![("all", all.to_owned()), ("filters", wanted.to_json())];
    asked.extend(bounds);
    let title = "Deleted build cache objects:";
    remove_names(session, "/build/prune", title, &asked).await
}

/// How much of the cache may stay: flags, and parameters of the request.
const BOUNDS: [&str; 4] = [
    "keep-storage",
    "max-used-space",
    "min-free-space",
    "reserved-space",
];

/// `docker builder prune`.
pub(crate) fn build_cache<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let all = matches.bool("all");
        let mut bounds = Vec::new();
        for name in BOUNDS {
            match matches.text(name) {
                "" => {}
                text => {
                    let bytes = parse_size(text).map_err(Error::message)?;
                    bounds.push((name, bytes.to_string()));
                }
            }
        }
        let warning = match all {
            true => "WARNING! This will remove all build cache.",
            false => "WARNING! This will remove all dangling build cache.",
        };
        confirm(session, matches, warning)?;
        let filters = wanted(session, matches);
        let removed = remove_cache_but(session, &filters, all, bounds).await?;
        session.printer.out(&removed.text());
        report_total(session, removed.bytes);
        Ok(0)
    })
}

/// `docker container prune`.
pub(crate) fn containers<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let warning = "WARNING! This will remove all stopped containers.";
        confirm(session, matches, warning)?;
        let removed = remove_containers(session, &wanted(session, matches)).await?;
        session.printer.out(&removed.text());
        report_total(session, removed.bytes);
        Ok(0)
    })
}

/// `docker image prune`.
pub(crate) fn images<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let all = matches.bool("all");
        let warning = match all {
            true => {
                "WARNING! This will remove all images without at least one container associated to them."
            }
            false => "WARNING! This will remove all dangling images.",
        };
        confirm(session, matches, warning)?;
        let removed = remove_images(session, wanted(session, matches), all).await?;
        session.printer.out(&removed.text());
        report_total(session, removed.bytes);
        Ok(0)
    })
}

/// `docker network prune`.
pub(crate) fn networks<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let warning =
            "WARNING! This will remove all custom networks not used by at least one container.";
        confirm(session, matches, warning)?;
        let removed = remove_networks(session, &wanted(session, matches)).await?;
        session.printer.out(&removed.text());
        Ok(0)
    })
}

/// `docker volume prune`.
pub(crate) fn volumes<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut wanted = wanted(session, matches);
        let all = matches.bool("all");
        if all && wanted.contains("all") {
            return Err(Error::message(
                "conflicting options: cannot specify both --all and --filter all=1",
            ));
        }
        let kinds = match all {
            true => "local volumes",
            false => "anonymous local volumes",
        };
        let warning =
            format!("WARNING! This will remove {kinds} not used by at least one container.");
        let warning = match all {
            true => warning.replace("remove local", "remove all local"),
            false => warning,
        };
        confirm(session, matches, &warning)?;
        // Before 1.42 there was no such filter, and all unused volumes went.
        if all && session.client.agreed_version().await? >= ApiVersion::new(1, 42) {
            wanted.add("all", "true");
        }
        let removed = remove_volumes(session, &wanted).await?;
        session.printer.out(&removed.text());
        report_total(session, removed.bytes);
        Ok(0)
    })
}
