//! The words every other crate speaks: digests, references, platforms,
//! descriptors, image configurations, mounts, container ids, error kinds, sizes
//! and durations.
//!
//! Nothing here does I/O, and nothing here knows about HTTP or the kernel.

mod digest;
mod error_kind;
mod id;
mod image;
mod mount;
mod platform;
mod reference;
pub mod sort;
pub mod units;

pub use digest::{ChainId, DiffId, Digest, DigestError, Hasher};
pub use error_kind::ErrorKind;
pub use id::{ContainerId, IdError, is_hex};
pub use image::{
    Descriptor, History, ImageConfig, ImageId, Index, Manifest, ProcessConfig, RootFs, media_type,
};
pub use mount::Mount;
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError, is_repository, is_tag};
