//! Layers: their directories there, and, where a good blob proves it, with exactly the
//! files that the blob has; those that were made here with the files that their digest
//! says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};

use gantry_metadata::{images, layers, leases};
use gantry_types::{ChainId, DiffId};

use super::{Check, REPAIR};
use crate::lease::Lease;
use crate::made::Made;
use crate::unpack::Unpacking;
use crate::{Error, Result};

/// A layer of at least one image.
struct Layer {
    chain: ChainId,
    parent: Option<ChainId>,
    diff_id: DiffId,
}

/// What was found out about a layer's files.
enum Proof {
    Whole,
    /// No good blob holds it.
    Unproven,
    Damaged(String),
    /// The same of one that nothing else is known of.
    Changed(String),
}

impl Check<'_> {
    /// Looks at all layers, lower ones first.
    pub(super) fn layers(&mut self) -> Result<()> {
        let mut left = false;
        for layer in self.all_layers()? {
            let Some(lease) = self.hold(&layer)? else {
                continue;
            };
            self.checked.layers += 1;
            if let Some((problem, repairable)) = self.problem(&layer)? {
                let again = "build, pull or load the image again";
                let repair = |check: &Self| match repairable {
                    true => check.unpack_again(&layer),
                    false => Ok(Err(again.to_owned())),
                };
                let advice = if repairable { REPAIR } else { again };
                let name = layer.chain.to_string();
                self.found(("layer", name, problem), repair, advice);
            }
            drop(lease);
            let database = self.store.database();
            left |= database.read(|view| images::using_chain(view, layer.chain))? == 0;
        }
        if left {
            // Its image was removed meanwhile, and could not take it along.
            self.store.collect()?;
        }
        Ok(())
    }

    /// Keeps a layer and its blobs as they are while they are looked at; none that no
    /// image has any more.
    fn hold(&self, layer: &Layer) -> Result<Option<Lease>> {
        let inner = self.store.inner();
        let lease = Lease::new(&inner.database, "check")?;
        let _gate = inner.gate();
        let used = inner.database.write(|tx| -> Result<bool> {
            if images::using_chain(tx, layer.chain)? == 0 {
                return Ok(false);
            }
            let name = layer.chain.to_string();
            leases::hold(tx, lease.id(), leases::Kind::Snapshot, &name)?;
            leases::hold_layer(tx, lease.id(), layer.diff_id)?;
            Ok(true)
        })?;
        Ok(used.then_some(lease))
    }

    /// What is wrong with a layer, and whether a good blob could help.
    fn problem(&self, layer: &Layer) -> Result<Option<(String, bool)>> {
        if let Some(problem) = self.presence(layer) {
            return Ok(Some((problem, true)));
        }
        if self.options.quick {
            return Ok(None);
        }
        match self.prove(layer)? {
            Proof::Whole => Ok(None),
            Proof::Damaged(problem) => Ok(Some((problem, true))),
            Proof::Changed(problem) => Ok(Some((problem, false))),
            Proof::Unproven => {
                let database = self.store.database();
                let rows = database.read(|view| layers::by_diff_id(view, layer.diff_id))?;
                let problem = "has no blob: it cannot be proven, saved or pushed".to_owned();
                // A damaged blob is told of as such.
                Ok(rows.is_empty().then_some((problem, false)))
            }
        }
    }

    fn all_layers(&self) -> Result<Vec<Layer>> {
        self.store.database().read(|view| -> Result<_> {
            let mut all: BTreeMap<(usize, String), Layer> = BTreeMap::new();
            for row in images::list(view)? {
                let mut parent = None;
                let layers = images::layers(view, row.id)?.into_iter();
                for (depth, (diff_id, chain)) in layers.enumerate() {
                    let layer = Layer {
                        chain,
                        parent,
                        diff_id,
                    };
                    all.insert((depth, chain.to_string()), layer);
                    parent = Some(chain);
                }
            }
            Ok(all.into_values().collect())
        })
    }

    /// The layers of images that have these files.
    pub(super) fn chains_of(&self, diff_id: DiffId) -> Result<Vec<ChainId>> {
        let all = self.all_layers()?.into_iter();
        Ok(all
            .filter(|layer| layer.diff_id == diff_id)
            .map(|layer| layer.chain)
            .collect())
    }

    /// Why the layer is not there, if so.
    fn presence(&self, layer: &Layer) -> Option<String> {
        let (snapshots, name) = (&self.store.inner().snapshots, layer.chain.to_string());
        match snapshots.status(&name) {
            Ok(status) if status.committed => {}
            _ => return Some("is not unpacked".to_owned()),
        }
        let directory = snapshots.directory(&name).ok()?;
        (!directory.is_dir()).then(|| format!("its directory {} is gone", directory.display()))
    }

    /// Packs a layer that was made here; unpacks another one a second time, and compares.
    fn prove(&self, layer: &Layer) -> Result<Proof> {
        if let Some(made) = self.made(layer)? {
            let reason = match made.pack(std::io::sink()) {
                Ok(()) => return Ok(Proof::Whole),
                Err(Error::Damaged { reason, .. }) => reason,
                Err(error) => error.to_string(),
            };
            return Ok(match self.good_blobs(layer)?.is_empty() {
                true => Proof::Changed(reason),
                false => Proof::Damaged(reason),
            });
        }
        let Some(again) = self.unpack(layer)? else {
            return Ok(Proof::Unproven);
        };
        let snapshots = &self.store.inner().snapshots;
        let expected = snapshots.directory(again.key())?;
        let Ok(directory) = snapshots.directory(&layer.chain.to_string()) else {
            return Ok(Proof::Whole);
        };
        let expected = File::open(&expected).map_err(Error::disk("open", expected))?;
        let found = match File::open(&directory) {
            Ok(found) => found,
            Err(error) => return Ok(Proof::Damaged(format!("{}: {error}", directory.display()))),
        };
        let differences = gantry_archive::compare(expected, found, 1)?;
        Ok(match differences.first() {
            None => Proof::Whole,
            Some(first) => Proof::Damaged(format!("{} is {}", first.path, first.what)),
        })
    }

    fn made(&self, layer: &Layer) -> Result<Option<Made>> {
        let (inner, chain) = (self.store.inner(), Some(layer.chain));
        let database = self.store.database();
        database.read(|view| inner.made(view, layer.diff_id, chain))
    }

    fn good_blobs(&self, layer: &Layer) -> Result<Vec<layers::LayerRow>> {
        let database = self.store.database();
        let mut rows = database.read(|view| layers::by_diff_id(view, layer.diff_id))?;
        rows.retain(|row| self.good.contains(&row.blob));
        Ok(rows)
    }

    /// The layer from a good blob, in a place of its own.
    fn unpack(&self, layer: &Layer) -> Result<Option<Unpacking>> {
        let inner = self.store.inner();
        // What is made here has the top directory of what it stands on.
        let independent = inner.snapshots.capabilities().independent_layers;
        let parent = match independent && self.made(layer)?.is_none() {
            true => None,
            false => layer.parent,
        };
        for row in self.good_blobs(layer)? {
            let Ok(file) = inner.content.reader(row.blob) else {
                continue;
            };
            let active = Unpacking::create(inner, parent)?;
            let file: Box<dyn Read + Send> = Box::new(BufReader::new(file));
            if inner.apply(active.key(), file)?.diff_id == layer.diff_id {
                return Ok(Some(active));
            }
        }
        Ok(None)
    }

    /// Puts the files of a good blob in the place of those that are damaged.
    fn unpack_again(&self, layer: &Layer) -> Result<Result<String, String>> {
        let inner = self.store.inner();
        let name = layer.chain.to_string();
        let there = inner.snapshots.status(&name).is_ok();
        if there && (self.in_use)(layer.chain) {
            let advice = "a running container stands on it: stop it and check again";
            return Ok(Err(advice.to_owned()));
        }
        let Some(again) = self.unpack(layer)? else {
            let advice = "no good blob holds it: pull, load or build the image again, or remove it";
            return Ok(Err(advice.to_owned()));
        };
        inner.make_durable(again.since())?;
        let _gate = inner.gate();
        match there {
            true => inner.snapshots.exchange(again.key(), &name)?,
            false => inner.commit_synced(again, layer.chain, layer.parent)?,
        }
        Ok(Ok("unpacked again from its blob".to_owned()))
    }
}
