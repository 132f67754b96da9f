//! `container prune` and `image prune`.

use futures_util::future::LocalBoxFuture;
use gantry_api::{ContainersPruned, ImagesPruned};

use super::{Outcome, filters};
use crate::args::Matches;
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

/// Asks on standard output; only `y` goes on.
fn confirmed(session: &Session, matches: &Matches, warning: &str) -> bool {
    if matches.bool("force") {
        return true;
    }
    session.printer.out(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}

/// `docker container prune`.
pub(crate) fn containers<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let warning = "WARNING! This will remove all stopped containers.";
        if !confirmed(session, matches, warning) {
            return Ok(0);
        }
        let call = Call::post("/containers/prune").query_some("filters", &filters::query(matches));
        let pruned: ContainersPruned = session.client.json(&call).await?;
        let lines: Vec<String> = pruned.containers_deleted.unwrap_or_default();
        report(
            session,
            "Deleted Containers:",
            &lines,
            pruned.space_reclaimed,
        );
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
        if !confirmed(session, matches, warning) {
            return Ok(0);
        }
        let mut wanted = filters::parse(matches);
        wanted.add("dangling", if all { "false" } else { "true" });
        let call = Call::post("/images/prune").query("filters", &wanted.to_json());
        let pruned: ImagesPruned = session.client.json(&call).await?;
        let mut lines = Vec::new();
        for item in pruned.images_deleted.unwrap_or_default() {
            if let Some(name) = item.untagged {
                lines.push(format!("untagged: {name}"));
            } else if let Some(id) = item.deleted {
                lines.push(format!("deleted: {id}"));
            }
        }
        report(session, "Deleted Images:", &lines, pruned.space_reclaimed);
        Ok(0)
    })
}

fn report(session: &Session, title: &str, lines: &[String], bytes: u64) {
    let mut out = String::new();
    if !lines.is_empty() {
        out.push_str(title);
        out.push('\n');
        for line in lines {
            out.push_str(line);
            out.push('\n');
        }
        out.push('\n');
    }
    let size = human::size(i64::try_from(bytes).unwrap_or(i64::MAX), 4);
    out.push_str(&format!("Total reclaimed space: {size}\n"));
    session.printer.out(&out);
}
