//! The daemon's side: a pool of warm shims, connections to those that have a
//! container, and one thread that hears what happens to all of them.

mod connection;
mod error;
mod leftover;
mod namespaces;
mod pool;
mod reactor;
mod warm;

pub use connection::{Farewell, ShimConnection};
pub use error::{Error, Result};
pub use leftover::{Found, remove_directory, scan};
pub use namespaces::{IdMaps, OwnNamespaces};
pub use pool::{PoolConfig, ShimPool, StartFds};
