//! Lists of manifests that are being made, where Docker's client keeps them too:
//!
//! ```text
//! ~/.docker/manifests/<list>/<manifest>      names with - for : and _ for /
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use gantry_types::Reference;

use super::image::ImageManifest;
use crate::error::Error;
use crate::session::Session;
use crate::settings::write_file;

/// The lists of this user.
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    pub(super) fn new(session: &Session) -> Self {
        Self {
            root: session.settings.directory().join("manifests"),
        }
    }

    fn directory(&self, list: &Reference) -> PathBuf {
        self.root.join(file_name(list))
    }

    /// One manifest of a list.
    pub(super) fn get(&self, list: &Reference, name: &Reference) -> Result<ImageManifest, Error> {
        let path = self.directory(list).join(file_name(name));
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes, name),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(absent(name)),
            Err(error) => Err(Error::message(format!("{}: {error}", path.display()))),
        }
    }

    /// All manifests of a list, in the order of their names.
    pub(super) fn list(&self, list: &Reference) -> Result<Vec<ImageManifest>, Error> {
        let directory = self.directory(list);
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => absent(list),
            _ => Error::message(format!("{}: {error}", directory.display())),
        };
        let entries = fs::read_dir(&directory).map_err(failed)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        paths.sort();
        let read = paths.iter();
        read.map(|path| parse(&fs::read(path).map_err(failed)?, list))
            .collect()
    }

    pub(super) fn has(&self, list: &Reference) -> bool {
        self.directory(list).is_dir()
    }

    /// Puts a manifest into a list, which is made where needed.
    pub(super) fn save(&self, list: &Reference, manifest: &ImageManifest) -> Result<(), Error> {
        let directory = self.directory(list);
        fs::create_dir_all(&directory)
            .map_err(|error| Error::message(format!("{}: {error}", directory.display())))?;
        let text = serde_json::to_vec(manifest)
            .map_err(|error| Error::message(format!("{}: {error}", manifest.reference)))?;
        write_file(
            &directory.join(file_name(&manifest.reference)),
            &text,
            0o644,
        )
    }

    /// Forgets a list.
    pub(super) fn remove(&self, list: &Reference) -> Result<(), Error> {
        match fs::remove_dir_all(self.directory(list)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(absent(list)),
            Err(error) => Err(Error::message(format!("{list}: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}

fn absent(name: &Reference) -> Error {
    Error::message(format!("No such manifest: {name}"))
}

fn parse(bytes: &[u8], name: &Reference) -> Result<ImageManifest, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::message(format!("the local manifest of {name} is damaged: {error}"))
    })
}

/// The grammar of names has no `..`, so this is no way out of the directory.
fn file_name(name: &Reference) -> String {
    name.to_string().replace(':', "-").replace('/', "_")
}
