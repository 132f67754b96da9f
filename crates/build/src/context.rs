//! What a build is given to work on: archives received into a directory, and ignore
//! files.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use gantry_archive::compression::{Compression, Decoder, Limits};
use gantry_archive::{UnpackOptions, unpack};
use gantry_dockerfile::ignore::Patterns;
use gantry_sys::RootDir;

use crate::graph::{Ignore, Local};
use crate::trees::Tree;
use crate::{Error, Result, files};

/// Most entries of a context.
const MAX_ENTRIES: u64 = 16 << 20;
/// The largest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;
/// How much is looked at to tell archives from texts.
const HEAD: u64 = 512;
/// How much is decompressed at a time.
const BUFFER: usize = 256 << 10;

/// Unpacks an archive (`tar`, maybe compressed) into an empty directory. All is owned
/// by root then: whose the files are on the client does not count.
///
/// # Errors
/// `Invalid` for what is no archive, or leaves the directory.
pub fn receive(body: impl BufRead + Send, directory: &Path) -> Result<()> {
    let root =
        std::fs::File::open(directory).map_err(|error| Error::io("open", directory, &error))?;
    let owners = |_, _| (0, 0);
    let options = UnpackOptions {
        directory: Vec::new(),
        make_directory: false,
        keep_kinds: false,
        owners: Some(&owners),
        max_entries: MAX_ENTRIES,
        // As in Docker: such a name means a file of the context.
        stay: true,
    };
    let refused = |error: gantry_archive::Error| {
        Error::Invalid(format!("Error processing tar file(exit status 1): {error}"))
    };
    let mut body = body;
    let head = body
        .fill_buf()
        .map_err(|error| Error::Failed(format!("reading the build context: {error}")))?;
    if head.is_empty() {
        return Ok(());
    }
    if head.len() >= Compression::MAGIC_LENGTH && Compression::detect(head) == Compression::None {
        return unpack(root.as_fd(), &mut body, &options).map_err(refused);
    }
    let decoder = Decoder::new(body, Limits::default()).map_err(refused)?;
    let mut reader = BufReader::with_capacity(BUFFER, decoder);
    unpack(root.as_fd(), &mut reader, &options).map_err(refused)
}

/// Unpacks an archive as [`receive`]; a text is a Dockerfile.
///
/// # Errors
/// Those of [`receive`].
pub fn receive_any(mut body: impl BufRead + Send, directory: &Path) -> Result<()> {
    let failed = |error| Error::Failed(format!("reading the build context: {error}"));
    let mut head = Vec::new();
    body.by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(failed)?;
    // Archives of old have no name of their kind, but zeroes.
    let archive = head.is_empty() || head.contains(&0) || is_archive(&head);
    let body = head.chain(body);
    if archive {
        return receive(body, directory);
    }
    let mut text = Vec::new();
    let mut body = body.take(MAX_DOCKERFILE + 1);
    body.read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_DOCKERFILE {
        return Err(Error::Invalid("the Dockerfile is too large".to_owned()));
    }
    let path = directory.join("Dockerfile");
    std::fs::write(&path, text).map_err(|error| Error::io("write", &path, &error))
}

/// Copies what of a part of a directory a command may see into an empty directory `target`,
/// by the name `name`.
///
/// # Errors
/// `NotFound`, and those of the copy.
pub fn copy_part(local: &Arc<Local>, part: &str, target: &Path, name: &str) -> Result<()> {
    let open = |path: &Path| RootDir::open(path).map_err(|error| Error::Failed(error.to_string()));
    let tree = Tree {
        root: Some(open(&local.directory)?),
        local: Some(Arc::clone(local)),
    };
    files::copy_seen(&open(target)?, &tree, part.trim_matches('/'), name)
}

/// Whether bytes begin an archive, maybe a compressed one.
fn is_archive(head: &[u8]) -> bool {
    let compressed =
        head.len() >= Compression::MAGIC_LENGTH && Compression::detect(head) != Compression::None;
    compressed || head.get(257..262).is_some_and(|magic| magic == b"ustar")
}

/// What the lines of an ignore file mean.
///
/// # Errors
/// `Invalid` for a wrong pattern.
pub fn patterns(text: &[u8]) -> Result<Ignore> {
    let patterns = Patterns::parse(text).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(Arc::new(move |path: &str| patterns.is_ignored(path)))
}
