//! How an image came to be, step by step.

use std::collections::HashMap;

use gantry_metadata::{View, images, layers, references};
use gantry_types::{DiffId, ImageId};

use crate::image::{familiar, nanoseconds};
use crate::resolve::resolve;
use crate::{Error, Image, ImageStore, Result};

/// One step of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image that this step made, if it is here (else Docker prints `<missing>`).
    pub id: Option<ImageId>,
    /// Seconds since 1970.
    pub created: i64,
    /// The command that made the layer.
    pub created_by: String,
    /// The message of the commit or import.
    pub comment: String,
    /// Bytes that it added.
    pub size: u64,
    /// The tags of that image.
    pub tags: Vec<String>,
}

impl ImageStore {
    /// The steps that made the image, newest first.
    ///
    /// # Errors
    /// As [`ImageStore::resolve`]; `Damaged` when there are more steps with a
    /// layer than layers.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryEntry>> {
        self.database().read(|view| {
            let image = resolve(view, name)?;
            let sizes = layer_sizes(view, &image.diff_ids)?;
            let mut steps = steps(&image, &sizes)?;
            name_steps(view, &image, &mut steps)?;
            Ok(steps)
        })
    }
}

fn steps(image: &Image, sizes: &HashMap<DiffId, u64>) -> Result<Vec<HistoryEntry>> {
    let mut layers = image.diff_ids.iter();
    let mut steps = Vec::new();
    for step in &image.config.history {
        let size = if step.empty_layer {
            0
        } else {
            let layer = layers.next().ok_or_else(|| Error::Damaged {
                id: image.id.0,
                reason: "too many non-empty layers in History section".to_owned(),
            })?;
            sizes.get(layer).copied().unwrap_or(0)
        };
        steps.push(HistoryEntry {
            id: None,
            created: nanoseconds(step.created.as_deref()).div_euclid(1_000_000_000),
            created_by: step.created_by.clone().unwrap_or_default(),
            comment: step.comment.clone().unwrap_or_default(),
            size,
            tags: Vec::new(),
        });
    }
    steps.reverse();
    Ok(steps)
}

/// The newest step is the image itself, the next one its parent, and so on as
/// far as parents are known.
fn name_steps(view: &View<'_>, image: &Image, steps: &mut [HistoryEntry]) -> Result<()> {
    let mut next = Some(image.id);
    for step in steps {
        let Some(id) = next else { break };
        let Some(row) = images::get(view, id)? else {
            break;
        };
        step.id = Some(id);
        step.tags = familiar(&references::by_image(view, id)?, false);
        next = row.parent;
    }
    Ok(())
}

/// Bytes of each layer's files.
pub(crate) fn layer_sizes(view: &View<'_>, diff_ids: &[DiffId]) -> Result<HashMap<DiffId, u64>> {
    let mut sizes = HashMap::new();
    for diff_id in diff_ids {
        if let Some(size) = layers::size(view, *diff_id)? {
            sizes.insert(*diff_id, size);
        }
    }
    Ok(sizes)
}
