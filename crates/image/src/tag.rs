//! Names for images.

use gantry_metadata::{Tx, images, references};
use gantry_types::{ImageId, Reference};

use crate::resolve::resolve_id;
use crate::{Error, ImageStore, Result};

/// What `tag` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The image that has the name now.
    pub id: ImageId,
    /// The other image that had it before.
    pub moved: Option<ImageId>,
}

impl ImageStore {
    /// Gives the image `name` another name, taking it from the image that had it.
    ///
    /// # Errors
    /// `NoSuchImage`, `Ambiguous`, `Reference`, `Invalid`, `Metadata`.
    pub fn tag(&self, name: &str, reference: &Reference) -> Result<Tagged> {
        check_name(reference)?;
        self.database().write_durable(|tx| {
            let id = resolve_id(tx, name)?;
            let moved = set(tx, reference, id)?;
            images::set_tagged(tx, id, gantry_metadata::now())?;
            Ok(Tagged { id, moved })
        })
    }
}

/// Lets `reference` stand for `id`; answers the other image that had the name.
pub(crate) fn set(tx: &Tx<'_>, reference: &Reference, id: ImageId) -> Result<Option<ImageId>> {
    let reference = reference.clone().or_latest();
    let before = references::set(tx, &reference, id)?;
    if before != Some(id) {
        images::set_tagged(tx, id, gantry_metadata::now())?;
    }
    Ok(before.filter(|before| *before != id))
}

/// The reference that the API's parameters `repo` and `tag` mean; none when
/// `repo` is empty.
///
/// # Errors
/// `Reference`, and `Invalid` for a digest and for names that look like one.
pub fn tag_reference(repo: &str, tag: &str) -> Result<Option<Reference>> {
    if repo.is_empty() {
        return Ok(None);
    }
    let reference: Reference = repo.parse()?;
    if reference.digest().is_some() {
        return Err(Error::Invalid("cannot import digest reference".to_owned()));
    }
    let reference = match tag {
        "" => reference,
        tag => reference
            .with_tag(tag)
            .map_err(|_| Error::Invalid("invalid tag format".to_owned()))?,
    };
    check_name(&reference)?;
    Ok(Some(reference.or_latest()))
}

fn check_name(reference: &Reference) -> Result<()> {
    if reference.digest().is_some() {
        return Err(Error::Invalid(
            "refusing to create a tag with a digest reference".to_owned(),
        ));
    }
    if reference.familiar_name() == "sha256" {
        return Err(Error::Invalid(
            "refusing to create an ambiguous tag using digest algorithm as name".to_owned(),
        ));
    }
    Ok(())
}
