//! Layers as archives: read, apply to a directory, make from a directory.
//!
//! * [`compression`]: what a stream is compressed with, decoded within limits;
//! * [`tar`]: the tar dialects of the field (v7, ustar, pax, GNU), read and
//!   written exactly;
//! * [`apply`]: a layer archive becomes a directory tree;
//! * [`unpack`]: an archive is unpacked among files that are there;
//! * [`pack`]: a directory tree becomes an archive, always the same bytes;
//! * [`pack_tree`]: any file or tree becomes one, under any name;
//! * [`changes`] and [`pack_changes`]: what differs between two trees;
//! * [`copy_tree`], [`measure`] and [`disk_usage`]: what is done with whole trees;
//! * [`copy_into`] and [`digest_of`]: a selection of a tree is copied among files that are
//!   there, and what it is as a number;
//! * [`clamp_times`]: times of a tree that are later than they may be;
//! * [`compare`]: whether a tree is still what an archive made it;
//! * [`remove_tree`], [`Trash`] and [`Scratch`]: so that nothing stays behind.
//!
//! Invariants: an archive is hostile. Nothing is ever written outside the root
//! handle, every path goes through `openat2(RESOLVE_IN_ROOT)`, nothing is
//! allocated because a header says so, and every refusal names its entry.
//!
//! This crate does not know what an image, a snapshot or Docker is.

mod apply;
mod clamp;
mod compare;
pub mod compression;
mod contents;
mod copy;
mod error;
mod measure;
mod pack;
mod remove;
mod root;
mod select;
pub mod tar;
mod trash;

pub use apply::{Applied, ApplyOptions, Owners, UnpackOptions, Whiteouts, apply, unpack};
pub use clamp::clamp_times;
pub use compare::{Difference, compare};
pub use contents::Contents;
pub use copy::copy_tree;
pub use error::Error;
pub use measure::{Measure, disk_usage, measure};
pub use pack::{
    Change, ChangeKind, Door, Mirror, PackOptions, Packed, TreeOptions, changes, pack,
    pack_changes, pack_changes_mirrored, pack_mirrored, pack_tree, upper_changes,
};
pub use remove::{Scratch, remove_tree, remove_tree_at};
pub use select::{CopyOptions, Selected, Verdict, copy_into, digest_of};
pub use trash::Trash;
