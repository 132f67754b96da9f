//! Graphs of steps that clients send themselves (LLB, `pb.Definition`).
//!
//! ```text
//!  bytes ─► definition: operations by their digests, in an order
//!             ├─► locals: directories of the client, received
//!             └─► translate: gantry_build's graph ─► engine.builds ─► Solved
//! ```
//!
//! Invariants: an operation is what its digest says; what of it is not known is refused by
//! its name, never left out.

mod definition;
mod exec;
mod file;
mod locals;
mod source;
mod translate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::runtime::Handle;

use definition::Definition;
pub(crate) use definition::is_empty;

use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::{Solved, plain};
use crate::session;
use crate::status::Status;

/// What a client may ask for beyond what any build may.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    pub(crate) host_network: bool,
    pub(crate) insecure: bool,
}

/// Solves a definition.
///
/// # Errors
/// Whatever is wrong with it, and what goes wrong.
pub(crate) async fn solve(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    definition: &[u8],
    allowed: Allowed,
) -> Result<Arc<Solved>, Status> {
    let definition = Definition::read(definition)?;
    let locals = locals::load(service, build, &definition).await?;
    let session = session::find(&service.sessions, &build.session).await?;
    let mut request = plain::request(&Handle::current(), session);
    request.pull = locals::wants_pull(&definition)?;
    request.borrowed.clone_from(&locals.borrowed);
    let (service, build) = (Arc::clone(service), Arc::clone(build));
    let work = tokio::task::spawn_blocking(move || {
        let teller = plain::Teller::new(&build);
        let tell = |event: gantry_engine::BuildEvent<'_>| teller.tell(event);
        let solved = service
            .engine
            .builds
            .solve_plan(&request, &build.cancel, &tell, &|world| {
                translate::plan(&definition, &locals, allowed, world)
            });
        solved.map_err(|error| teller.failure(error))
    });
    let built = work
        .await
        .map_err(|error| Status::internal(error.to_string()))??;
    Ok(Arc::new(Solved::plain(built)))
}
