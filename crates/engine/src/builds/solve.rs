//! A request becomes layers and a configuration; what becomes of these, its client
//! says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gantry_api::ProgressMessage;
use gantry_build::dockerfile::{self, Dialect, Plan, StageBase, World};
use gantry_build::{Error as BuildError, Event, NodeId, Solver, Value};
use gantry_image::{Built, Epoch, Lease};
use gantry_registry::Cancel;
use gantry_sys::RootDir;
use gantry_types::{ChainId, Digest, ImageConfig, ImageId, Platform, Reference};

use super::removal::Removal;
use super::request::BuildRequest;
use super::run::Steps;
use super::world::Images;
use super::{Builds, Inner};
use crate::error::{Error, Result};

/// What happens in a build.
#[derive(Debug)]
pub enum BuildEvent<'e> {
    /// The Dockerfile is understood.
    Planned(&'e Plan),
    /// An image is pulled, for a step or before there are any.
    Pulling(Option<NodeId>, ProgressMessage),
    /// Something happens to a step.
    Step(NodeId, Event<'e>),
}

/// What a build has become: layers, kept while this lives, and a configuration.
pub struct Solved {
    /// The image's configuration.
    pub config: ImageConfig,
    /// The image that it was made from.
    pub parent: Option<ImageId>,
    /// What was planned.
    pub plan: Plan,
    /// What its steps have become.
    pub values: BTreeMap<NodeId, Value>,
    /// Images that it names and that were not needed: what their names stand for.
    pub distant: Vec<(Reference, Digest)>,
    pub(super) lease: Lease,
    /// When it was begun.
    pub(super) since: Epoch,
    /// Whether its times are said, not found.
    pub(super) reproducible: bool,
}

impl std::fmt::Debug for Solved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solved")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Solved {
    /// What its image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.config.architecture.clone(),
            os: self.config.os.clone(),
            os_version: None,
            variant: self.config.variant.clone(),
        }
    }
}

impl Builds {
    /// Builds. `tell` is called from several threads.
    ///
    /// # Errors
    /// `Invalid` for what is wrong with the Dockerfile, before anything is run; the
    /// failure of the first step that fails; `Cancelled`.
    pub fn solve(
        &self,
        request: &BuildRequest,
        cancel: &Cancel,
        tell: &(dyn Fn(BuildEvent<'_>) + Sync),
    ) -> Result<Solved> {
        self.inner.solve(request, cancel, tell)
    }

    /// Builds what is no Dockerfile: `make` plans it with what `request` may name.
    ///
    /// # Errors
    /// Those of `make`; the failure of the first step that fails; `Cancelled`.
    pub fn solve_plan(
        &self,
        request: &BuildRequest,
        cancel: &Cancel,
        tell: &(dyn Fn(BuildEvent<'_>) + Sync),
        make: &dyn Fn(&dyn World) -> gantry_build::Result<Plan>,
    ) -> Result<Solved> {
        self.inner.solve_plan(request, cancel, tell, make)
    }

    /// Makes an image of a result, and names it.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn commit(&self, solved: &Solved, names: &[Reference]) -> Result<ImageId> {
        self.inner.commit(solved, names)
    }

    /// The files of a result, mounted nowhere; none for an empty one.
    ///
    /// # Errors
    /// When they cannot be mounted.
    pub fn files(&self, solved: &Solved) -> Result<Option<RootDir>> {
        let layers = &solved.config.rootfs.diff_ids;
        let Some(top) = ChainId::chain(layers).last().copied() else {
            return Ok(None);
        };
        let mount = self.inner.snapshots.mounts(&top.to_string())?;
        let tree = gantry_snapshot::mount_detached(&mount)
            .map_err(|errno| Error::io("mount", top.to_string(), errno.into()))?;
        Ok(Some(RootDir::from(tree)))
    }
}

impl Inner {
    pub(super) fn solve(
        self: &Arc<Self>,
        request: &BuildRequest,
        cancel: &Cancel,
        tell: &(dyn Fn(BuildEvent<'_>) + Sync),
    ) -> Result<Solved> {
        let solved = self.solve_leased(request, cancel, tell);
        // What was made for a step that has failed then is nobody's now.
        if solved.is_err()
            && let Err(error) = self.store.collect()
        {
            tracing::warn!(%error, "layers of a build that has failed stay");
        }
        solved
    }

    fn solve_leased(
        self: &Arc<Self>,
        request: &BuildRequest,
        cancel: &Cancel,
        tell: &(dyn Fn(BuildEvent<'_>) + Sync),
    ) -> Result<Solved> {
        let file = gantry_dockerfile::parse(&request.dockerfile)
            .map_err(|error| match request.options.dialect {
                Dialect::Classic => error.classic(&request.name),
                Dialect::BuildKit => error.to_string(),
            })
            .map_err(|text| Error::Build(BuildError::Invalid(text)))?;
        self.solve_plan(request, cancel, tell, &|world| {
            dockerfile::plan(&file, &request.options, request.context.clone(), world)
        })
    }

    fn solve_plan(
        self: &Arc<Self>,
        request: &BuildRequest,
        cancel: &Cancel,
        tell: &(dyn Fn(BuildEvent<'_>) + Sync),
        make: &dyn Fn(&dyn World) -> gantry_build::Result<Plan>,
    ) -> Result<Solved> {
        let since = self.cache.begin()?;
        let lease = self.store.empty_lease("build")?;
        let pulling = |node, message| tell(BuildEvent::Pulling(node, message));
        let world = Images {
            inner: self,
            request,
            cancel,
            lease: &lease,
            pulling: &pulling,
            fresh: Mutex::default(),
            distant: Mutex::default(),
            spaces: Mutex::default(),
        };
        let plan = make(&world)?;
        tell(BuildEvent::Planned(&plan));
        let steps = Steps {
            inner: self,
            request,
            world: &world,
            removal: Removal::default(),
        };
        let told = |node: NodeId, event: Event<'_>| tell(BuildEvent::Step(node, event));
        let cancelled = || cancel.is_cancelled();
        let solver = Solver {
            images: &self.store,
            snapshots: &self.snapshots,
            cache: &self.cache,
            imports: request.imports.as_deref(),
            executor: &steps,
            lease: &lease,
            since,
            tell: &told,
            cancelled: &cancelled,
            explain: request.explain,
            latest: request.options.epoch.filter(|_| request.options.clamp),
        };
        let wanted: Vec<NodeId> = plan.wanted.into_iter().collect();
        let values = solver.solve(&plan.graph, &wanted)?;
        steps.removal.end()?;
        gantry_sys::give_back_heap();
        let config = dockerfile::image(&plan, &request.options, &values);
        let parent = plan
            .stages
            .get(plan.target)
            .and_then(|stage| match &stage.base {
                StageBase::Image(base) => Some(base.id),
                _ => None,
            })
            // As in Docker: what BuildKit builds is nobody's child.
            .filter(|_| request.options.dialect == Dialect::Classic);
        let distant = world.left();
        Ok(Solved {
            distant,
            config,
            parent,
            plan,
            values,
            lease,
            since,
            reproducible: request.options.epoch.is_some(),
        })
    }

    pub(super) fn commit(
        self: &Arc<Self>,
        solved: &Solved,
        names: &[Reference],
    ) -> Result<ImageId> {
        self.cache.settle(solved.since)?;
        let built = Built {
            config: &solved.config,
            references: names,
            parent: solved.parent,
        };
        let recorded = self.store.record_built(&built, &solved.lease)?;
        self.bound_soon();
        self.images.published(recorded.id, names);
        Ok(recorded.id)
    }
}
