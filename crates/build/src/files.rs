//! File operations on a snapshot, without a container: copy, unpack, make.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_archive::compression::{Decoder, Limits};
use gantry_archive::{CopyOptions, UnpackOptions, Verdict, copy_into, digest_of, unpack};
use gantry_dockerfile::{Glob, has_wildcard};
use gantry_sys::RootDir;
use gantry_types::{Digest, Hasher};
use rustix::fs::{AtFlags, FileType, Gid, Mode as FileMode, OFlags, Uid};

use crate::graph::{Copying, Ignore};
use crate::trees::{MAX_LINKS, Place, Tree, clean};
use crate::whose::{anyone, changed, who};
use crate::{Error, Result};

/// The mode of directories that are made.
const DIRECTORY: u32 = 0o755;

/// One source of a copy, found.
pub(crate) struct Chosen {
    place: Place,
    /// The name that it gets in a directory.
    base: String,
    /// The directories above it, with `--parents`.
    above: String,
}

/// Finds what a copy takes.
pub(crate) fn choose(tree: &Tree, copying: &Copying) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for source in &copying.sources {
        let (pivot, path) = pivot(source, copying.parents);
        let mut found = Vec::new();
        match has_wildcard(&path) {
            true => expand(tree, &path, copying.parents, &mut found)?,
            false => found.push(path.clone()),
        }
        let mut any = false;
        for path in found {
            let place = tree.find(&path)?.filter(|_| tree.counts(&path));
            let Some(place) = place else {
                // A link that a wildcard means, and that leads nowhere.
                if has_wildcard(source) && !copying.classic {
                    return Err(not_counted(&path));
                }
                continue;
            };
            any = true;
            let base = path.rsplit('/').next().unwrap_or_default().to_owned();
            let above = match copying.parents {
                // Which names a wildcard stands for does not matter, only how many.
                true => names(&path)
                    .skip(names(&pivot).count())
                    .collect::<Vec<_>>()
                    .join("/"),
                false => String::new(),
            };
            chosen.push(Chosen { place, base, above });
        }
        if !any && !has_wildcard(&path) {
            return Err(missing(copying, source, &path, tree.local.is_none()));
        }
    }
    if chosen.is_empty() && copying.classic {
        let text = format!("{} failed: no source files were specified", copying.verb);
        return Err(Error::Invalid(text));
    }
    Ok(chosen)
}

/// The names of a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

/// With `--parents`, what is above the part `/./` does not come along.
fn pivot(source: &str, parents: bool) -> (String, String) {
    let tidy = |text: &str| {
        let cleaned = clean(Path::new(text));
        cleaned.to_string_lossy().into_owned()
    };
    match source.split_once("/./").filter(|_| parents) {
        Some((above, below)) => (tidy(above), tidy(&format!("{above}/{below}"))),
        None => (String::new(), tidy(source)),
    }
}

fn missing(copying: &Copying, source: &str, path: &str, from_stage: bool) -> Error {
    if !copying.classic {
        return not_counted(path);
    }
    let verb = copying.verb;
    if from_stage && !has_wildcard(path) {
        let text = format!("{verb} failed: stat {path}: file does not exist");
        return Error::NotFound(text);
    }
    Error::NotFound(match has_wildcard(path) {
        true => format!("{verb} failed: no source files were specified"),
        false => format!(
            "{verb} failed: file not found in build context or excluded by .dockerignore: stat \
             {}: file does not exist",
            source.trim_start_matches('/')
        ),
    })
}

/// What BuildKit says of a path that a step needs and that is not there.
fn not_counted(path: &str) -> Error {
    let path = path.trim_start_matches('/');
    Error::NotFound(format!("{}\"/{path}\": not found", uncounted(path)))
}

/// How it begins; there the name is that of a snapshot.
fn uncounted(what: &str) -> String {
    let name = Digest::of(what.as_bytes()).hex();
    format!(
        "failed to compute cache key: failed to calculate checksum of ref {}: ",
        &name[..25]
    )
}

/// All paths that a pattern means, name by name.
fn expand(tree: &Tree, pattern: &str, parents: bool, found: &mut Vec<String>) -> Result<()> {
    let mut reached = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        if part == "**" && parents {
            reached = with_all_below(tree, reached);
            continue;
        }
        for above in &reached {
            let join = |name: &str| match above.as_str() {
                "" => name.to_owned(),
                above => format!("{above}/{name}"),
            };
            if !has_wildcard(part) {
                next.push(join(part));
                continue;
            }
            let glob =
                Glob::new(part).map_err(|error| Error::Invalid(format!("{error}: {pattern}")))?;
            for name in tree.names(above) {
                if glob.matches(&name) {
                    next.push(join(&name));
                }
            }
        }
        reached = next;
    }
    for path in reached {
        if tree.counts(&path) && tree.is_there(&path)? {
            found.push(path);
        }
    }
    Ok(())
}

/// Directories with all that are in them.
fn with_all_below(tree: &Tree, mut reached: Vec<String>) -> Vec<String> {
    let mut at = 0;
    while let Some(above) = reached.get(at).cloned() {
        for name in tree.names(&above) {
            let path = match above.as_str() {
                "" => name,
                above => format!("{above}/{name}"),
            };
            if tree.is_directory(&path) {
                reached.push(path);
            }
        }
        at += 1;
    }
    reached
}

/// What a copy takes, as a number; not where it puts it.
pub(crate) fn digest(tree: &Tree, copying: &Copying) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let exclude = excluded(copying)?;
    for chosen in choose(tree, copying)? {
        let choose = chooser(tree, &chosen.place, exclude.as_ref());
        let options = CopyOptions {
            // Whose it becomes is in the step's own words.
            owner: copying.owner.as_ref().map(|_| (0, 0)),
            mode: None,
            choose: &choose,
            mtime: None,
        };
        let (parent, name) = (&chosen.place.parent, &chosen.place.name);
        let digest = digest_of(parent, name, &options, tree.known())?;
        hasher.update(chosen.base.as_bytes());
        hasher.update(&[0]);
        hasher.update(chosen.above.as_bytes());
        hasher.update(&[0]);
        hasher.update(digest.to_string().as_bytes());
    }
    Ok(hasher.finish())
}

/// What the classic builder calls the files of a copy in the history.
pub(crate) fn classic_name(
    local: &std::sync::Arc<crate::graph::Local>,
    copying: &Copying,
) -> String {
    let Ok(root) = RootDir::open(&local.directory) else {
        return String::new();
    };
    let tree = Tree {
        root: Some(root),
        local: Some(std::sync::Arc::clone(local)),
    };
    let kind = match choose(&tree, copying).as_deref() {
        Ok([one]) if one.place.directory => "dir",
        Ok([_]) => "file",
        _ => "multi",
    };
    let number = digest(&tree, copying).map_or_else(|_| String::new(), |digest| digest.hex());
    format!("{kind}:{number}")
}

/// The files of a directory or a file that a command sees, as a number.
pub(crate) fn digest_path(tree: &Tree, path: &str) -> Result<Digest> {
    let Some(place) = tree.find(path)? else {
        return Err(not_counted(path));
    };
    let choose = chooser(tree, &place, None);
    let options = seen(tree, &choose);
    let known = tree.known();
    Ok(digest_of(&place.parent, &place.name, &options, known)?)
}

/// How a command sees files: whose they are in a client's own directory does not count.
fn seen<'c>(tree: &Tree, choose: &'c (dyn Fn(&[u8], bool) -> Verdict + Sync)) -> CopyOptions<'c> {
    let live = tree
        .local
        .as_ref()
        .is_some_and(|local| local.live.is_some());
    CopyOptions {
        owner: live.then_some((0, 0)),
        mode: None,
        choose,
        mtime: None,
    }
}

/// Copies what of a directory a command sees of it to `place` below `root`.
///
/// # Errors
/// `NotFound`, and those of the copy.
pub(crate) fn copy_seen(root: &RootDir, tree: &Tree, path: &str, place: &str) -> Result<()> {
    let found = tree.find(path)?.filter(|_| tree.counts(path));
    let found = found.ok_or_else(|| not_counted(path))?;
    let choose = chooser(tree, &found, None);
    let options = seen(tree, &choose);
    copy_into(&found.parent, &found.name, root, place.as_bytes(), &options)?;
    Ok(())
}

fn excluded(copying: &Copying) -> Result<Option<Ignore>> {
    if copying.exclude.is_empty() {
        return Ok(None);
    }
    let list = copying.exclude.join(" ");
    let wrong = |error: Error| match copying.classic {
        true => error,
        false => Error::Invalid(format!(
            "{}invalid excludepatterns: [{list}]: {error}",
            uncounted(&list)
        )),
    };
    let patterns = crate::context::patterns(copying.exclude.join("\n").as_bytes());
    patterns.map(Some).map_err(wrong)
}

fn chooser<'c>(
    tree: &'c Tree,
    place: &'c Place,
    exclude: Option<&'c Ignore>,
) -> impl Fn(&[u8], bool) -> Verdict + Sync + 'c {
    let base = place.path.clone();
    let ignore = tree.local.as_ref().and_then(|local| local.ignore.as_ref());
    move |path: &[u8], directory: bool| {
        let path = String::from_utf8_lossy(path);
        let ignored = ignore.is_some_and(|ignore| match base.as_str() {
            "" => ignore(&path),
            base => ignore(&format!("{base}/{path}")),
        });
        let excluded = exclude.is_some_and(|exclude| exclude(&path));
        match ignored || excluded {
            false => Verdict::Take,
            // An exception below it may take something in it.
            true if directory => Verdict::Leave,
            true => Verdict::LeaveAll,
        }
    }
}

/// Copies what a copy takes below `root`.
pub(crate) fn copy(root: &RootDir, tree: &Tree, copying: &Copying) -> Result<()> {
    let owner = match &copying.owner {
        Some(owner) if copying.classic => Some(who(root, owner)?),
        Some(owner) => Some(anyone(root, owner)),
        None => None,
    };
    let exclude = excluded(copying)?;
    let chosen = choose(tree, copying)?;
    let many = copying.classic && chosen.len() > 1;
    let below = copying.target.ends_with('/') || many || copying.parents;
    let mode = |old: u32, directory: bool| match &copying.mode {
        Some(mode) => changed(mode, old, directory),
        None => old,
    };
    for chosen in &chosen {
        let into = below || is_directory(root, &copying.target);
        let choose = chooser(tree, &chosen.place, exclude.as_ref());
        let options = CopyOptions {
            owner,
            mode: copying
                .mode
                .as_ref()
                .map(|_| &mode as &(dyn Fn(u32, bool) -> u32 + Sync)),
            choose: &choose,
            mtime: None,
        };
        let target = copying.target.trim_end_matches('/');
        let target = followed(root, target);
        let target = target.as_str();
        let place = match (chosen.place.directory, into) {
            _ if copying.parents => format!("{target}/{}", chosen.above),
            (false, true) => format!("{target}/{}", chosen.base),
            _ => target.to_owned(),
        };
        let place = match chosen.place.directory {
            true => place,
            false => followed(root, &place),
        };
        let above = match chosen.place.directory && !copying.parents {
            true => place.as_str(),
            false => place.rsplit_once('/').map_or("", |(above, _)| above),
        };
        // What is packed has owners of its own, which only BuildKit's --chown changes.
        let keep = copying.classic || copying.owner.as_deref().unwrap_or_default().is_empty();
        let whose = (keep, copying.classic);
        if copying.unpack
            && !chosen.place.directory
            && unpacked(root, &chosen.place, target, owner, whose)?
        {
            continue;
        }
        if chosen.place.directory && !copying.parents && is_no_directory(root, &place) {
            return Err(not_onto_file(&place));
        }
        make_directories(root, above, owner.unwrap_or((0, 0)))?;
        let (parent, name) = (&chosen.place.parent, &chosen.place.name);
        if copying.classic && !chosen.place.directory && is_directory(root, &place) {
            remove(root, &place)?;
        }
        copy_into(parent, name, root, place.as_bytes(), &options).map_err(|error| match error {
            gantry_archive::Error::OtherKind { .. } if chosen.place.directory => {
                not_onto_file(&place)
            }
            gantry_archive::Error::OtherKind { .. } => {
                Error::Failed(format!("cannot replace to directory {place} with file"))
            }
            error => Error::Archive(error),
        })?;
    }
    Ok(())
}

fn not_onto_file(place: &str) -> Error {
    Error::Failed(format!("cannot copy to non-directory: {place}"))
}

/// Whether something is there that is no directory.
fn is_no_directory(root: &RootDir, path: &str) -> bool {
    root.metadata(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory)
}

/// Removes a directory with all that is in it.
fn remove(root: &RootDir, path: &str) -> Result<()> {
    let found = root.open_parent(path);
    let (parent, name) = found.map_err(|error| Error::Failed(error.to_string()))?;
    // The handle stands for the directory; the name in it is never followed.
    let handle = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string());
    gantry_archive::remove_tree(&handle.join(name))
        .map_err(|error| Error::Failed(error.to_string()))
}

/// Where a path leads when links at its end are followed, also one to nothing.
fn followed(root: &RootDir, path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok((parent, name)) = root.open_parent(&path) else {
            break;
        };
        let Ok(link) = rustix::fs::readlinkat(&parent, &name, Vec::new()) else {
            break;
        };
        let link = link.to_string_lossy().into_owned();
        let joined = match link.starts_with('/') {
            true => link,
            false => {
                let (above, _) = path.rsplit_once('/').unwrap_or_default();
                format!("{above}/{link}")
            }
        };
        path = format!("/{}", clean(Path::new(&joined)).display());
    }
    path
}

/// Unpacks a file, if it is an archive; whether it is one. With `keep` only the
/// directory that it is unpacked in gets the owner.
pub(crate) fn unpacked(
    root: &RootDir,
    place: &Place,
    target: &str,
    owner: Option<(u32, u32)>,
    (keep, classic): (bool, bool),
) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = std::ffi::OsStr::from_bytes(&place.name);
    let open = || {
        rustix::fs::openat(&place.parent, name, flags, FileMode::empty())
            .map(File::from)
            .map_err(|errno| Error::Failed(format!("open {}: {errno}", place.path)))
    };
    if !is_archive(open()?) {
        return Ok(false);
    }
    let own = owner.filter(|_| !classic);
    make_directories(root, target, own.unwrap_or((0, 0)))?;
    let decoder = Decoder::new(open()?, Limits::default())?;
    let owners = |uid, gid| owner.filter(|_| !keep).unwrap_or((uid, gid));
    let options = UnpackOptions {
        directory: target.as_bytes().to_vec(),
        make_directory: true,
        keep_kinds: false,
        owners: Some(&owners),
        max_entries: 0,
        stay: false,
    };
    unpack(root.as_fd(), &mut BufReader::new(decoder), &options)?;
    Ok(true)
}

/// Whether a file is a tar archive, maybe compressed.
fn is_archive(file: File) -> bool {
    let Ok(decoder) = Decoder::new(file, Limits::default()) else {
        return false;
    };
    let mut reader = BufReader::new(decoder);
    matches!(
        gantry_archive::tar::Reader::new(&mut reader).next_entry(),
        Ok(Some(_))
    )
}

/// Makes a directory and what is missing above it; what is made is the owner's.
pub(crate) fn make_directories(root: &RootDir, path: &str, owner: (u32, u32)) -> Result<()> {
    let mut reached = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        reached = format!("{reached}/{part}");
        if is_directory(root, &reached) {
            continue;
        }
        let fail =
            |error: &dyn std::fmt::Display| Error::Failed(format!("mkdir {reached}: {error}"));
        let made = root
            .mkdir_all(&reached, FileMode::from_raw_mode(DIRECTORY))
            .map_err(|error| match error.errno {
                rustix::io::Errno::NOTDIR | rustix::io::Errno::EXIST => fail(&"not a directory"),
                errno => fail(&errno),
            })?;
        if owner != (0, 0) {
            rustix::fs::chownat(
                &made,
                "",
                Some(Uid::from_raw(owner.0)),
                Some(Gid::from_raw(owner.1)),
                AtFlags::EMPTY_PATH,
            )
            .map_err(|errno| fail(&errno))?;
        }
    }
    Ok(())
}

/// Removes what was made for mounts, as far as it is still empty.
pub(crate) fn remove_stubs(root: &RootDir, stubs: &[String]) {
    for stub in stubs {
        let Ok((parent, name)) = root.open_parent(stub) else {
            continue;
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let Ok(stat) = rustix::fs::statat(&parent, &name, flags) else {
            continue;
        };
        let removed = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR),
            FileType::RegularFile if stat.st_size == 0 => {
                rustix::fs::unlinkat(&parent, &name, AtFlags::empty())
            }
            _ => Ok(()),
        };
        if let Err(errno) = removed {
            tracing::debug!(stub, %errno, "what was made for a mount stays in a layer");
        }
    }
}

/// Makes a file with known contents.
pub(crate) fn make_file(
    root: &RootDir,
    path: &str,
    bytes: &[u8],
    owner: (u32, u32),
    mode: u32,
) -> Result<()> {
    let fail = |error: &dyn std::fmt::Display| Error::Failed(format!("write {path}: {error}"));
    let (above, _) = path.rsplit_once('/').unwrap_or_default();
    make_directories(root, above, owner)?;
    let (parent, name) = root.open_parent(path).map_err(|error| fail(&error.errno))?;
    match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(fail(&errno)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = rustix::fs::openat(&parent, &name, flags, FileMode::from_raw_mode(0o600))
        .map(File::from)
        .map_err(|errno| fail(&errno))?;
    file.write_all(bytes).map_err(|error| fail(&error))?;
    rustix::fs::fchown(
        &file,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )
    .and_then(|()| rustix::fs::fchmod(&file, FileMode::from_raw_mode(mode)))
    .map_err(|errno| fail(&errno))
}

pub(crate) fn is_directory(root: &RootDir, path: &str) -> bool {
    let path = match path.trim_matches('/') {
        "" => ".",
        path => path,
    };
    root.metadata(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
