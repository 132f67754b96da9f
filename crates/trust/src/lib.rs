//! Who has signed an image, and whether that is enough.
//!
//! A signature is stored as cosign stores it, beside the image in its registry:
//!
//! ```text
//! <repository>:sha256-<hex of the image's digest>.sig     a manifest (`manifest`)
//!   layers[n]        application/vnd.dev.cosign.simplesigning.v1+json (`payload`)
//!     annotations    dev.cosignproject.cosign/signature: base64 of an ECDSA P-256 signature (`key`)
//! ```
//!
//! Where a rule of the policy wants it, those that cosign 3 attaches count as well
//! (`bundle`).
//!
//! A [`Policy`] says, by the longest prefix of a repository's name, whether images
//! must be signed, and by which keys. Invariants: everything that comes from a
//! registry is bounded, and believed only after a signature by a key of the
//! policy was found to be right over its exact bytes; what cannot be checked is
//! not trusted. How a registry is spoken to is known in one file (`registry`), and
//! no record is kept.

mod bundle;
mod check;
mod encrypted;
mod error;
mod key;
mod manifest;
mod payload;
mod pbes2;
mod policy;
mod registry;

pub use bundle::Envelope;
pub use check::{Seal, Signatures, Verdict};
pub use error::Error;
pub use key::{KeyId, PrivateKey, PublicKey};
pub use manifest::{
    MEDIA_TYPE as MANIFEST_MEDIA_TYPE, Signature, SignatureManifest, is_tag_of_signatures, tag_of,
};
pub use payload::Payload;
pub use policy::{Mode, Policy, Rule};

/// The most that a manifest of signatures may have.
pub const MAX_MANIFEST: usize = 1 << 20;
/// The most that one payload may have.
pub const MAX_PAYLOAD: u64 = 64 << 10;
/// How many signatures of one image are looked at.
pub const MAX_SIGNATURES: usize = 64;
