//! Caches that travel: where a build looks for results that others have made, and where
//! its own go.

mod export;
mod import;

pub(crate) use export::export;
pub(crate) use import::import;

use crate::exports::Exporter;
use crate::status::Status;

/// A cache in words: `registry`, `local` or `inline`, and what is said of it.
pub(crate) type Place = Exporter;

/// Refuses by name, before anything is built, what caches cannot be exported to.
///
/// # Errors
/// `Unimplemented`, `InvalidArgument`.
pub(crate) fn check(places: &[Place]) -> Result<(), Status> {
    places
        .iter()
        .try_for_each(|place| export::Export::of(place).map(drop))
}

/// Whether images are to say which steps their layers are of.
pub(crate) fn inline(places: &[Place]) -> bool {
    places.iter().any(|place| place.kind == "inline")
}
