//! File-system states as a tree of layers.
//!
//! A *snapshot* is a directory tree with a key and, except at the bottom, a
//! parent. It is *active* (writable) until it is *committed* (read-only, and
//! then the parent of others). Image layers are committed snapshots named by
//! their chainID; the root file system of a container is an active one named
//! by the container's id. [`SnapshotDriver`] tells the whole life cycle.
//!
//! Invariants: a record never points at a missing directory; a directory
//! without a record is garbage, which [`SnapshotDriver::cleanup`] removes;
//! drivers return [`gantry_types::Mount`] and never mount anything.
//!
//! To begin with: [`select`] a [`DriverKind`], and open it with
//! [`MetadataRecords`].

pub mod conformance;
mod detached;
mod directories;
mod driver;
mod error;
mod measured;
mod overlay;
mod probe;
mod records;
mod repair;
mod select;
mod store;
mod stored;
mod tree;
mod vfs;

pub use detached::mount as mount_detached;
pub use driver::{Capabilities, DiskUsage, Ignore, SnapshotDriver, Status, UnpackTarget, Usage};
pub use error::Error;
pub use records::{MemoryRecords, MetadataRecords, Record, Records};
pub use select::{DriverKind, select};
