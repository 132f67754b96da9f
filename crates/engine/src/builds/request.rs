//! What a build is asked for.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use gantry_build::Imports;
use gantry_build::dockerfile::{Named, Options};
use gantry_build::graph::Local;
use gantry_registry::Credentials;
use gantry_types::Reference;

use super::agents::Agents;
use super::borrowed::Borrowed;

/// Gives a secret by its name.
pub type Secret = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// A build, in nobody's protocol.
pub struct BuildRequest {
    /// The text of the Dockerfile.
    pub dockerfile: Vec<u8>,
    /// Its name, for failures.
    pub name: String,
    /// What it copies from.
    pub context: Option<Arc<Local>>,
    /// What more it may name.
    pub named: BTreeMap<String, Named>,
    /// Images that no registry has, by the names that they have for this build alone.
    pub borrowed: BTreeMap<String, Arc<Borrowed>>,
    /// What the language is told.
    pub options: Options,
    /// Whether images are pulled even when they are there.
    pub pull: bool,
    /// What commands are run with.
    pub limits: StepLimits,
    /// Who asks a registry, by its host.
    pub credentials: Arc<dyn Fn(&str) -> Credentials + Send + Sync>,
    /// What is known only while commands run.
    pub secret: Arc<Secret>,
    /// The ssh agents of the client, if it has any.
    pub agents: Option<Arc<dyn Agents>>,
    /// What others have made.
    pub imports: Option<Arc<dyn Imports>>,
    /// Whether the reason of each miss is looked for.
    pub explain: bool,
    /// Which containers stay.
    pub kept: Kept,
}

/// Which containers of steps stay, as the classic builder's users may wish.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// Those that ended well.
    pub done: bool,
    /// Those that did not.
    pub failed: bool,
}

impl std::fmt::Debug for BuildRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildRequest")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// How much of the machine the commands of a build may use: nothing that a result depends
/// on.
#[derive(Debug, Clone, Default)]
pub struct StepLimits {
    /// Bytes.
    pub memory: i64,
    /// Bytes of memory and swap.
    pub memory_swap: i64,
    /// Relative.
    pub cpu_shares: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds.
    pub cpu_quota: i64,
    /// Such as `0-2`.
    pub cpuset_cpus: String,
    /// Such as `0-2`.
    pub cpuset_mems: String,
}

/// What `POST /build` builds from.
#[derive(Debug)]
pub enum ClassicContext<R> {
    /// An archive, which is read; or nothing, where the query says where it is.
    Archive(R),
    /// The client's own directory, open already, and the text of the Dockerfile.
    Live(OwnedFd, Vec<u8>),
}

/// `POST /build`.
#[derive(Clone, Default)]
pub struct ClassicQuery {
    /// The Dockerfile's path in the context; `Dockerfile` when empty.
    pub dockerfile: String,
    /// How the user is told of it, where that is not its path.
    pub shown: String,
    /// The names of the image.
    pub tags: Vec<Reference>,
    /// Where the context is, instead of in the request.
    pub remote: String,
    /// Whether only the id is told.
    pub quiet: bool,
    /// Whether images are pulled even when they are there.
    pub pull: bool,
    /// Images that have what steps make.
    pub cache_from: Vec<String>,
    /// Which containers stay.
    pub kept: Kept,
    /// What the language is told.
    pub options: Options,
    /// What commands are run with.
    pub limits: StepLimits,
    /// The name by which the client may end it.
    pub build_id: String,
    /// Who asks a registry, by its host.
    pub credentials: BTreeMap<String, Credentials>,
    /// Whether all layers of the build become one.
    pub squash: bool,
    /// What commands see and no layer keeps.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Whether the reason of each miss is told.
    pub explain: bool,
    /// What becomes of the result: an image, unless something else is said.
    pub outputs: Vec<BuildOutput>,
}

impl BuildOutput {
    /// Whether no file of a new layer may be later than `SOURCE_DATE_EPOCH`.
    pub(super) fn rewrites_times(&self) -> bool {
        let wish = self.attributes.get("rewrite-timestamp");
        wish.is_some_and(|wish| matches!(wish.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE"))
    }
}

/// What becomes of the result of a build, in BuildKit's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildOutput {
    /// `image`, `local` or `tar`.
    pub kind: String,
    /// More about it.
    pub attributes: BTreeMap<String, String>,
}
