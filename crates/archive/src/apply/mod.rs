//! A layer archive becomes a directory tree.
//!
//! Two threads share the work: the caller's reads, decompresses and hashes,
//! the other one ([`extract`]) parses the tar stream and makes files. Pieces
//! of [`pipeline::PIECE`] bytes go from one to the other and are written to
//! files without being copied again.

mod attributes;
mod extract;
mod pipeline;
mod unpack;
mod whiteout;

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use gantry_types::DiffId;

use crate::compression::{Decoder, Limits};
use crate::error::Error;

pub(crate) use attributes::{
    DEFAULT_ACL, Node, is_wanted, list, path_of, set_default_acl, set_on_node, set_time, tolerate,
};
pub(crate) use extract::Extractor;
pub use unpack::{Owners, UnpackOptions, unpack};
pub(crate) use whiteout::{OPAQUE, OPAQUE_XATTR, PREFIX};

/// How the whiteouts of a layer (OCI image spec, "Whiteouts") are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// As overlayfs has them: a character device 0/0 for a hidden name,
    /// `trusted.overlay.opaque=y` on a directory that hides what is below it.
    Overlay,
    /// By removing what they hide from the tree that is there.
    Remove,
    /// Not at all: they are files like any other (root file system archives).
    Literal,
}

/// What [`apply`] is allowed and asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOptions {
    /// How whiteouts are written.
    pub whiteouts: Whiteouts,
    /// Bounds of the decompressed stream.
    pub limits: Limits,
    /// Most entries in the archive.
    pub max_entries: u64,
}

impl ApplyOptions {
    /// Default limits: one tebibyte, 16 million entries.
    pub fn new(whiteouts: Whiteouts) -> Self {
        Self {
            whiteouts,
            limits: Limits::default(),
            max_entries: 16 << 20,
        }
    }
}

/// What was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the uncompressed stream to its very end.
    pub diff_id: DiffId,
    /// Sum of the sizes of all regular files and links, as in `docker history`.
    pub size: u64,
    /// Number of entries.
    pub entries: u64,
    /// Length of the uncompressed stream.
    pub stream_bytes: u64,
}

/// Applies the layer archive in `reader`, compressed or not, to the directory
/// `target`. Reads `reader` to its very end, also behind the archive.
///
/// A symbolic link may say anything: it is made as it is, and whoever follows it
/// does so inside the root, like everybody here.
///
/// Later entries replace earlier ones of the same name; a directory that meets
/// a directory is merged with it. A leading `/` is dropped.
///
/// # Errors
/// Any [`Error`], naming the entry; the tree is then incomplete and to be
/// removed by the caller, for which there is [`crate::Scratch`]. Refused are
/// names and hard links that leave the root by `..`, hard links to what is not
/// in the tree, devices behind symbolic links, and whatever the kernel
/// refuses.
pub fn apply(
    reader: impl Read,
    target: impl AsFd,
    options: &ApplyOptions,
) -> Result<Applied, Error> {
    apply_decoded(
        Decoder::new(reader, options.limits)?,
        target.as_fd(),
        options,
    )
}

fn apply_decoded(
    decoder: Decoder<'_>,
    target: BorrowedFd<'_>,
    options: &ApplyOptions,
) -> Result<Applied, Error> {
    let extractor = Extractor::new(target, options)?;
    let (totals, stream) = pipeline::run(decoder, |pieces| extractor.run(pieces))?;
    Ok(Applied {
        diff_id: DiffId(stream.digest),
        size: totals.size,
        entries: totals.entries,
        stream_bytes: stream.length,
    })
}
