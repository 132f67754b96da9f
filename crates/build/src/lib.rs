//! Builds: a graph of steps, and what comes of it.
//!
//! ```text
//!  Dockerfile ──plan──► Graph ──solve──► layers ──► image configuration
//!                         │       │
//!                         │       ├─ keys: by definition, then by content
//!                         │       ├─ Cache: what a key stands for
//!                         │       └─ Executor: runs what must be run
//!                         └─ any other language may make one
//! ```
//!
//! [`graph`] and [`solve`] have never heard of Dockerfiles: a step is a source, a
//! command or file operations, and its inputs are other steps. [`dockerfile`] has
//! never heard of caches. Running a command is left to an [`Executor`], so that it is
//! run as every other container is.
//!
//! Invariants: a step is run only when its result is needed and no key of it is known;
//! a result is recorded only when its layer is there; same inputs, same layers.

pub mod cache;
pub mod cache_config;
pub mod contents;
pub mod context;
pub mod dockerfile;
pub mod graph;
pub mod solve;

mod error;
mod files;
mod imports;
mod key;
mod make;
mod plain;
mod trees;
mod whose;

pub use cache::{Cache, Record, Stored};
pub use error::Error;
pub use graph::{Graph, Node, NodeId, Op};
pub use imports::{Brought, Imports};
pub use solve::{Event, Executor, RunFailure, RunOutput, Solver, StepRun, Value};

/// The result of every operation on builds.
pub type Result<T, E = Error> = std::result::Result<T, E>;
