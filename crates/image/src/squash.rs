//! Several layers made one: what they change in those below them.

use std::io::pipe;

use gantry_archive::{PackOptions, Whiteouts, pack_changes};
use gantry_snapshot::mount_detached;
use gantry_types::{ChainId, DiffId};

use crate::Result;
use crate::built::StepLayer;
use crate::error::Error;
use crate::lease::Lease;
use crate::store::ImageStore;
use crate::unpack::Unpacking;

impl ImageStore {
    /// One layer that changes in the layers `below` what all those of `layers` above them
    /// change, held by the lease; `None` when that is nothing.
    ///
    /// # Errors
    /// `Stream` when a file cannot be read or written; `Snapshot`.
    pub fn squash_layers(
        &self,
        below: &[DiffId],
        layers: &[DiffId],
        lease: &Lease,
    ) -> Result<Option<StepLayer>> {
        let inner = self.inner();
        let top = |layers: &[DiffId]| ChainId::chain(layers).last().copied();
        // What is empty is a snapshot of nothing.
        let empty = Unpacking::create(inner, None)?;
        let tree = |layers: &[DiffId]| {
            let key = top(layers).map_or_else(|| empty.key().to_owned(), |chain| chain.to_string());
            let mount = inner.snapshots.mounts(&key)?;
            mount_detached(&mount).map_err(|errno| Error::disk("mount", &key)(errno.into()))
        };
        let (base, all) = (tree(below)?, tree(layers)?);
        let own = Unpacking::create(inner, top(below))?;
        let since = own.since();
        let (reader, writer) = pipe().map_err(Error::disk("open", "a pipe"))?;
        std::thread::scope(|scope| {
            let packing = scope.spawn(move || {
                let options = PackOptions::layer(Whiteouts::Remove);
                pack_changes(base, all, writer, &options, &|_| false)
            });
            let applied = inner.apply(own.key(), reader);
            match packing.join() {
                Ok(packed) => packed.map(drop).map_err(Error::Stream)?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
            applied.map(drop)
        })?;
        let key = own.release();
        self.commit_step((&key, since), below, lease, &|_| false, None)
    }
}
