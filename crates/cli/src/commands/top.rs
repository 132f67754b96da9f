//! `top`: the processes of a container, as `ps` shows them.

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::output::table;
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processes {
    titles: Vec<String>,
    processes: Option<Vec<Vec<String>>>,
}

/// `docker top`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::get(container_path(&matches.operands[0], "/top")?)
            .query_some("ps_args", &matches.operands[1..].join(" "));
        let found: Processes = session.client.json(&call).await?;
        let mut rows = vec![found.titles.join("\t")];
        rows.extend(found.processes.iter().flatten().map(|row| row.join("\t")));
        session.printer.out(&table::align(&rows, 20, 3));
        Ok(0)
    })
}
