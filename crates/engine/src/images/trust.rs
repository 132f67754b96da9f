//! Which images may be run: what the policy requires a signature of must have
//! come by a pull that found it right. Rules concern names, so an image is asked
//! for by the name that it is used under; used by its id, one of its names must do.

use gantry_image::Image;
use gantry_metadata::seals::{self, SealRow};
use gantry_trust::Mode;
use gantry_types::{ImageId, Reference};

use super::Images;
use crate::error::{Error, Result};

/// Stands for a key where an image came with the program itself.
const BUILT_IN: &str = "built in";

impl Images {
    /// Refuses an image that the policy does not let run under this name.
    pub(super) fn check_trust(&self, name: &str, image: &Image) -> Result<()> {
        let repositories = match repository(name, image) {
            Some(repository) => vec![repository],
            // No name at all is what only the rule for any name is about.
            None if image.references.is_empty() => vec![String::new()],
            None => image.references.iter().map(Reference::name).collect(),
        };
        for repository in repositories {
            if self.lets_run(&repository, image.id)? {
                return Ok(());
            }
        }
        Err(Error::Forbidden(format!(
            "image {name} may not be run: the trust policy requires a signature, and none was \
             verified when it came here: pull it"
        )))
    }

    /// Notes that an image is as trusted as the program that holds it.
    pub(super) fn seal_built_in(&self, reference: &Reference, image: ImageId) -> Result<()> {
        let seal = SealRow {
            repository: reference.name(),
            key: BUILT_IN.to_owned(),
            digest: image.0,
        };
        let sealed = self.database.read(|view| seals::of_image(view, image))?;
        if sealed.contains(&seal) {
            return Ok(());
        }
        Ok(self.database.write(|tx| seals::set(tx, image, &seal))?)
    }

    fn lets_run(&self, repository: &str, image: ImageId) -> Result<bool> {
        if self.policy.mode(repository)? != Mode::Require {
            return Ok(true);
        }
        let sealed = self.database.read(|view| seals::of_image(view, image))?;
        for seal in sealed {
            let is_of_name = repository.is_empty() || seal.repository == repository;
            let trusted = || {
                let own = &seal.repository;
                self.policy.still_trusts(own, &seal.key, seal.digest)
            };
            if is_of_name && (seal.key == BUILT_IN || trusted()?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The repository that an image is used under; none when it is its id.
fn repository(name: &str, image: &Image) -> Option<String> {
    let reference: Reference = name.parse().ok()?;
    let name = reference.name();
    image
        .references
        .iter()
        .any(|own| own.name() == name)
        .then_some(name)
}
