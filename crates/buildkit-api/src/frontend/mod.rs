//! The frontend `dockerfile.v0`: a client's options and files become a build.
//!
//! ```text
//!  options ─► session: Dockerfile, its ignore file, the context ─► engine.builds ─► Solved
//! ```

mod callbacks;
mod failure;
mod lint;
mod load;
mod needs;
mod options;
mod remote;
mod run;
mod solved;
mod story;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use solved::Solved;

use crate::BuildKit;
use crate::builds::Build;
use crate::status::Status;

/// Refuses frontends that are not there.
///
/// # Errors
/// `Unimplemented`, with the frontend's name.
pub(crate) fn check_kind(kind: &str) -> Result<(), Status> {
    match kind {
        "dockerfile.v0" => Ok(()),
        "gateway.v0" => Err(Status::unsupported(
            "frontends in images (BUILDKIT_SYNTAX) are not supported",
        )),
        other => Err(Status::unsupported(format!(
            "frontend {other} is not supported"
        ))),
    }
}

/// Builds what the options say; `inputs` are results of other builds, by names that the
/// options may use.
///
/// # Errors
/// Whatever is wrong with the options, the Dockerfile or the build.
pub(crate) async fn solve(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    options: BTreeMap<String, String>,
    inputs: BTreeMap<String, String>,
) -> Result<Arc<Solved>, Status> {
    let mut options = options::Options::of(&options)?;
    options.inputs = inputs;
    let loaded = load::definition(service, build, &options).await?;
    let solved = match options.request.as_deref() {
        None => run::run(service, build, &options, loaded).await?,
        Some(request) => {
            let ignored = load::ignored(service, build, &options, &loaded).await?;
            lint::answer(service, &options, &loaded, &ignored, request)?
        }
    };
    Ok(Arc::new(solved))
}
