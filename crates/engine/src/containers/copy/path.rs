//! What a path means by its words alone: `/a` is the file, `/a/` the directory that
//! it is or leads to, `/a/.` what is in that.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_sys::{Errno, RootDir};

use super::super::mounts::clean;

/// How many links are followed to say where one leads in the end.
const MAX_LINKS: usize = 255;

/// A path of a container, as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// Absolute, without empty, `.` and `..` parts.
    pub(super) clean: String,
    /// Clean, but for what the path ended with.
    pub(super) shown: String,
    /// The last part.
    pub(super) name: String,
    /// Whether it can only be a directory: then a link is followed.
    pub(super) directory: bool,
}

impl Words {
    pub(super) fn of(path: &str) -> Self {
        let clean = clean(path);
        // As in Docker, the slashes behind a dot do not count.
        let without = path.trim_end_matches('/');
        let contents = path.is_empty() || without == "." || without.ends_with("/.");
        let directory = contents || path.ends_with('/') || clean == "/";
        let mut shown = clean.clone();
        if contents {
            shown.push_str(if shown.ends_with('/') { "." } else { "/." });
        } else if directory && !shown.ends_with('/') {
            shown.push('/');
        }
        let last = clean.rsplit('/').next().unwrap_or_default();
        let name = match (contents, last) {
            (true, _) => ".",
            (false, "") => "/",
            (false, last) => last,
        };
        Self {
            name: name.to_owned(),
            clean,
            shown,
            directory,
        }
    }
}

/// Where a path leads when all its links are followed, also when there is nothing.
/// For showing and comparing only: nothing is opened by it.
///
/// # Errors
/// `ELOOP`, and what the kernel has against the way.
pub(super) fn resolve(root: &RootDir, path: &str) -> Result<String, Errno> {
    let mut done = PathBuf::from("/");
    let mut pending: VecDeque<Vec<u8>> = parts(path.as_bytes());
    let mut links = 0;
    while let Some(part) = pending.pop_front() {
        if part == b".." {
            done.pop();
            continue;
        }
        let next = done.join(std::ffi::OsStr::from_bytes(&part));
        let Some(target) = link(root, &next)? else {
            done = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        if target.starts_with(b"/") {
            done = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            pending.push_front(part);
        }
    }
    Ok(done.to_string_lossy().into_owned())
}

/// The text of a link; `None` for what is none, or not there.
fn link(root: &RootDir, path: &Path) -> Result<Option<Vec<u8>>, Errno> {
    let read = || {
        let (parent, name) = root.open_parent(path).map_err(|error| error.errno)?;
        rustix::fs::readlinkat(&parent, &name, Vec::new())
    };
    match read() {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_dockers() {
        for (path, clean, shown, name, directory) in [
            ("/etc/passwd", "/etc/passwd", "/etc/passwd", "passwd", false),
            ("etc", "/etc", "/etc", "etc", false),
            ("/etc/", "/etc", "/etc/", "etc", true),
            ("/etc/.", "/etc", "/etc/.", ".", true),
            ("/", "/", "/", "/", true),
            ("/.", "/", "/.", ".", true),
            (".", "/", "/.", ".", true),
            ("/a/../../b", "/b", "/b", "b", false),
            ("a b//c", "/a b/c", "/a b/c", "c", false),
        ] {
            let words = Words::of(path);
            assert_eq!(
                (&*words.clean, &*words.shown, &*words.name, words.directory),
                (clean, shown, name, directory),
                "{path}"
            );
        }
    }

    #[test]
    fn links_are_followed_to_where_there_is_nothing() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        symlink("/d", at("link")).unwrap();
        symlink("../../../nowhere/x", at("d/up")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        for (path, end) in [
            ("/link/file", "/d/file"),
            ("/link/up", "/nowhere/x"),
            ("/link/../d", "/d"),
            ("/missing/also", "/missing/also"),
        ] {
            assert_eq!(resolve(&root, path).unwrap(), end, "{path}");
        }
        assert_eq!(resolve(&root, "/loop").unwrap_err(), Errno::LOOP);
    }
}
