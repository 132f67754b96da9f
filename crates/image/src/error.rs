//! What can go wrong with images. The texts are Docker's where clients match
//! on them.

use std::io;
use std::path::PathBuf;

use gantry_types::{DiffId, Digest, ErrorKind, ReferenceError};

/// A failed operation on images.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name, id or prefix.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several image ids begin with this.
    #[error("image id prefix {0:?} is ambiguous")]
    Ambiguous(String),
    /// No image has this tag or digest, where nothing else is looked for.
    #[error("reference does not exist")]
    NoReference,
    /// No image has this tag, that is to be pushed.
    #[error("tag does not exist: {0}")]
    NoTag(String),
    /// A layer's blob is in no packing that will do.
    #[error("layer {0} is missing")]
    NotHere(DiffId),
    /// An image that is to be saved is for another platform.
    #[error("no suitable export target found for platform {0}")]
    ExportPlatform(String),
    /// The name does not follow the grammar.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A request that is wrong in itself; the text names what and why.
    #[error("{0}")]
    Invalid(String),
    /// Something forbids the removal of an image.
    #[error("conflict: {0}")]
    InUse(String),
    /// An entry of an archive, or a document in it, is not acceptable.
    #[error("invalid image archive: {entry}: {reason}")]
    Archive {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer could not be unpacked.
    #[error("layer {entry}: {source}")]
    Layer {
        /// The entry that holds the layer.
        entry: String,
        /// Why.
        source: gantry_archive::Error,
    },
    /// The archive itself could not be read.
    #[error(transparent)]
    Stream(#[from] gantry_archive::Error),
    /// An archive holds no image for the platform that is asked for.
    #[error("no image for platform {wanted} in {entry}: it has {have}")]
    Platform {
        /// The entry that was looked at.
        entry: String,
        /// What is asked for.
        wanted: String,
        /// What is there.
        have: String,
    },
    /// A registry says no, or cannot be asked.
    #[error(transparent)]
    Registry(#[from] gantry_registry::Error),
    /// The image is not trusted, or nobody can say.
    #[error(transparent)]
    Trust(#[from] gantry_trust::Error),
    /// What a registry gave is no image, or not the one that it says.
    #[error("{0}")]
    Manifest(String),
    /// A list of manifests has none for the platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoManifest(String),
    /// The bytes of a layer are not those that were asked for.
    #[error("filesystem layer verification failed for digest {0}")]
    NotVerified(Digest),
    /// The one who asked has gone.
    #[error("context canceled")]
    Cancelled,
    /// Known, but not supported.
    #[error("{0}")]
    Unsupported(String),
    /// A stored document cannot be read any more.
    #[error("damaged image {id}: {reason}")]
    Damaged {
        /// The image or blob.
        id: Digest,
        /// What is wrong.
        reason: String,
    },
    /// The kernel or the disk refused an operation on a file.
    #[error("image store: {operation} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The content store failed.
    #[error(transparent)]
    Content(#[from] gantry_content::Error),
    /// The storage driver failed.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshot::Error),
    /// The records could not be read or written.
    #[error(transparent)]
    Metadata(#[from] gantry_metadata::Error),
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchImage(_) | Self::NoReference | Self::NoTag(_) | Self::NoManifest(_) => {
                ErrorKind::NotFound
            }
            Self::Registry(error) => error.kind(),
            Self::Trust(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Ambiguous(_)
            | Self::Reference(_)
            | Self::Invalid(_)
            | Self::Archive { .. }
            | Self::Manifest(_)
            | Self::Platform { .. } => ErrorKind::InvalidArgument,
            Self::InUse(_) => ErrorKind::Conflict,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Damaged { .. }
            | Self::Disk { .. }
            | Self::ExportPlatform(_)
            | Self::NotHere(_)
            | Self::NotVerified(_) => ErrorKind::Internal,
            Self::Layer { source, .. } => source.kind(),
            Self::Stream(error) => error.kind(),
            Self::Content(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::Metadata(error) => error.kind(),
        }
    }

    /// For `map_err`: an operation on a path that failed.
    pub(crate) fn disk(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            operation,
            path,
            source,
        }
    }

    /// An entry that is not acceptable.
    pub(crate) fn archive(entry: impl Into<String>, reason: impl ToString) -> Self {
        Self::Archive {
            entry: entry.into(),
            reason: reason.to_string(),
        }
    }
}
