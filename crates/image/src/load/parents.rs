//! Which image of an archive was made from which.

use gantry_types::{Digest, History, ImageConfig, ImageId};

use super::Found;

/// The parent of each image: another one of the archive, as the archive says,
/// whose history is that of the image but for the last step. What does not agree
/// is passed over; parents can thus form no circle.
pub(super) fn of(found: &[Found]) -> Vec<Option<ImageId>> {
    if found.iter().all(|found| found.parent.is_none()) {
        return vec![None; found.len()];
    }
    let all: Vec<(ImageId, Vec<History>)> = found
        .iter()
        .map(|found| {
            let config: Option<ImageConfig> = serde_json::from_slice(&found.config.0).ok();
            let history = config.map(|config| config.history).unwrap_or_default();
            (ImageId(Digest::of(&found.config.0)), history)
        })
        .collect();
    found
        .iter()
        .zip(&all)
        .map(|(found, (_, steps))| {
            let wanted = found.parent?;
            let (_, before) = all.iter().find(|(id, _)| *id == wanted)?;
            let (_, earlier) = steps.split_last()?;
            (earlier == &before[..]).then_some(wanted)
        })
        .collect()
}
