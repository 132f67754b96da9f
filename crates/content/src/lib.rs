//! Blobs by digest.
//!
//! ```text
//! content/blobs/<alg>/<hex>     complete, verified, once recorded on the disk; never changes
//! content/ingest/<random>       being written; of a dead daemon: removed at open
//! content/ingest/<random>/      scratch directories of those who unpack archives
//! content/partial/<hex>.<size>  what has come of a blob from far away, for the next try
//! ```
//!
//! Invariants: nothing is visible under its digest before all its bytes are
//! there and hash to it. Bytes come first (on the disk for good), the record in `metadata` after: a
//! file without a record is garbage, unless somebody holds its [`Blob`]. What
//! the bytes mean (layer, manifest) is not known here.

mod epoch;
mod error;
mod ingest;
mod measured;
mod partial;
mod store;
mod verify;

pub use epoch::Epoch;
pub use error::Error;
pub use ingest::{Draft, Ingest};
pub use measured::DiskUsage;
pub use partial::Partial;
pub use store::{Blob, Collected, ContentStore};
pub use verify::{Recorded, hashed};
