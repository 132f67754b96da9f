//! A build whose context is here already: what a session would load is known.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use gantry_engine::{BuildEvent, Received, Solved};

use super::failure::Source;
use super::load::{self, Loaded};
use super::options::Options;
use super::story::Story;
use super::{lint, run};
use crate::BuildKit;
use crate::builds::Build;
use crate::progress::Task;
use crate::status::Status;

/// Builds, on a thread that may wait.
///
/// # Errors
/// Those of the Dockerfile and of the build.
pub(crate) fn posted(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    received: Received,
) -> Result<Solved, Status> {
    let request = &received.request;
    let source = Source {
        name: request.name.clone(),
        text: request.dockerfile.clone(),
    };
    let vertex = definition(build, &source);
    let file = source.parse()?;
    super::check_language(file.directives.syntax.as_deref())?;
    let given = request.options.build_args.iter();
    let options = Options {
        build_args: given
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .into_map(),
        target: request.options.target.clone(),
        ..Options::default()
    };
    let loaded = Loaded {
        source: source.clone(),
        vertex,
        ignore: None,
        remote: None,
    };
    lint::warn(service, build, &options, &loaded, &received.ignored)?;
    let story = Story::new(build, None, BTreeMap::new()).with_sizes();
    let tell = |event: BuildEvent<'_>| story.tell(event);
    let solved = service.engine.builds.solve(request, &build.cancel, &tell);
    solved.map_err(|error| run::failure(&story, &source, error))
}

/// Tells that the Dockerfile is here; the step that this is.
fn definition(build: &Build, source: &Source) -> String {
    let mut vertex = load::vertex(
        build,
        &format!("load build definition from {}", source.name),
    );
    let now = Some(SystemTime::now());
    vertex.started = now;
    build.progress.vertex(&vertex);
    let task = Task {
        name: "transferring dockerfile:".to_owned(),
        current: i64::try_from(source.text.len()).unwrap_or(0),
        started: now,
        completed: now,
        ..Task::default()
    };
    build.progress.task(&vertex.digest, &task);
    vertex.completed = now;
    build.progress.vertex(&vertex);
    vertex.digest
}
