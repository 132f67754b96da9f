//! Which images a daemon removes by itself, when somebody has told it to: those that
//! nothing has used for long, and the least used ones when all take too much room.

use std::cmp::Reverse;
use std::time::Duration;

use gantry_metadata::images;
use gantry_types::{ImageId, Reference};

use crate::collect::Freed;
use crate::image::familiar;
use crate::list::matches_reference;
use crate::{Error, Image, ImageStore, RemoveOptions, Removed, Result, Usage};

/// What is kept, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// An image that no container has used for so long goes.
    pub max_age: Option<Duration>,
    /// As many images go as it takes for all to need no more of the disk, those
    /// first that were not used for longest.
    pub max_size: Option<u64>,
    /// Shell patterns over names; an image with a name that one matches stays.
    pub keep: Vec<String>,
}

/// An image that a policy has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Which one.
    pub id: ImageId,
    /// What it was called, or its id.
    pub name: String,
    /// Why.
    pub reason: &'static str,
    /// Step by step.
    pub removed: Vec<Removed>,
    /// Bytes that the disk has got back.
    pub freed: u64,
}

impl ImageStore {
    /// Removes what the policy does not keep at the time `now` (in nanoseconds since
    /// 1970), and that no container uses. Whatever cannot be removed stays, without a
    /// word: somebody needs it.
    ///
    /// # Errors
    /// `Metadata`; what fails for one image is told to the log.
    pub fn enforce(
        &self,
        policy: &Policy,
        now: i64,
        usage: &Usage<'_>,
        tell: &mut dyn FnMut(Expired),
    ) -> Result<()> {
        let mut left = self.unkept(policy, usage)?;
        if let Some(age) = policy.max_age {
            let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
            let old = |used: i64| now.saturating_sub(used) >= age;
            for (_, image) in left.extract_if(.., |(used, _)| old(*used)) {
                self.expire(&image, "age", usage, tell);
            }
        }
        let Some(most) = policy.max_size else {
            return Ok(());
        };
        // The longest unused is last.
        gantry_types::sort::by_key(&mut left, |(used, _)| Reverse(*used));
        loop {
            let disk = self.disk_usage()?;
            if disk.layers + disk.blobs <= most {
                return Ok(());
            }
            let Some((_, image)) = left.pop() else {
                return Ok(());
            };
            self.expire(&image, "size", usage, tell);
        }
    }

    /// The images that may go, and when each was used last.
    fn unkept(&self, policy: &Policy, usage: &Usage<'_>) -> Result<Vec<(i64, Image)>> {
        let all = self.database().read(|view| -> Result<_> {
            let mut all = Vec::new();
            for row in images::list(view)? {
                let used = images::used_at(view, row.id)?;
                let image = Image::load(view, row)?;
                let times = [Some(image.created_at), image.tagged_at, used];
                all.push((times.into_iter().flatten().max().unwrap_or(0), image));
            }
            Ok(all)
        })?;
        let kept = |name: &Reference| {
            let mut patterns = policy.keep.iter();
            patterns.any(|pattern| matches_reference(pattern, name))
        };
        let mut left = Vec::new();
        for (used, image) in all {
            if !image.references.iter().any(kept) && usage(image.id)?.is_empty() {
                left.push((used, image));
            }
        }
        Ok(left)
    }

    fn expire(
        &self,
        image: &Image,
        reason: &'static str,
        usage: &Usage<'_>,
        tell: &mut dyn FnMut(Expired),
    ) {
        let names = match image.references.as_slice() {
            [] => vec![image.id.0.hex()],
            names => names.iter().map(Reference::to_string).collect(),
        };
        let (mut removed, mut freed) = (Vec::new(), Freed::asked());
        for name in names {
            match self.remove_counting(&name, RemoveOptions::default(), usage, &mut freed) {
                Ok(steps) => removed.extend(steps),
                Err(Error::NoSuchImage(_) | Error::InUse(_)) => {}
                Err(error) => tracing::warn!(name, %error, "cannot remove an old image"),
            }
        }
        if !removed.is_empty() {
            let mut names = familiar(&image.references, false);
            tell(Expired {
                id: image.id,
                name: names
                    .drain(..)
                    .next()
                    .unwrap_or_else(|| image.id.to_string()),
                reason,
                removed,
                freed: freed.disk(),
            });
        }
    }
}
