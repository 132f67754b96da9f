//! `export`: all files of a container as one archive, running or not, without what
//! is mounted in it.

use std::io;
use std::os::fd::AsFd;

use gantry_archive::tar::Pieces;
use gantry_archive::{Error as ArchiveError, TreeOptions, pack_tree};

use super::Containers;
use super::copy::PIECE;
use super::state::Phase;
use super::view::{Seen, View};
use crate::error::{Error, Result};

/// The files of a container, about to be exported.
pub struct Export {
    view: View,
}

impl Containers {
    /// Opens the files of a container to be exported.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Conflict` for one that is going.
    pub fn export(&self, idref: &str) -> Result<Export> {
        let container = self.inner.find(idref)?;
        let refuse = |what: &str| {
            let id = container.id();
            Err(Error::Conflict(format!(
                "You cannot export container {id} which is {what}"
            )))
        };
        match container.state().phase {
            Phase::Dead => return refuse("Dead"),
            Phase::Removing => return refuse("being removed"),
            _ => {}
        }
        let view = self.inner.view(&container, Seen::OwnFiles)?;
        self.inner.publish(&container, "export", &[]);
        Ok(Export { view })
    }
}

impl Export {
    /// Gives the archive, piece by piece.
    ///
    /// # Errors
    /// `Failed` when something cannot be read or a piece is not taken.
    pub fn write(&self, push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>) -> Result<()> {
        let owners = |uid, gid| self.view.in_container(uid, gid);
        let options = TreeOptions {
            whole_seconds: true,
            owners: Some(&owners),
            ..TreeOptions::default()
        };
        let output = Pieces::new(PIECE, push);
        pack_tree(self.view.root().as_fd(), b".", &options, output, |_| true)
            .and_then(|output| {
                let finished = output.finish();
                finished.map_err(|source| ArchiveError::Write { source })
            })
            .map_err(|error| Error::Failed(error.to_string()))
    }
}
