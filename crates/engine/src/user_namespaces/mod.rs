//! User namespaces: which ids of the host a container's ids are.
//!
//! ```text
//! id_map.rs       the map itself, both ways
//! subordinate.rs  /etc/subuid and /etc/subgid
//! remap.rs        the daemon's `userns-remap`: one map for all containers
//! auto.rs         `--userns auto`: a range for one container alone
//! ```
//!
//! On the disk, layers and volumes hold the ids that containers see; they are
//! mapped when they are mounted. So nothing is copied or given to another owner,
//! and containers with different maps share layers and volumes.

mod auto;
mod id_map;
mod remap;
mod subordinate;

pub(crate) use auto::{Auto, pool};
pub use id_map::IdMap;
pub(crate) use id_map::{Kind, NOBODY};
