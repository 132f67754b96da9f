//! From what is named to images and the names they shall have in the archive.

use gantry_metadata::{View, images, references};
use gantry_types::{ImageId, Reference, ReferenceError};

use crate::resolve::{prefix, resolve_id};
use crate::{Error, Result};

/// The images in the order in which they are named first, each once.
pub(super) fn choose(view: &View<'_>, names: &[String]) -> Result<Vec<(ImageId, Vec<Reference>)>> {
    let mut chosen: Vec<(ImageId, Vec<Reference>)> = Vec::new();
    for name in names {
        for (id, reference) in meant(view, name)? {
            let place = match chosen.iter().position(|(other, _)| *other == id) {
                Some(place) => place,
                None => {
                    chosen.push((id, Vec::new()));
                    chosen.len() - 1
                }
            };
            let names = &mut chosen[place].1;
            names.extend(reference.filter(|reference| !names.contains(reference)));
        }
    }
    Ok(chosen)
}

/// What one name means: an image by its tag, its digest or its id, or all images
/// of a repository. Only tags go into the archive.
fn meant(view: &View<'_>, name: &str) -> Result<Vec<(ImageId, Option<Reference>)>> {
    let reference = match name.parse::<Reference>() {
        Ok(reference) if reference.familiar_name() != "sha256" => reference,
        Ok(_) | Err(ReferenceError::Hexadecimal(_)) => {
            return Ok(vec![(resolve_id(view, name)?, None)]);
        }
        Err(_) if name.starts_with("sha256:") && prefix(name).is_some() => {
            return Ok(vec![(resolve_id(view, name)?, None)]);
        }
        Err(error) => return Err(error.into()),
    };
    if reference.digest().is_some() {
        let found = resolve_id(view, name).map_err(|error| match error {
            Error::NoSuchImage(_) => Error::NoReference,
            other => other,
        });
        return Ok(vec![(found?, None)]);
    }
    if reference.tag().is_some() {
        let id = references::get(view, &reference)?.ok_or(Error::NoReference)?;
        return Ok(vec![(id, Some(reference))]);
    }
    let all: Vec<_> = references::by_repository(view, &reference.name())?
        .into_iter()
        .map(|row| {
            let tagged = row.name.digest().is_none();
            (row.image, tagged.then_some(row.name))
        })
        .collect();
    if all.is_empty() {
        // Not `latest` of it: the only thing left is the beginning of an id.
        let missing = || Error::NoSuchImage(name.to_owned());
        let prefix = prefix(name).ok_or_else(missing)?;
        return match images::ids_by_prefix(view, prefix)?[..] {
            [] => Err(missing()),
            [id] => Ok(vec![(id, None)]),
            _ => Err(Error::Ambiguous(name.to_owned())),
        };
    }
    Ok(all)
}
