//! `update`: other limits for containers that exist.

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::container_options::update_body;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Updated {
    warnings: Option<Vec<String>>,
}

/// `docker update`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        if matches.values.is_empty() {
            return Err(Error::message(
                "you must provide one or more flags when using this command",
            ));
        }
        let body = update_body(matches)?;
        let (mut warnings, mut failures) = (Vec::new(), Vec::new());
        for name in &matches.operands {
            let call = Call::post(container_path(name, "/update")?).json(&body)?;
            match session.client.json::<Updated>(&call).await {
                Ok(updated) => {
                    session.printer.line(name);
                    warnings.extend(updated.warnings.unwrap_or_default());
                }
                Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => {
                    return Err(error);
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        for warning in warnings {
            session.printer.line(&warning);
        }
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}
