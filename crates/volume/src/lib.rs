//! Volumes: directories with a name, which outlive the containers that use them.
//!
//! ```text
//! <root>/NAME/_data      what containers see
//! <root>/NAME/_fill      becomes `_data` when it is complete (see `fill`)
//! <root>/.making/…       copies and imports on the way in
//! <root>/.trash/…        on the way out
//! ```
//!
//! Invariants: a volume is its row in the database. A directory is made before its
//! row is written, and moved away after it is deleted; one without a row is
//! removed at the next start. Who uses a volume is told by the users' own records:
//! a volume that is made for a user gets its row in the transaction that writes
//! the user's, and one that goes with its last user loses it in the transaction
//! that deletes the user's. So no crash leaves one that nobody knows, and none
//! takes one that somebody uses.
//!
//! Volumes of plug-ins have a row as well, and their files where the plug-in has them.
//!
//! This crate mounts nothing, and does not know what a container is: a user is a
//! text.

mod copies;
mod driver;
mod error;
mod fill;
mod local;
mod mounts;
mod name;
mod plugged;
mod plugin;
mod quota;
mod store;
mod turns;
mod volume;

pub use copies::{Reading, SNAPSHOT_OF, copy};
pub use driver::{Found, Pairs, VolumeDriver};
pub use error::Error;
pub use local::Backing;
pub use mounts::Leaving;
pub use plugged::Seen;
#[cfg(fuzzing)]
pub use plugin::read_answer as read_plugin_answer;
pub use plugin::{Patience, PluginFolders};
pub use store::{Listed, VolumeStore, Wanted};
pub use volume::{ANONYMOUS, DRIVER, Volume};

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
