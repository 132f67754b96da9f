//! The whole way: a name becomes a commit, the commit a pack, the pack files.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_registry::Cancel;
use rustix::fs::{Mode, OFlags};

use crate::address::{Remote, Source};
use crate::checkout::{Writer, open_directory};
use crate::commit::{self, Commit, MAX_TEXT};
use crate::error::{Error, Result};
use crate::git_dir::{self, Head};
use crate::id::ObjectId;
use crate::pack::{Kind, Pack};
use crate::remote::{Reference, Server};
use crate::submodule;

/// How deep submodules may be, and how many of them there may be.
const MAX_NESTED: usize = 8;
const MAX_SUBMODULES: usize = 256;
/// How many tags may name each other.
const MAX_TAGS: usize = 8;

/// What repositories are asked with.
pub struct Client<'c> {
    /// Sends requests.
    pub web: &'c gantry_registry::Client,
    /// `Authorization` for a host, where nobody is named in the address.
    pub authorization: &'c dyn Fn(&str) -> Option<String>,
    /// Ends everything.
    pub cancel: &'c Cancel,
}

/// A commit that was checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkout {
    /// Its id.
    pub commit: ObjectId,
}

/// What of a repository is meant.
struct Wanted<'w> {
    id: ObjectId,
    tag: Option<&'w str>,
    subdirectory: &'w str,
    keep_git_dir: bool,
    submodules: bool,
}

/// Gets one commit of a repository, and writes its files into an empty directory.
/// `scratch` is where a file without a name is made meanwhile.
///
/// # Errors
/// When the repository cannot be reached, has no such commit, or something is wrong with
/// what comes.
pub fn checkout(
    client: &Client<'_>,
    source: &Source,
    directory: &Path,
    scratch: &Path,
) -> Result<Checkout> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |errno: rustix::io::Errno| Error::io("opening a directory")(errno.into());
    let directory = rustix::fs::open(directory, flags, Mode::empty()).map_err(failed)?;
    let mut server = Server::open(client, &source.remote)?;
    let found = find(&mut server, source)?;
    let tag = found.name.strip_prefix("refs/tags/");
    let wanted = Wanted {
        id: found.id,
        tag,
        subdirectory: &source.subdirectory,
        keep_git_dir: source.keep_git_dir == Some(true),
        submodules: !source.without_submodules,
    };
    let mut work = Work {
        client,
        scratch,
        left: MAX_SUBMODULES,
    };
    let commit = work.repository(server, &source.remote, &wanted, directory.as_fd(), 0)?;
    Ok(Checkout { commit })
}

/// The reference that is meant; as in BuildKit, a branch before a tag.
fn find(server: &mut Server<'_>, source: &Source) -> Result<Reference> {
    let wished = source.reference.as_str();
    let found = match ObjectId::parse(wished) {
        Some(id) => Reference {
            name: String::new(),
            id,
            peeled: None,
        },
        None => {
            let names = match wished {
                "" | "HEAD" => vec!["HEAD".to_owned()],
                name => vec![
                    format!("refs/{}", name.trim_start_matches("refs/")),
                    format!("refs/heads/{}", name.trim_start_matches("refs/heads/")),
                    format!("refs/tags/{}", name.trim_start_matches("refs/tags/")),
                ],
            };
            let mut found = server.references(&names)?;
            gantry_types::sort::by_key(&mut found, |it| {
                names.iter().position(|name| *name == it.name)
            });
            let missing = || match wished {
                "" => format!("repository {source} has no default branch"),
                name => format!("repository does not contain ref {name}"),
            };
            found
                .into_iter()
                .next()
                .ok_or_else(|| Error::NotFound(missing()))?
        }
    };
    let ids = [Some(found.id), found.peeled];
    let fits = |id: &ObjectId| id.to_string().starts_with(&source.checksum);
    match ids.iter().flatten().any(fits) {
        true => Ok(found),
        false => Err(Error::Checksum {
            expected: source.checksum.clone(),
            found: found.peeled.unwrap_or(found.id).to_string(),
        }),
    }
}

/// What is shared with submodules.
struct Work<'w> {
    client: &'w Client<'w>,
    scratch: &'w Path,
    /// How many more submodules there may be.
    left: usize,
}

impl Work<'_> {
    fn repository(
        &mut self,
        mut server: Server<'_>,
        remote: &Remote,
        wanted: &Wanted<'_>,
        directory: BorrowedFd<'_>,
        depth: usize,
    ) -> Result<ObjectId> {
        let mut file = nameless(self.scratch)?;
        let shallow = server.fetch(wanted.id, &mut file)?;
        drop(server);
        let mut pack = Pack::open(file, self.client.cancel)?;
        let id = peel(&mut pack, wanted.id)?;
        let commit = Commit::read(&pack.read(id, Kind::Commit, MAX_TEXT)?)?;
        let mut writer = Writer::new(&mut pack, self.client.cancel, commit.time);
        let modules = writer.file(commit.tree, ".gitmodules", submodule::MAX_FILE)?;
        let tree = writer.below(commit.tree, wanted.subdirectory)?;
        // As in BuildKit, a part of a repository is none itself.
        let keep = wanted.keep_git_dir && tree == commit.tree;
        writer.index = keep.then(Vec::new);
        writer.tree(tree, directory)?;
        let submodules = std::mem::take(&mut writer.submodules);
        if let Some(files) = writer.index.take() {
            let head = Head {
                remote: remote.to_string(),
                commit: id,
                tag: wanted.tag.map(|name| (name, wanted.id)),
                shallow: &shallow,
            };
            git_dir::write(directory, &head, &pack, files)?;
        }
        drop(pack);
        if wanted.submodules && !submodules.is_empty() {
            let modules = submodule::read(&modules.unwrap_or_default())?;
            let top = wanted.subdirectory.trim_matches('/').to_owned();
            for (path, id) in submodules {
                self.submodule(remote, &modules, &top, (&path, id), directory, depth + 1)?;
            }
        }
        Ok(id)
    }

    fn submodule(
        &mut self,
        remote: &Remote,
        modules: &[submodule::Submodule],
        top: &str,
        (path, id): (&[u8], ObjectId),
        directory: BorrowedFd<'_>,
        depth: usize,
    ) -> Result<()> {
        let path = String::from_utf8_lossy(path);
        let whole = match top {
            "" => path.to_string(),
            top => format!("{top}/{path}"),
        };
        let module = modules.iter().find(|module| module.path == whole);
        let module = module.ok_or_else(|| {
            let text = format!("no url found for submodule path {whole:?} in .gitmodules");
            Error::NotFound(text)
        })?;
        if module.left_out {
            return Ok(());
        }
        if depth > MAX_NESTED || self.left == 0 {
            return Err(Error::damaged("too many submodules"));
        }
        self.left -= 1;
        let place = open_below(directory, &path)?;
        let remote = remote.join(&module.address)?;
        let wanted = Wanted {
            id,
            tag: None,
            subdirectory: "",
            keep_git_dir: false,
            submodules: true,
        };
        let client = self.client;
        let server = Server::open(client, &remote)?;
        self.repository(server, &remote, &wanted, place.as_fd(), depth)?;
        Ok(())
    }
}

/// Opens a directory below another one; no part of the way is a link.
fn open_below(directory: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    let failed = |errno: rustix::io::Errno| Error::io(format!("opening {path:?}"))(errno.into());
    let mut reached = open_directory(directory, b".").map_err(failed)?;
    for part in path.split('/') {
        reached = open_directory(reached.as_fd(), part.as_bytes()).map_err(failed)?;
    }
    Ok(reached)
}

/// The commit that a tag names in the end.
fn peel(pack: &mut Pack, id: ObjectId) -> Result<ObjectId> {
    let mut id = id;
    for _ in 0..MAX_TAGS {
        match pack.kind(id) {
            Some(Kind::Commit) => return Ok(id),
            Some(Kind::Tag) => id = commit::tagged(&pack.read(id, Kind::Tag, MAX_TEXT)?)?,
            Some(_) => return Err(Error::Invalid(format!("{id} is no commit"))),
            None => return Err(Error::damaged(format!("{id} did not come"))),
        }
    }
    Err(Error::damaged("too many tags of tags"))
}

/// A file that goes when it is closed.
fn nameless(directory: &Path) -> Result<File> {
    let path = directory.join(".pack");
    let failed = || Error::io(format!("making {}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    let made = options.read(true).write(true).create_new(true).open(&path);
    let file = made.map_err(failed())?;
    std::fs::remove_file(&path).map_err(failed())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
