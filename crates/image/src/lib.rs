//! Images: import, load, save, commit, resolve, list, tag, history, remove, prune.
//!
//! To begin with: [`ImageStore::open`].
//!
//! ```text
//!  archive ──spool──► unpack layers (parallel) ──sync──► commit chainIDs ──► one transaction
//!                     {hash, keep blob} {apply}                             blobs, layers, image, tags
//! ```
//!
//! Invariants: an image appears in one transaction, when all its bytes are on
//! the disk; whatever fails or dies before leaves only garbage (a scratch
//! directory, blobs without record, snapshots that nobody claims), which is
//! removed by guards or at the next open. What an operation needs meanwhile is
//! held by a [`Lease`]. An archive is hostile: its names never become paths,
//! its sizes are bounded, its digests are checked.
//!
//! This crate knows containers only as "somebody uses this image" ([`Usage`]).

mod built;
mod bundle;
mod changes;
mod check;
mod collect;
mod commit;
mod committed;
mod disk;
mod durable;
mod embedded;
mod error;
mod history;
mod image;
mod import;
mod lease;
mod leaving;
mod list;
mod load;
mod made;
mod manifest;
mod policy;
mod portable;
mod prune;
mod pull;
mod push;
mod record;
mod removals;
mod remove;
mod resolve;
mod save;
mod several;
mod squash;
mod stack;
mod store;
mod tag;
mod unpack;

pub use built::{Built, StepLayer};
pub use bundle::{
    Annotations, Attestation, Bundle, File, Finish, Part, Stored, Style, escaped, package_url,
};
pub use changes::check_signal as stop_signal;
pub use check::{CheckOptions, Checked, Finding};
pub use commit::CommitOptions;
pub use committed::committed_config;
pub use disk::{DiskUsage, ImageDisk};
pub use embedded::BuiltIn;
pub use error::Error;
pub use gantry_content::Epoch;
pub use history::HistoryEntry;
pub use image::Image;
pub use import::{ImportOptions, Imported};
pub use lease::Lease;
pub use list::{ListFilter, Summary};
pub use load::{LoadOptions, Loaded, Progress};
pub use manifest::Manifested;
pub use policy::{Expired, Policy};
pub use prune::{PruneFilter, Pruned};
pub use pull::{
    Admission, Admit, Found, LayerState, PullRequest, Pulled, Remote, Source, Step, Tell, Wanted,
};
pub use push::{LayerCompression, Packing, PushState, PushStep, Pushed};
pub use removals::Removal;
pub use remove::{ContainerUse, RemoveOptions, Removed, Usage};
pub use save::{Format, SaveOptions, Saving};
pub use store::{ImageStore, Limits};
pub use tag::{Tagged, tag_reference};

/// The result of every operation on images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Largest configuration, manifest or index document.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// Most layers of one image, as in Docker.
pub const MAX_LAYERS: usize = 127;

/// The door of the fuzz target: whether these changes (`import -c`) make sense.
#[cfg(fuzzing)]
pub fn read_changes(changes: &[String]) -> bool {
    changes::apply(Default::default(), changes).is_ok()
}
