//! File operations on a snapshot, without a container: copy, unpack, make.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_archive::compression::{Decoder, Limits};
use gantry_archive::{CopyOptions, UnpackOptions, Verdict, copy_into, digest_of, unpack};
use gantry_dockerfile::{Glob, has_wildcard};
use gantry_runtime::UserRequest;
use gantry_sys::RootDir;
use gantry_types::{Digest, Hasher};
use rustix::fs::{AtFlags, FileType, Gid, Mode as FileMode, OFlags, Uid};

use crate::graph::{Copying, Ignore, Mode};
use crate::trees::{Place, Tree, clean};
use crate::{Error, Result};

/// The longest `passwd` or `group` that is read.
const MAX_FILE: u64 = 10 << 20;
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
            true => expand(tree, &path, &mut found)?,
            false => found.push(path.clone()),
        }
        let mut any = false;
        for path in found {
            let place = tree.find(&path)?.filter(|_| tree.counts(&path));
            let Some(place) = place else { continue };
            any = true;
            let base = path.rsplit('/').next().unwrap_or_default().to_owned();
            let above = match (copying.parents, path.strip_prefix(pivot.as_str())) {
                (true, Some(rest)) => rest.trim_start_matches('/').to_owned(),
                _ => String::new(),
            };
            chosen.push(Chosen { place, base, above });
        }
        if !any && (copying.classic || !has_wildcard(&path)) {
            return Err(missing(copying, source, &path));
        }
    }
    if chosen.is_empty() && copying.classic {
        let text = format!("{} failed: no source files were specified", copying.verb);
        return Err(Error::Invalid(text));
    }
    Ok(chosen)
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

fn missing(copying: &Copying, source: &str, path: &str) -> Error {
    if !copying.classic {
        let text = format!(
            "failed to compute cache key: failed to calculate checksum of ref: \"/{path}\": not found"
        );
        return Error::NotFound(text);
    }
    let verb = copying.verb;
    Error::NotFound(match has_wildcard(path) {
        true => format!("{verb} failed: no source files were specified"),
        false => format!(
            "{verb} failed: file not found in build context or excluded by .dockerignore: stat \
             {}: file does not exist",
            source.trim_start_matches('/')
        ),
    })
}

/// All paths that a pattern means, name by name.
fn expand(tree: &Tree, pattern: &str, found: &mut Vec<String>) -> Result<()> {
    let mut reached = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
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
        if tree.find(&path)?.is_some() && tree.counts(&path) {
            found.push(path);
        }
    }
    Ok(())
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
        let digest = digest_of(&chosen.place.parent, &chosen.place.name, &options)?;
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
pub(crate) fn digest_path(tree: &Tree, path: &str) -> Result<Option<Digest>> {
    let Some(place) = tree.find(path)? else {
        return Ok(None);
    };
    let choose = chooser(tree, &place, None);
    let options = CopyOptions {
        owner: None,
        mode: None,
        choose: &choose,
        mtime: None,
    };
    Ok(Some(digest_of(&place.parent, &place.name, &options)?))
}

fn excluded(copying: &Copying) -> Result<Option<Ignore>> {
    if copying.exclude.is_empty() {
        return Ok(None);
    }
    crate::context::patterns(copying.exclude.join("\n").as_bytes()).map(Some)
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
        Some(owner) => Some(who(root, owner)?),
        None => None,
    };
    let exclude = excluded(copying)?;
    let chosen = choose(tree, copying)?;
    let is_directory = copying.target.ends_with('/')
        || chosen.len() > 1
        || copying.parents
        || is_directory(root, &copying.target);
    let mode = |old: u32, directory: bool| match &copying.mode {
        Some(mode) => changed(mode, old, directory),
        None => old,
    };
    for chosen in &chosen {
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
        let place = match (chosen.place.directory, is_directory) {
            _ if copying.parents => format!("{target}/{}", chosen.above),
            (false, true) => format!("{target}/{}", chosen.base),
            _ => target.to_owned(),
        };
        let above = match chosen.place.directory && !copying.parents {
            true => place.as_str(),
            false => place.rsplit_once('/').map_or("", |(above, _)| above),
        };
        make_directories(root, above, owner.unwrap_or((0, 0)))?;
        // What is packed has owners of its own, which only BuildKit's --chown changes.
        let keep = copying.classic || copying.owner.as_deref().unwrap_or_default().is_empty();
        if copying.unpack && !chosen.place.directory && unpacked(root, chosen, target, owner, keep)?
        {
            continue;
        }
        let (parent, name) = (&chosen.place.parent, &chosen.place.name);
        copy_into(parent, name, root, place.as_bytes(), &options).map_err(|error| match error {
            gantry_archive::Error::OtherKind { .. } if chosen.place.directory => {
                Error::Failed(format!("cannot copy to non-directory: {place}"))
            }
            gantry_archive::Error::OtherKind { .. } => {
                Error::Failed(format!("cannot overwrite directory {place} with a file"))
            }
            error => Error::Archive(error),
        })?;
    }
    Ok(())
}

/// Unpacks a file, if it is an archive; whether it is one. With `keep` only the
/// directory that it is unpacked in gets the owner.
fn unpacked(
    root: &RootDir,
    chosen: &Chosen,
    target: &str,
    owner: Option<(u32, u32)>,
    keep: bool,
) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = std::ffi::OsStr::from_bytes(&chosen.place.name);
    let open = || {
        rustix::fs::openat(&chosen.place.parent, name, flags, FileMode::empty())
            .map(File::from)
            .map_err(|errno| Error::Failed(format!("open {}: {errno}", chosen.place.path)))
    };
    if !is_archive(open()?) {
        return Ok(false);
    }
    make_directories(root, target, owner.unwrap_or((0, 0)))?;
    let decoder = Decoder::new(open()?, Limits::default())?;
    let owners = |uid, gid| owner.filter(|_| !keep).unwrap_or((uid, gid));
    let options = UnpackOptions {
        directory: target.as_bytes().to_vec(),
        keep_kinds: false,
        owners: Some(&owners),
        max_entries: 0,
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
            .map_err(|error| fail(&error.errno))?;
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

/// The numbers of `user[:group]` by the files of the tree.
pub(crate) fn who(root: &RootDir, owner: &str) -> Result<(u32, u32)> {
    if owner.is_empty() {
        return Ok((0, 0));
    }
    // Without a user it is root's, whatever the group.
    let whole;
    let owner = match owner.strip_prefix(':') {
        Some(group) => {
            whole = format!("0:{group}");
            whole.as_str()
        }
        None => owner,
    };
    let read = |path: &str| {
        let bytes = root.read(path, MAX_FILE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let request = UserRequest {
        user: owner,
        groups: &[],
    };
    let found = gantry_runtime::check_user(&request, &read("etc/passwd"), &read("etc/group"));
    // A number alone is the group's number too.
    let group = owner.parse::<u32>().ok().filter(|_| !owner.contains(':'));
    found
        .map(|(uid, gid)| (uid, group.unwrap_or(gid)))
        .map_err(|_| {
            let user = owner.split(':').next().unwrap_or_default();
            Error::Failed(format!(
                "unable to convert uid/gid chown string to host mapping: can't find uid for user \
                 {user}: no such user: {user}"
            ))
        })
}

/// The permissions that `mode` makes of old ones.
pub(crate) fn changed(mode: &Mode, old: u32, directory: bool) -> u32 {
    match mode {
        Mode::Octal(mode) => *mode,
        Mode::Symbolic(text) => symbolic(text, old, directory).unwrap_or(old),
    }
}

/// As `chmod` has it; `None` for what is wrong.
pub(crate) fn symbolic(text: &str, old: u32, directory: bool) -> Option<u32> {
    let mut mode = old;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let (people, rest) = clause.split_at(at);
        let mut who = 0;
        for c in people.chars() {
            who |= match c {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                'a' => 0o7777,
                _ => return None,
            };
        }
        if people.is_empty() {
            who = 0o7777;
        }
        let (operator, letters) = rest.split_at(1);
        let mut bits = 0;
        for c in letters.chars() {
            bits |= match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if directory || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            };
        }
        let bits = bits & who;
        mode = match operator {
            "+" => mode | bits,
            "-" => mode & !bits,
            _ => (mode & !(who & 0o777)) | bits,
        };
    }
    Some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_changes_them() {
        for (text, old, directory, new) in [
            ("u+x", 0o644, false, Some(0o744)),
            ("go=r", 0o777, false, Some(0o744)),
            ("a+X", 0o644, false, Some(0o644)),
            ("a+X", 0o644, true, Some(0o755)),
            ("u=rwX,go=rX", 0o600, true, Some(0o755)),
            ("-w", 0o666, false, Some(0o444)),
            ("u~x", 0o644, false, None),
        ] {
            assert_eq!(symbolic(text, old, directory), new, "{text}");
        }
    }
}
