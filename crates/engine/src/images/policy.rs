//! The daemon's own removal of images, where somebody has told it to: beside its work,
//! from time to time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use gantry_image::{Expired, Policy, Removed};

use super::Images;
use crate::clock::now_nano;
use crate::error::{Error, Result};

/// When and what a daemon removes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageGc {
    /// What is kept.
    pub policy: Policy,
    /// The time between two looks.
    pub interval: Duration,
}

/// The thread; it ends when this is dropped.
pub(crate) struct Collector(#[expect(dead_code, reason = "its end is the message")] Sender<()>);

impl Images {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn collect_by(&self, gc: ImageGc) -> Result<Collector> {
        let (end, ended) = channel();
        let images = self.clone();
        std::thread::Builder::new()
            .name("image-gc".to_owned())
            .spawn(move || images.collect_until(&ended, &gc))
            .map_err(|error| Error::io("start", "a thread for image-gc", error))?;
        Ok(Collector(end))
    }

    fn collect_until(&self, ended: &Receiver<()>, gc: &ImageGc) {
        while ended.recv_timeout(gc.interval) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = self.enforce(&gc.policy) {
                tracing::warn!(%error, "old images cannot be removed");
            }
        }
    }

    /// Removes what a policy does not keep, and tells of it by events: those of every
    /// removal, and one more that says why.
    fn enforce(&self, policy: &Policy) -> Result<()> {
        let users = |id| self.users_of(id);
        let mut tell = |image: Expired| self.tell_expired(&image);
        self.store.enforce(policy, now_nano(), &users, &mut tell)?;
        Ok(())
    }

    fn tell_expired(&self, image: &Expired) {
        for step in &image.removed {
            match step {
                Removed::Untagged { image: id, .. } => self.publish("untag", *id, &id.to_string()),
                Removed::Deleted(id) => drop(self.deleted(id.to_string())),
                Removed::DeletedLayer(_) => {}
            }
        }
        let (name, reason) = (&image.name, image.reason);
        tracing::info!(
            name,
            reason,
            freed = image.freed,
            "an old image was removed"
        );
        let attributes = [
            ("name".to_owned(), image.name.clone()),
            ("reason".to_owned(), image.reason.to_owned()),
            ("reclaimed".to_owned(), image.freed.to_string()),
        ];
        let id = image.id.to_string();
        self.events.publish("image", "gc", &id, attributes.into());
    }
}
