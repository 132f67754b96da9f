//! `docker rmi`, by Docker's rules: a name is untagged; the image goes with
//! its last name; what is in use stays, or needs force, or stays even so.

use std::collections::HashSet;

use gantry_metadata::{Tx, containers, images, leases, references};
use gantry_types::{ChainId, ImageId, Reference};

use crate::collect::Freed;
use crate::resolve::{prefix, resolve_id};
use crate::{Error, ImageStore, Result};

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUse {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// Whether it runs.
    pub running: bool,
}

/// Answers which containers use an image.
pub type Usage<'u> = dyn Fn(ImageId) -> Result<Vec<ContainerUse>> + 'u;

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also what is used by stopped containers or has several names.
    pub force: bool,
    /// Leave untagged parents alone.
    pub noprune: bool,
}

/// One step of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone.
    Untagged {
        /// As users write it.
        name: String,
        /// The image that had it.
        image: ImageId,
    },
    /// An image is gone.
    Deleted(ImageId),
    /// A layer is gone.
    DeletedLayer(ChainId),
}

/// How often the image behind a name may change while its users are counted.
const ATTEMPTS: usize = 8;

impl ImageStore {
    /// Removes the name, or with its last name the image.
    ///
    /// # Errors
    /// `NoSuchImage`, `Ambiguous`, `Reference`, `Metadata`, and `InUse` in
    /// Docker's words; nothing has changed then.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        usage: &Usage<'_>,
    ) -> Result<Vec<Removed>> {
        self.remove_counting(name, options, usage, &mut Freed::unasked())
    }

    /// The same, and tells what that freed on the disk.
    pub(crate) fn remove_counting(
        &self,
        name: &str,
        options: RemoveOptions,
        usage: &Usage<'_>,
        freed: &mut Freed,
    ) -> Result<Vec<Removed>> {
        let _removal = self.removal();
        for _ in 0..ATTEMPTS {
            let id = self.database().read(|view| resolve_id(view, name))?;
            let users = usage(id)?;
            let outcome = self.database().write_freeing_durable(|tx| {
                if resolve_id(tx, name)? != id {
                    return Ok(None);
                }
                let mut removal = Removal::new(tx, id, users, options.force)?;
                removal.by_name(name)?;
                Ok::<_, Error>(Some(removal.outcome))
            })?;
            if let Some(outcome) = outcome {
                return self.finish(outcome, options, usage, freed);
            }
        }
        Err(Error::InUse(format!("{name} is being tagged all the time")))
    }

    /// Removes the layers of what was deleted, and then parents that nobody
    /// needs, as long as that meets no conflict.
    fn finish(
        &self,
        mut outcome: Outcome,
        options: RemoveOptions,
        usage: &Usage<'_>,
        freed: &mut Freed,
    ) -> Result<Vec<Removed>> {
        let mut removed = Vec::new();
        loop {
            removed.append(&mut outcome.removed);
            let Some((layers, parent)) = outcome.deleted.take() else {
                break;
            };
            let gone = self.inner().free_layers(&layers, freed)?;
            removed.extend(gone.into_iter().map(Removed::DeletedLayer));
            let Some(parent) = parent.filter(|_| !options.noprune) else {
                break;
            };
            let users = usage(parent)?;
            outcome = self.database().write_freeing_durable(|tx| {
                if images::get(tx, parent)?.is_none() {
                    return Ok(Outcome::default());
                }
                let mut removal = Removal::new(tx, parent, users, false)?;
                removal.delete(true)?;
                Ok::<_, Error>(removal.outcome)
            })?;
        }
        freed.add(self.inner().content.collect_measured()?.1);
        Ok(removed)
    }
}

/// What one transaction has done.
#[derive(Default)]
struct Outcome {
    removed: Vec<Removed>,
    /// The layers and the parent of the image, if it was deleted.
    deleted: Option<(Vec<ChainId>, Option<ImageId>)>,
}

struct Removal<'r, 'c> {
    tx: &'r Tx<'c>,
    id: ImageId,
    users: Vec<ContainerUse>,
    force: bool,
    outcome: Outcome,
}

/// Why an image cannot be deleted.
struct Conflict {
    /// Not even by force.
    hard: bool,
    /// Because of a container.
    used: bool,
    reason: String,
}

impl<'r, 'c> Removal<'r, 'c> {
    fn new(tx: &'r Tx<'c>, id: ImageId, mut users: Vec<ContainerUse>, force: bool) -> Result<Self> {
        // A container may have come since its users were counted.
        let known: HashSet<String> = users.iter().map(|user| user.id.clone()).collect();
        for row in containers::by_image(tx, &id.to_string())? {
            if !known.contains(&row.id) {
                users.push(ContainerUse {
                    id: row.id,
                    running: false,
                });
            }
        }
        Ok(Self {
            tx,
            id,
            users,
            force,
            outcome: Outcome::default(),
        })
    }

    fn by_name(&mut self, name: &str) -> Result<()> {
        let names = references::by_image(self.tx, self.id)?;
        if is_id(self.id, name) {
            if is_single(&names) {
                if let Some(conflict) = self.conflict(&[], !self.force)? {
                    return Err(self.refuse(&conflict));
                }
                self.untag_all(&names)?;
            }
            return self.delete(false);
        }
        if !self.force
            && is_single(&names)
            && let Some(user) = self.users.first()
        {
            return Err(Error::InUse(format!(
                "unable to remove repository reference {name:?} (must force) - container {} is \
                 using its referenced image {}",
                short(&user.id),
                short_id(self.id)
            )));
        }
        let name: Reference = name.parse()?;
        let name = name.or_latest();
        self.untag(&name)?;
        let mut left = references::by_image(self.tx, self.id)?;
        let tags_of_repository =
            |other: &Reference| other.name() == name.name() && other.digest().is_none();
        if name.digest().is_none() && !left.iter().any(tags_of_repository) {
            for digest in left.extract_if(.., |other| other.name() == name.name()) {
                self.untag(&digest)?;
            }
        }
        if left.is_empty() {
            self.delete(true)?;
        }
        Ok(())
    }

    /// Deletes the image. Quietly means that a conflict is no error, except
    /// for an image that has no name and no user.
    fn delete(&mut self, quiet: bool) -> Result<()> {
        let names = references::by_image(self.tx, self.id)?;
        if let Some(conflict) = self.conflict(&names, !self.force)? {
            if quiet && (!names.is_empty() || conflict.used) {
                return Ok(());
            }
            return Err(self.refuse(&conflict));
        }
        let Some(row) = images::get(self.tx, self.id)? else {
            return Ok(());
        };
        self.untag_all(&names)?;
        let layers = images::layers(self.tx, self.id)?;
        images::delete(self.tx, self.id)?;
        self.outcome.removed.push(Removed::Deleted(self.id));
        let chain = layers.into_iter().map(|(_, chain)| chain).collect();
        self.outcome.deleted = Some((chain, row.parent));
        Ok(())
    }

    /// What forbids the deletion of an image with these names; `soft` says
    /// whether reasons count that force would overcome.
    fn conflict(&self, names: &[Reference], soft: bool) -> Result<Option<Conflict>> {
        let found = |hard, used, reason: String| Ok(Some(Conflict { hard, used, reason }));
        if !images::children(self.tx, self.id)?.is_empty() {
            return found(true, false, "image has dependent child images".to_owned());
        }
        if let Some(user) = self.users.iter().find(|user| user.running) {
            let reason = format!(
                "image is being used by running container {}",
                short(&user.id)
            );
            return found(true, true, reason);
        }
        if leases::is_held(self.tx, leases::Kind::Image, &self.id.to_string())? {
            let reason = "image is being used by an operation".to_owned();
            return found(true, true, reason);
        }
        if soft && !names.is_empty() {
            let reason = "image is referenced in multiple repositories".to_owned();
            return found(false, false, reason);
        }
        if soft && let Some(user) = self.users.first() {
            let reason = format!(
                "image is being used by stopped container {}",
                short(&user.id)
            );
            return found(false, true, reason);
        }
        Ok(None)
    }

    fn refuse(&self, conflict: &Conflict) -> Error {
        let force = if conflict.hard {
            "cannot be forced"
        } else {
            "must be forced"
        };
        Error::InUse(format!(
            "unable to delete {} ({force}) - {}",
            short_id(self.id),
            conflict.reason
        ))
    }

    fn untag_all(&mut self, names: &[Reference]) -> Result<()> {
        names.iter().try_for_each(|name| self.untag(name))
    }

    fn untag(&mut self, name: &Reference) -> Result<()> {
        references::delete(self.tx, name)?;
        self.outcome.removed.push(Removed::Untagged {
            name: name.familiar(),
            image: self.id,
        });
        Ok(())
    }
}

/// Whether the user's word is the id or its beginning, and not a name.
fn is_id(id: ImageId, name: &str) -> bool {
    prefix(name).is_some_and(|prefix| id.0.hex().starts_with(prefix))
}

/// Whether there is at most one tag, and all names are of one repository.
fn is_single(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    let repositories: HashSet<String> = names.iter().map(Reference::name).collect();
    tags <= 1 && repositories.len() <= 1
}

fn short_id(id: ImageId) -> String {
    short(&id.0.hex())
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
