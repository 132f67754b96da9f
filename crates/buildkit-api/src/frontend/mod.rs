//! The frontend `dockerfile.v0`: a client's options and files become a build.
//!
//! ```text
//!  options ─► session: Dockerfile, its ignore file, the context ─► engine.builds ─► Solved
//! ```

mod agent;
mod callbacks;
mod failure;
pub(crate) mod layout;
mod lint;
mod load;
mod needs;
mod options;
pub(crate) mod plain;
mod posted;
pub(crate) mod remote;
mod run;
mod solved;
mod story;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use callbacks::credentials;
pub(crate) use failure::excerpt;
use gantry_types::Reference;
#[cfg(fuzzing)]
pub(crate) use options::Options;
pub(crate) use posted::posted;
pub(crate) use run::epoch;
pub(crate) use solved::{Image, Solved};

use crate::BuildKit;
use crate::builds::Build;
use crate::status::Status;

/// Refuses frontends that are not there.
///
/// # Errors
/// `Unimplemented`, with the frontend's name.
pub(crate) fn check_kind(kind: &str, options: &BTreeMap<String, String>) -> Result<(), Status> {
    match kind {
        "dockerfile.v0" => Ok(()),
        // A frontend in an image, which `BUILDKIT_SYNTAX` names.
        "gateway.v0" => check_language(options.get("source").map(String::as_str)),
        other => Err(Status::unsupported(format!(
            "frontend {other} is not supported"
        ))),
    }
}

/// The language that is built in needs no image; any other would.
fn check_language(syntax: Option<&str>) -> Result<(), Status> {
    let Some(image) = syntax.and_then(|text| text.split_whitespace().next()) else {
        return Ok(());
    };
    let reference = image.parse::<Reference>();
    let official = reference.is_ok_and(|reference| {
        let path = reference.path();
        reference.domain() == "docker.io"
            && (path == "docker/dockerfile" || path == "docker/dockerfile-upstream")
    });
    match official {
        true => Ok(()),
        false => Err(Status::unsupported(format!(
            "the frontend {image} is an image: that is not supported"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_language_needs_no_image() {
        for syntax in [
            None,
            Some("docker/dockerfile:1"),
            Some("docker.io/docker/dockerfile:1.7 x"),
        ] {
            assert!(check_language(syntax).is_ok(), "{syntax:?}");
        }
        for syntax in ["docker/other", "example.org/docker/dockerfile", "::"] {
            assert!(check_language(Some(syntax)).is_err(), "{syntax}");
        }
    }
}
