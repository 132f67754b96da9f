//! From what users write to an image: name, name with digest, id, prefix.

use gantry_metadata::{View, forms, images, references};
use gantry_types::{ImageId, Reference, ReferenceError, is_hex};

use crate::{Error, Image, ImageStore, Result};

impl ImageStore {
    /// The image that `name` stands for: a tag (`latest` if none is given), a
    /// digest of a repository, a full id, or the unique beginning of an id.
    ///
    /// # Errors
    /// `NoSuchImage`, `Ambiguous`, `Reference`, `Metadata`.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        self.database().read(|view| resolve(view, name))
    }

    /// The names that images have in the repository of `reference`.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn names_in(&self, reference: &Reference) -> Result<Vec<Reference>> {
        let rows = self
            .database()
            .read(|view| references::by_repository(view, &reference.name()))?;
        Ok(rows.into_iter().map(|row| row.name).collect())
    }

    /// The images named and all that were built from them (filter `ancestor`);
    /// a name that stands for nothing is left out.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn descend_from(&self, names: &[String]) -> Result<Vec<ImageId>> {
        self.database().read(|view| {
            let mut found = Vec::new();
            for name in names {
                match resolve_id(view, name) {
                    Ok(id) => found.push(id),
                    Err(Error::Metadata(error)) => return Err(error.into()),
                    Err(_) => {}
                }
            }
            let mut next = 0;
            while let Some(id) = found.get(next).copied() {
                next += 1;
                for child in images::children(view, id)? {
                    if !found.contains(&child) {
                        found.push(child);
                    }
                }
            }
            Ok(found)
        })
    }
}

/// See [`ImageStore::resolve`].
pub(crate) fn resolve(view: &View<'_>, name: &str) -> Result<Image> {
    let id = resolve_id(view, name)?;
    match images::get(view, id)? {
        Some(row) => Image::load(view, row),
        None => Err(Error::NoSuchImage(shown(name))),
    }
}

/// See [`ImageStore::resolve`].
pub(crate) fn resolve_id(view: &View<'_>, name: &str) -> Result<ImageId> {
    if let Some(id) = full_id(name) {
        return match images::get(view, id)? {
            Some(row) => Ok(row.id),
            // What a build has answered may be the digest of an index.
            None => forms::by_root(view, id.0)?.ok_or(Error::NoSuchImage(id.to_string())),
        };
    }
    let reference = match name.parse::<Reference>() {
        Ok(reference) => Some(without_tag_of_digest(reference.or_latest())),
        Err(error) if prefix(name).is_none() => return Err(error.into()),
        Err(_) => None,
    };
    if let Some(reference) = &reference {
        if let Some(id) = references::get(view, reference)? {
            return Ok(id);
        }
        if let Some(id) = by_config_digest(view, reference)? {
            return Ok(id);
        }
    }
    if let Some(prefix) = prefix(name) {
        match images::ids_by_prefix(view, prefix)?[..] {
            [] => {}
            [id] => return Ok(id),
            _ => return Err(Error::Ambiguous(name.to_owned())),
        }
    }
    Err(Error::NoSuchImage(shown(name)))
}

/// `name@digest` of a manifest that one of the images with that name came with.
fn by_config_digest(view: &View<'_>, reference: &Reference) -> Result<Option<ImageId>> {
    let Some(digest) = reference.digest() else {
        return Ok(None);
    };
    let Some(row) = images::by_manifest(view, digest)? else {
        return Ok(None);
    };
    let named = references::by_image(view, row.id)?
        .iter()
        .any(|other| other.name() == reference.name());
    Ok(named.then_some(row.id))
}

/// With a digest the tag does not matter.
fn without_tag_of_digest(reference: Reference) -> Reference {
    match reference.digest() {
        Some(digest) if reference.tag().is_some() => format!("{}@{digest}", reference.name())
            .parse()
            .unwrap_or(reference),
        _ => reference,
    }
}

fn full_id(name: &str) -> Option<ImageId> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    if hex.len() != 64 {
        return None;
    }
    format!("sha256:{hex}").parse().ok().map(ImageId)
}

/// The hexadecimal digits in `name`, if it can be the beginning of an id.
pub(crate) fn prefix(name: &str) -> Option<&str> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    (!hex.is_empty() && hex.len() <= 64 && is_hex(hex)).then_some(hex)
}

/// The name as Docker's "No such image" shows it.
fn shown(name: &str) -> String {
    match name.parse::<Reference>() {
        Ok(reference) => reference.or_latest().familiar(),
        Err(ReferenceError::Hexadecimal(hex)) => format!("sha256:{hex}"),
        Err(_) => name.to_owned(),
    }
}
