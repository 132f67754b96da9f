//! What builds without a Dockerfile share with those that have one: who is asked for
//! secrets, how steps are told, how files of the client come.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_engine::{BuildRequest, Error as EngineError, Solved as Built};
use gantry_types::Platform;
use tokio::runtime::Handle;

use super::failure::Source;
use super::options::Options;
use super::solved::{Image, Solved};
use super::story::Story;
use super::{agent, callbacks, load, run};
use crate::BuildKit;
use crate::builds::Build;
use crate::files::{Wanted, kept::Place};
use crate::session::Session;
use crate::status::Status;

/// A request without a Dockerfile: what steps are run with.
pub(crate) fn request(runtime: &Handle, session: Arc<Session>) -> BuildRequest {
    BuildRequest {
        dockerfile: Vec::new(),
        name: String::new(),
        context: None,
        named: BTreeMap::new(),
        borrowed: BTreeMap::new(),
        options: gantry_build::dockerfile::Options::default(),
        pull: false,
        limits: gantry_engine::StepLimits::default(),
        credentials: callbacks::credentials(runtime, &session),
        secret: callbacks::secret(runtime, &session),
        agents: Some(Arc::new(agent::Forwarded {
            runtime: runtime.clone(),
            session,
        })),
        imports: None,
        explain: false,
        kept: gantry_engine::Kept::default(),
    }
}

/// Tells a build's client of its steps.
pub(crate) struct Teller(Story);

impl Teller {
    pub(crate) fn new(build: &Build) -> Self {
        Self(Story::new(build, None, BTreeMap::new()))
    }

    /// The same of what is run beside the build itself.
    pub(crate) fn of(build: &Build, what: &str) -> Self {
        Self(Story::new(build, Some(what.to_owned()), BTreeMap::new()))
    }

    pub(crate) fn tell(&self, event: gantry_engine::BuildEvent<'_>) {
        self.0.tell(event);
    }

    /// What the client is told of a build that failed.
    pub(crate) fn failure(&self, error: EngineError) -> Status {
        let nowhere = Source {
            name: String::new(),
            text: Vec::new(),
        };
        run::failure(&self.0, &nowhere, error)
    }
}

/// Gets files of the client; those of the same definition are kept apart by `number`.
pub(crate) async fn directory(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    wanted: &Wanted,
    session: &str,
    number: usize,
) -> Result<Place, Status> {
    let mut options = Options::default();
    if !session.is_empty() {
        let (name, session) = (wanted.directory.clone(), session.to_owned());
        options.sessions.insert(name, session);
    }
    let vertex = load::vertex(build, &format!("load local {}", wanted.directory));
    let part = format!("definition {number}");
    load::pull(service, build, &options, vertex, wanted, &part).await
}

impl Solved {
    /// What a definition has become: an image whose configuration its client tells.
    pub(crate) fn plain(built: Built) -> Self {
        let platform = Platform::host();
        let image = Image {
            platform,
            built,
            source: (String::new(), Vec::new()),
        };
        let mut solved = Self::images(vec![image], false);
        solved.forget_texts();
        solved
    }
}
