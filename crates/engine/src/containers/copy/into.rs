//! Into a container: an archive is unpacked into one of its directories.

use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

use gantry_archive::compression::{Compression, Decoder, Limits};
use gantry_archive::{Error as ArchiveError, UnpackOptions, unpack};
use gantry_runtime::UserRequest;
use gantry_sys::{Errno, RootDir};
use rustix::fs::FileType;

use super::super::Containers;
use super::super::mounts::Mounted;
use super::super::record::Record;
use super::super::view::{Seen, View, on_a_thread};
use super::path::{Words, resolve};
use super::{failed, missing};
use crate::error::{Error, Result};

/// The longest `passwd` or `group` that is read.
const MAX_FILE: u64 = 10 << 20;
/// How much is decompressed at a time.
const BUFFER: usize = 256 << 10;

/// Where an archive is unpacked, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnpackQuery {
    /// The directory.
    pub path: String,
    /// Whether a directory and something else may not replace each other.
    pub keep_kinds: bool,
    /// Whether everything is to belong to the container's user.
    pub to_user: bool,
}

impl Containers {
    /// Unpacks an archive (`tar`, maybe compressed) into a directory of a container.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotFound` for the directory; `Invalid` for what is no
    /// directory, or read-only; `Failed` for what is wrong with the archive.
    pub fn upload(
        &self,
        idref: &str,
        query: &UnpackQuery,
        body: impl BufRead + Send,
    ) -> Result<()> {
        let container = self.inner.find(idref)?;
        let view = self.inner.view(&container, Seen::Everything)?;
        let words = Words::of(&query.path);
        let fail = |errno| match errno {
            Errno::NOENT => missing(&query.path, idref),
            errno => failed("lstat", &words.shown, errno),
        };
        let place = place(view.root(), &words).map_err(fail)??;
        let record = container.record();
        check_writable(&record, &place, view.is_running())?;
        let user = match query.to_user {
            true => owner(view.root(), &record)?,
            false => None,
        };
        let owners = |uid, gid| {
            let (uid, gid) = user.unwrap_or((uid, gid));
            view.on_host(uid, gid)
        };
        let options = UnpackOptions {
            directory: place.clone().into_bytes(),
            make_directory: false,
            keep_kinds: query.keep_kinds,
            owners: Some(&owners),
            max_entries: 0,
            stay: false,
        };
        let unpacked = match view.maker() {
            None => unpack_body(&view, body, &options),
            Some(maker) => unpack_as(maker, || unpack_body(&view, body, &options)),
        };
        unpacked.map_err(|error| told(error, &place))?;
        self.inner.publish(&container, "extract-to-dir", &[]);
        Ok(())
    }
}

/// Where a path leads, if that is a directory.
fn place(root: &RootDir, words: &Words) -> Result<Result<String>, Errno> {
    let stat = root.metadata(&words.clean).map_err(|error| error.errno)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return match words.directory {
            true => Err(Errno::NOTDIR),
            false => Ok(Err(Error::Invalid(
                "extraction point is not a directory".to_owned(),
            ))),
        };
    }
    resolve(root, &words.clean).map(Ok)
}

/// Checks that the container may write where the archive goes. Memory that only a
/// running container has is its own, whatever its root is.
fn check_writable(record: &Record, place: &str, running: bool) -> Result<()> {
    let below = |target: &str| {
        let rest = place.strip_prefix(target);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let points = record.mounts.iter().filter(|point| below(&point.target));
    let nearest = points.max_by_key(|point| point.target.len());
    let refuse = |text: &str| Err(Error::Invalid(text.to_owned()));
    match nearest {
        Some(point) if matches!(point.what, Mounted::Tmpfs(_)) && !running => {}
        Some(point) if point.read_only => return refuse("mounted volume is marked read-only"),
        Some(_) => return Ok(()),
        None => {}
    }
    match record.host_config.readonly_rootfs {
        true => refuse("container rootfs is marked read-only"),
        false => Ok(()),
    }
}

/// The numbers of the container's user, by its own files.
fn owner(root: &RootDir, record: &Record) -> Result<Option<(u32, u32)>> {
    let user = record.config.user.as_str();
    if user.is_empty() {
        return Ok(None);
    }
    let read = |path: &str| {
        let bytes = root.read(path, MAX_FILE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let request = UserRequest { user, groups: &[] };
    gantry_runtime::check_user(&request, &read("etc/passwd"), &read("etc/group"))
        .map(Some)
        .map_err(|_| {
            Error::Failed(format!(
                "unable to find user {user}: no matching entries in passwd file"
            ))
        })
}

/// Works on a thread whose files belong to `maker`.
fn unpack_as(
    (uid, gid): (u32, u32),
    work: impl FnOnce() -> Result<(), ArchiveError> + Send,
) -> Result<(), ArchiveError> {
    let failed = |errno: Errno| ArchiveError::Write {
        source: errno.into(),
    };
    on_a_thread(|| {
        gantry_sys::make_files_as(uid, gid).map_err(failed)?;
        work()
    })
    .map_err(failed)?
}

fn unpack_body(
    view: &View,
    mut body: impl BufRead,
    options: &UnpackOptions<'_>,
) -> Result<(), ArchiveError> {
    let read = |source: io::Error| ArchiveError::Read { source };
    let head = body.fill_buf().map_err(read)?;
    let root = view.root().as_fd();
    // What is not compressed goes from the client's pieces into files at once.
    if head.len() >= Compression::MAGIC_LENGTH && Compression::detect(head) == Compression::None {
        return unpack(root, &mut body, options);
    }
    let decoder = Decoder::new(body, Limits::default())?;
    unpack(
        root,
        &mut BufReader::with_capacity(BUFFER, decoder),
        options,
    )
}

/// A failure of an upload in Docker's words, where it has some.
fn told(error: ArchiveError, place: &str) -> Error {
    Error::Failed(match error {
        ArchiveError::Truncated { .. } => "unexpected EOF".to_owned(),
        ArchiveError::OtherKind { .. } => format!("{error} {place:?}"),
        error => error.to_string(),
    })
}
