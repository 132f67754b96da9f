//! The manifests of images as clients of `manifests=1` want them (`docker images
//! --tree`): here, as far as one was pulled or loaded, it is one for each image.

use std::collections::HashMap;

use gantry_image::Image;
use gantry_types::{ImageId, Platform};
use serde_json::{Value, json};

use super::Images;
use crate::error::Result;

/// Which containers each image has, by the image's id.
pub(super) type Users = HashMap<String, Vec<String>>;

impl Images {
    /// The containers of each image.
    pub(super) fn containers(&self) -> Result<Users> {
        let rows = self.database.read(gantry_metadata::containers::list)?;
        let mut users = Users::new();
        for row in rows {
            if let Some(image) = row.image_id {
                users.entry(image).or_default().push(row.id);
            }
        }
        Ok(users)
    }

    /// What there is of an image's manifest.
    pub(super) fn manifests(
        &self,
        id: ImageId,
        (platform, size): (&Platform, u64),
        users: &Users,
    ) -> Result<Vec<Value>> {
        let Some(found) = self.store.manifested(id)? else {
            return Ok(Vec::new());
        };
        let nobody = Vec::new();
        let containers = users.get(&id.to_string()).unwrap_or(&nobody);
        Ok(vec![json!({
            "ID": found.descriptor.digest,
            "Descriptor": found.descriptor,
            "Available": true,
            "Size": {"Content": found.content, "Total": found.content.saturating_add(size)},
            "Kind": "image",
            "ImageData": {
                "Platform": platform,
                "Containers": containers,
                "Size": {"Unpacked": size},
            },
        })])
    }

    /// The same, of an image that is looked at alone.
    pub(super) fn manifests_of(&self, image: &Image) -> Result<Vec<Value>> {
        self.manifests(
            image.id,
            (&image.platform(), image.size),
            &self.containers()?,
        )
    }
}
