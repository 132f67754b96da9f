//! What a check of the whole store needs: directories that no record knows, and
//! contents put in the place of damaged ones.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::directories::{list, make_directory};
use crate::error::Error;
use crate::store::{LAYERS, Store, TRASH};
use crate::tree::State;

impl Store {
    /// The directories without a record; not those that are being made or removed.
    pub(crate) fn strays(&self) -> Result<Vec<PathBuf>, Error> {
        let own = [TRASH, LAYERS].map(|name| self.directory.join(name));
        let mut found = list(&self.directory)?;
        found.retain(|path| !own.contains(path));
        found.extend(list(&own[1])?);
        // Whoever makes one is in the tree before he is no longer among these.
        let making = self.making().clone();
        let numbers: HashSet<PathBuf> = {
            let tree = self.tree();
            let nodes = tree.nodes().map(|(_, node)| self.path(node.number));
            nodes.collect()
        };
        // Names are never used twice: what has gone since was known to somebody.
        found.retain(|path| {
            !making.contains(path)
                && !numbers.contains(path)
                && std::fs::symlink_metadata(path).is_ok()
        });
        Ok(found)
    }

    /// Removes one of them, unless it has got a record since.
    pub(crate) fn remove_stray(&self, path: &Path) -> Result<(), Error> {
        match self.strays()?.iter().any(|stray| stray == path) {
            true => self.discard(path),
            false => Ok(()),
        }
    }

    /// Exchanges the `contents` of an active and of a committed snapshot.
    pub(crate) fn exchange(&self, key: &str, name: &str, contents: &str) -> Result<(), Error> {
        let (active, committed) = {
            let tree = self.tree();
            (tree.get(key)?.clone(), tree.get(name)?.clone())
        };
        if active.state != State::Active {
            let key = key.to_owned();
            return Err(Error::NotActive { key });
        }
        if committed.state != State::Committed {
            let key = name.to_owned();
            return Err(Error::NotCommitted { key });
        }
        let home = self.path(committed.number);
        make_directory(&home)?;
        let (from, to) = (self.path(active.number).join(contents), home.join(contents));
        let exchange = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, exchange) {
            Err(Errno::NOENT) => {
                rustix::fs::rename(&from, &to).map_err(Error::disk("rename", &to))?;
                make_directory(&from)?;
            }
            other => other.map_err(Error::disk("exchange", &to))?,
        }
        if let Some(node) = self.tree().get_mut(name) {
            (node.usage, node.opaque) = (None, None);
        }
        Ok(())
    }
}
