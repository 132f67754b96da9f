//! File operations of definitions that clients send (LLB): as `cp`, `mkdir`, `rm` and `ln`
//! with the options that are told, and nothing else.

use std::path::Path;

use gantry_archive::{CopyOptions, Verdict, copy_into, digest_of, remove_tree_at};
use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::{Glob, has_wildcard};
use gantry_sys::RootDir;
use gantry_types::{Digest, Hasher};
use rustix::fs::{AtFlags, FileType, Gid, Mode as FileMode, OFlags, Timespec, Timestamps, Uid};

use crate::files;
use crate::graph::{Plain, PlainCopy};
use crate::trees::{Place, Tree, clean};
use crate::whose::{changed, who};
use crate::{Error, Result};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Does one; `tree` is what a copy takes from.
pub(crate) fn act(root: &RootDir, plain: &Plain, tree: Option<&Tree>) -> Result<()> {
    match plain {
        Plain::Copy(wish) => match tree {
            Some(tree) => copy(root, tree, wish),
            None => Err(missing(&wish.source)),
        },
        Plain::Directory {
            path,
            mode,
            parents,
            owner,
            time,
        } => directory(root, path, *mode, *parents, (owner.as_deref(), *time)),
        Plain::File {
            path,
            mode,
            bytes,
            owner,
            time,
        } => file(root, path, *mode, bytes, (owner.as_deref(), *time)),
        Plain::Link {
            to,
            path,
            owner,
            time,
        } => {
            let failed = |errno| fail("symlink", path, errno);
            let (parent, name) = parent(root, path, "symlink")?;
            rustix::fs::symlinkat(to, &parent, &name).map_err(failed)?;
            settle(root, &parent, &name, path, (owner.as_deref(), *time))
        }
        Plain::Remove {
            path,
            missing,
            wildcard,
        } => remove(root, path, *missing, *wildcard),
    }
}

/// Whose something becomes, and when it was changed.
type Marks<'m> = (Option<&'m str>, Option<i64>);

fn fail(what: &str, path: &str, errno: rustix::io::Errno) -> Error {
    let text = match errno {
        rustix::io::Errno::NOENT => "no such file or directory".to_owned(),
        rustix::io::Errno::EXIST => "file exists".to_owned(),
        rustix::io::Errno::NOTDIR => "not a directory".to_owned(),
        errno => errno.to_string(),
    };
    Error::Failed(format!("{what} {path}: {text}"))
}

fn missing(source: &str) -> Error {
    Error::NotFound(format!("lstat {source}: no such file or directory"))
}

/// The directory that a path is in, whose links are followed inside the root.
fn parent(
    root: &RootDir,
    path: &str,
    what: &str,
) -> Result<(std::os::fd::OwnedFd, std::ffi::OsString)> {
    let clean = clean(Path::new(path));
    root.open_parent(&clean)
        .map_err(|error| fail(what, path, error.errno))
}

fn settle(
    root: &RootDir,
    parent: &std::os::fd::OwnedFd,
    name: &std::ffi::OsStr,
    path: &str,
    (owner, time): Marks<'_>,
) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if let Some(owner) = owner {
        let (uid, gid) = who(root, owner)?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)
            .map_err(|errno| fail("chown", path, errno))?;
    }
    if let Some(time) = time {
        let time = Timespec {
            tv_sec: time.div_euclid(SECOND),
            tv_nsec: time.rem_euclid(SECOND),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(parent, name, &times, flags)
            .map_err(|errno| fail("utimes", path, errno))?;
    }
    Ok(())
}

fn directory(root: &RootDir, path: &str, mode: u32, parents: bool, marks: Marks<'_>) -> Result<()> {
    let whole = clean(Path::new(path));
    let mut reached = std::path::PathBuf::new();
    let count = whole.components().count();
    for (number, part) in whole.components().enumerate() {
        reached.push(part);
        let last = number + 1 == count;
        if !last && !parents {
            continue;
        }
        let shown = format!("/{}", reached.display());
        if parents && files::is_directory(root, &shown) {
            continue;
        }
        let (parent, name) = parent(root, &shown, "mkdir")?;
        let failed = |errno| fail("mkdir", &shown, errno);
        let mode = FileMode::from_raw_mode(mode & 0o7777);
        rustix::fs::mkdirat(&parent, &name, mode).map_err(failed)?;
        rustix::fs::chmodat(&parent, &name, mode, AtFlags::empty()).map_err(failed)?;
        settle(root, &parent, &name, &shown, marks)?;
    }
    Ok(())
}

fn file(root: &RootDir, path: &str, mode: u32, bytes: &[u8], marks: Marks<'_>) -> Result<()> {
    let (parent, name) = parent(root, path, "open")?;
    let failed = |errno| fail("open", path, errno);
    match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&parent, &name, flags, FileMode::from_raw_mode(0o600));
    let mut file = opened.map(std::fs::File::from).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes)
        .map_err(|error| Error::Failed(format!("write {path}: {error}")))?;
    rustix::fs::fchmod(&file, FileMode::from_raw_mode(mode & 0o7777)).map_err(failed)?;
    settle(root, &parent, &name, path, marks)
}

fn remove(root: &RootDir, path: &str, may_miss: bool, wildcard: bool) -> Result<()> {
    let whole = clean(Path::new(path));
    if whole.as_os_str().is_empty() {
        return Err(Error::Invalid("rm /: the root stays".to_owned()));
    }
    let (parent, name) = match parent(root, path, "rm") {
        Ok(found) => found,
        Err(_) if may_miss => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut names = vec![name.to_string_lossy().into_owned()];
    if wildcard && has_wildcard(&names[0]) {
        let glob = Glob::new(&names[0]).map_err(|error| Error::Invalid(error.to_string()))?;
        let above = whole.parent().unwrap_or(Path::new(""));
        let tree = Tree::of(root)?;
        names = tree.names(&above.to_string_lossy());
        names.retain(|name| glob.matches(name));
        if names.is_empty() && !may_miss {
            return Err(fail("rm", path, rustix::io::Errno::NOENT));
        }
    }
    for name in names {
        let stat = rustix::fs::statat(&parent, name.as_str(), AtFlags::SYMLINK_NOFOLLOW);
        match stat {
            Err(rustix::io::Errno::NOENT) if may_miss => continue,
            Err(errno) => return Err(fail("rm", path, errno)),
            Ok(_) => remove_tree_at(&parent, name.as_bytes())?,
        }
    }
    Ok(())
}

/// The sources of a copy, found.
fn choose(tree: &Tree, wish: &PlainCopy) -> Result<Vec<Place>> {
    let source = clean(Path::new(&wish.source));
    let source = source.to_string_lossy().into_owned();
    let pattern = wish.wildcard && has_wildcard(&source);
    let mut reached = vec![String::new()];
    if pattern {
        for part in source.split('/').filter(|part| !part.is_empty()) {
            let glob = Glob::new(part).map_err(|error| Error::Invalid(error.to_string()))?;
            let mut next = Vec::new();
            for above in &reached {
                let join = |name: &str| format!("{above}/{name}");
                match has_wildcard(part) {
                    false => next.push(join(part)),
                    true => {
                        let names = tree.names(above).into_iter();
                        next.extend(
                            names
                                .filter(|name| glob.matches(name))
                                .map(|name| join(&name)),
                        );
                    }
                }
            }
            reached = next;
        }
    } else {
        reached = vec![source];
    }
    let mut found = Vec::new();
    for path in reached {
        let place = match wish.follow {
            true => tree.find(&path)?,
            false => tree.find_itself(&path)?,
        };
        found.extend(place.filter(|place| tree.counts(&place.path)));
    }
    match found.is_empty() && !(pattern && wish.empty) {
        true if pattern => Err(Error::NotFound(format!(
            "no matches found: {}",
            wish.source
        ))),
        true => Err(missing(&wish.source)),
        false => Ok(found),
    }
}

/// Says of each path in a source whether it comes along.
struct Choice<'c> {
    tree: &'c Tree,
    include: Option<Patterns>,
    exclude: Option<Patterns>,
}

impl<'c> Choice<'c> {
    fn of(tree: &'c Tree, wish: &PlainCopy) -> Result<Self> {
        let patterns = |texts: &[String]| match texts {
            [] => Ok(None),
            texts => Patterns::new(texts)
                .map(Some)
                .map_err(|error| Error::Invalid(error.to_string())),
        };
        Ok(Self {
            tree,
            include: patterns(&wish.include)?,
            exclude: patterns(&wish.exclude)?,
        })
    }

    fn verdict(&self, place: &Place, path: &[u8], directory: bool) -> Verdict {
        let path = String::from_utf8_lossy(path);
        let whole = match place.path.as_str() {
            "" => path.to_string(),
            above => format!("{above}/{path}"),
        };
        let matched = |patterns: &Option<Patterns>| {
            patterns.as_ref().map(|patterns| patterns.is_ignored(&path))
        };
        let out = matched(&self.exclude) == Some(true) || matched(&self.include) == Some(false);
        match out || !self.tree.counts(&whole) {
            false => Verdict::Take,
            // Something in it may come along.
            true if directory => Verdict::Leave,
            true => Verdict::LeaveAll,
        }
    }
}

/// What a copy takes, as a number.
pub(crate) fn digest(tree: &Tree, wish: &PlainCopy) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let choice = Choice::of(tree, wish)?;
    for place in choose(tree, wish)? {
        let choose = |path: &[u8], directory| choice.verdict(&place, path, directory);
        let options = CopyOptions {
            owner: wish.owner.as_ref().map(|_| (0, 0)),
            mode: None,
            choose: &choose,
            mtime: None,
        };
        let digest = digest_of(&place.parent, &place.name, &options, tree.known())?;
        hasher.update(&place.name);
        hasher.update(&[0]);
        hasher.update(digest.to_string().as_bytes());
    }
    Ok(hasher.finish())
}

fn copy(root: &RootDir, tree: &Tree, wish: &PlainCopy) -> Result<()> {
    let owner = match &wish.owner {
        Some(owner) => Some(who(root, owner)?),
        None => None,
    };
    let target = clean(Path::new(&wish.target));
    let target = format!("/{}", target.display());
    let above = match wish.target.ends_with('/') || wish.target.ends_with("/.") {
        true => target.as_str(),
        false => target.rsplit_once('/').map_or("", |(above, _)| above),
    };
    if !above.is_empty() && !files::is_directory(root, above) {
        if !wish.create {
            let text = format!("failed to stat {}: no such file or directory", wish.target);
            return Err(Error::NotFound(text));
        }
        directory(root, above, 0o755, true, (wish.owner.as_deref(), wish.time))?;
    }
    let choice = Choice::of(tree, wish)?;
    let mode = |old: u32, directory: bool| match &wish.mode {
        Some(mode) => changed(mode, old, directory),
        None => old,
    };
    for place in choose(tree, wish)? {
        let base = String::from_utf8_lossy(&place.name).into_owned();
        let there = files::is_directory(root, &target);
        // As `cp -r`: into a directory that is there.
        let inside = there && base != "." && !(place.directory && wish.contents);
        let path = match inside {
            true => format!("{}/{base}", target.trim_end_matches('/')),
            false => target.clone(),
        };
        if wish.unpack
            && !place.directory
            && files::unpacked(root, &place, &target, owner, (owner.is_none(), false))?
        {
            continue;
        }
        if wish.replace {
            clear(root, &path, place.directory)?;
        }
        let choose = |path: &[u8], directory| choice.verdict(&place, path, directory);
        let options = CopyOptions {
            owner,
            mode: wish
                .mode
                .as_ref()
                .map(|_| &mode as &(dyn Fn(u32, bool) -> u32 + Sync)),
            choose: &choose,
            mtime: wish.time.map(|time| time.div_euclid(SECOND)),
        };
        copy_into(&place.parent, &place.name, root, path.as_bytes(), &options)?;
    }
    Ok(())
}

/// Removes what is of another kind than what is copied there.
fn clear(root: &RootDir, path: &str, directory: bool) -> Result<()> {
    let stat = root.symlink_metadata(clean(Path::new(path)));
    let other = stat.is_ok_and(|stat| {
        (FileType::from_raw_mode(stat.st_mode) == FileType::Directory) != directory
    });
    match other {
        true => remove(root, path, true, false),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
