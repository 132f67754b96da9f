//! Records that speak of what is not there, and what is there without a record.

use std::path::PathBuf;
use std::time::Duration;

use gantry_metadata::{images, layers, leases, references};
use gantry_types::{ChainId, DiffId, Digest, ImageConfig};

use super::{Check, REPAIR};
use crate::{Result, lease};

/// What is being made has got its record after so long.
const SHORT: Duration = Duration::from_millis(500);
/// How often what seems to be of nobody is looked at again.
const MORE_LOOKS: usize = 3;

impl Check<'_> {
    /// Names, documents and leases.
    pub(super) fn records(&mut self) -> Result<()> {
        let database = self.store.database();
        for name in database.read(references::dangling)? {
            let problem = "stands for an image that is not there".to_owned();
            let repair = |check: &Self| {
                let database = check.store.database();
                database.write_durable(references::delete_dangling)?;
                Ok(Ok("the name was removed".to_owned()))
            };
            self.found(("name", name, problem), repair, REPAIR);
        }
        let documents = self.store.database().read(|view| -> Result<_> {
            let mut documents = Vec::new();
            for row in images::list(view)? {
                let layers = images::layers(view, row.id)?;
                documents.push((row, layers.into_iter().map(|(diff_id, _)| diff_id)));
            }
            Ok(documents)
        })?;
        for (row, layers) in documents {
            self.checked.images += 1;
            if let Some(problem) = wrong(&row, layers) {
                let advice = "remove the image (rmi -f) and pull or load it again";
                let repair = |_: &Self| Ok(Err(advice.to_owned()));
                self.found(("image", row.id.to_string(), problem), repair, advice);
            }
        }
        self.leases()
    }

    /// Leases that nobody has.
    fn leases(&mut self) -> Result<()> {
        let database = self.store.database();
        let dead = |(id, _): &(String, String)| !lease::living().contains(id);
        let first: Vec<_> = database
            .read(leases::list)?
            .into_iter()
            .filter(dead)
            .collect();
        // One that has just ended was alive in between.
        let still = database.read(leases::list)?;
        for (id, purpose) in first.into_iter().filter(|lease| still.contains(lease)) {
            let problem = format!("keeps things for {purpose:?}, which has ended");
            let key = id.clone();
            let repair = move |check: &Self| {
                let database = check.store.database();
                database.write_freeing(|tx| leases::delete(tx, &key))?;
                Ok(Ok("it was ended".to_owned()))
            };
            self.found(("lease", id, problem), repair, REPAIR);
        }
        Ok(())
    }

    /// What no record and no image knows. What is being made or removed is so for a
    /// moment.
    pub(super) fn strays(&mut self) -> Result<()> {
        let mut strays = self.look()?;
        for _ in 0..MORE_LOOKS {
            if strays.is_empty() {
                return Ok(());
            }
            // However long the disk takes for it.
            self.store.inner().removals.wait();
            std::thread::sleep(SHORT);
            let still = self.look()?;
            strays.retain(|stray| still.contains(stray));
        }
        for stray in strays {
            let (kind, name, problem) = match &stray {
                Stray::Blob(digest, _) => ("blob", digest.to_string(), "is not in any record"),
                Stray::Layer(chain, _) => ("layer", chain.to_string(), "is of no image"),
                Stray::Directory(path) => {
                    let name = path.display().to_string();
                    ("directory", name, "is not in any record")
                }
            };
            let repair = |check: &Self| {
                let inner = check.store.inner();
                // Whoever holds it by now keeps it.
                match &stray {
                    Stray::Blob(..) => drop(inner.content.collect_files(Duration::ZERO)?),
                    Stray::Layer(..) => drop(check.store.collect()?),
                    Stray::Directory(path) => inner.snapshots.remove_stray(path)?,
                }
                Ok(Ok("it was removed".to_owned()))
            };
            self.found((kind, name, problem.to_owned()), repair, REPAIR);
        }
        Ok(())
    }

    fn look(&self) -> Result<Vec<Stray>> {
        let inner = self.store.inner();
        let mut found: Vec<Stray> = Vec::new();
        let blobs = inner.content.unrecorded()?.into_iter();
        found.extend(blobs.map(|(digest, inode)| Stray::Blob(digest, inode)));
        for chain in self.unused_layers()? {
            // Gone meanwhile, unless it has one.
            if let Ok(directory) = inner.snapshots.directory(&chain.to_string()) {
                found.push(Stray::Layer(chain, directory));
            }
        }
        found.extend(inner.snapshots.strays()?.into_iter().map(Stray::Directory));
        Ok(found)
    }

    /// Layers with a record, on which nothing stands.
    fn unused_layers(&self) -> Result<Vec<ChainId>> {
        let list = self.store.inner().snapshots.list();
        self.store.database().read(|view| -> Result<_> {
            let mut unused = Vec::new();
            for status in list.iter().filter(|status| status.committed) {
                let Ok(chain) = status.key.parse().map(ChainId) else {
                    continue;
                };
                // Containers of images that are gone may stand on it.
                let needed = list
                    .iter()
                    .any(|other| other.parent.as_ref() == Some(&status.key))
                    || images::using_chain(view, chain)? != 0
                    || leases::is_held(view, leases::Kind::Snapshot, &status.key)?;
                if !needed {
                    unused.push(chain);
                }
            }
            Ok(unused)
        })
    }

    /// The layers that a blob holds, and the names of images that have them.
    pub(super) fn holders(&self, blob: Digest) -> Result<(Vec<layers::LayerRow>, String)> {
        self.store.database().read(|view| -> Result<_> {
            let rows = layers::by_blob(view, blob)?;
            let mut names = Vec::new();
            for row in images::list(view)? {
                let diff_ids = images::layers(view, row.id)?;
                let has = diff_ids
                    .iter()
                    .any(|(diff_id, _)| rows.iter().any(|row| row.diff_id == *diff_id));
                if has || row.manifest == Some(blob) {
                    let names_of = references::by_image(view, row.id)?;
                    let name = names_of.first().map(|name| name.familiar());
                    names.push(name.unwrap_or_else(|| row.id.to_string()));
                }
            }
            Ok((rows, names.join(", ")))
        })
    }
}

/// What nobody needs. One that has gone and come again is another one: its file or
/// directory is.
#[derive(PartialEq)]
enum Stray {
    Blob(Digest, u64),
    Layer(ChainId, PathBuf),
    Directory(PathBuf),
}

/// What is wrong with an image's document or the list of its layers.
fn wrong(row: &images::ImageRow, layers: impl Iterator<Item = DiffId>) -> Option<String> {
    if Digest::of(&row.config) != row.id.0 {
        return Some("its configuration is not what its id says".to_owned());
    }
    let config: ImageConfig = match serde_json::from_slice(&row.config) {
        Ok(config) => config,
        Err(error) => return Some(format!("its configuration is unreadable: {error}")),
    };
    (!layers.eq(config.rootfs.diff_ids))
        .then(|| "the list of its layers is not that of its configuration".to_owned())
}
