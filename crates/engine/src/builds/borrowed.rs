//! Images that only one build needs: of a directory of its client, not of a registry.
//! There is no record of them; their layers stay while they are held.

use std::sync::Arc;

use gantry_build::dockerfile::Base;
use gantry_image::{Lease, Source};
use gantry_registry::Cancel;
use gantry_types::{Digest, Platform};

use super::Builds;
use crate::error::Result;

/// An image that a build has borrowed.
pub struct Borrowed {
    pub(super) base: Base,
    _lease: Lease,
}

impl Builds {
    /// Borrows the image that a digest stands for, for one platform.
    ///
    /// # Errors
    /// When the source does not have it, or it is not what it says.
    pub fn borrow(
        &self,
        source: &Arc<dyn Source>,
        digest: Digest,
        platform: Option<&Platform>,
        cancel: &Cancel,
    ) -> Result<Borrowed> {
        let lease = self.store().empty_lease("borrowed")?;
        let image = self
            .store()
            .fetch_image(source, digest, platform, &lease, cancel);
        let (id, config) = image?;
        Ok(Borrowed {
            base: Base {
                id,
                diff_ids: config.rootfs.diff_ids.clone(),
                config,
            },
            _lease: lease,
        })
    }
}
