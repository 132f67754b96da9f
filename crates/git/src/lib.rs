//! Git repositories as sources of files: one commit is got, without its history, and its
//! files are written.
//!
//! ```text
//!  Source ─► Remote ── ls-refs ─► a commit's id
//!            (HTTP,  ── fetch ───► Pack ── every object's id is checked
//!             git://)                └─► checkout ─► files below a directory
//! ```
//!
//! Protocol version 2 alone: every server of the last years has it. No other program is
//! used, and nothing is kept.
//!
//! Invariants: what a server sends is hostile until checked: packets, the number and size
//! of objects, the depth of deltas and of directories, names. No link in a repository is
//! followed while its files are written, and none of them is outside the directory or
//! called `.git`. Credentials are in no text that is shown.

mod address;
mod checkout;
mod commit;
mod delta;
mod error;
mod fetch;
mod git_dir;
mod id;
mod inflate;
mod pack;
mod packet;
mod remote;
mod submodule;
#[cfg(test)]
mod testing;

pub use address::{Source, redacted};
pub use error::{Error, Result};
pub use fetch::{Checkout, Client, checkout};
pub use id::ObjectId;
#[cfg(any(fuzzing, test))]
pub use pack::{closed as closed_pack, read_all as read_pack};
