//! Results that others have made and that are to be had from elsewhere: looked for when
//! the cache has none, and only for steps whose result is needed.

use gantry_image::Lease;
use gantry_types::DiffId;

use crate::Result;
use crate::cache::{Entry, Stored};
use crate::graph::Node;
use crate::solve::{Layers, Solver, Value};

/// Results from elsewhere.
pub trait Imports: Send + Sync {
    /// What is known of the result that a key stands for, which stays where it is.
    fn look(&self, key: &str) -> Option<Brought>;

    /// Brings the result that a key stands for here, held by the lease; `None` when
    /// there is none, or it cannot be had.
    fn bring(&self, key: &str, lease: &Lease) -> Option<Brought>;
}

/// A result that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// All its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Sum of the sizes of the files of its own layer.
    pub size: u64,
}

impl Solver<'_> {
    /// What is told of a step that nobody needs: it is not brought here.
    pub(crate) fn heard_of(&self, key: &str) -> Option<Value> {
        let known = self.imports?.look(key)?;
        Some(Value::Layers(Layers {
            diff_ids: known.diff_ids,
            created: known.created,
            size: known.size,
            stored: None,
            cached: true,
        }))
    }

    /// The result of a step as an image here has it.
    pub(crate) fn told(
        &self,
        node: &Node,
        key: &str,
        (diff_ids, created): &(Vec<DiffId>, i64),
    ) -> Result<Option<Stored>> {
        let cached = self.cache.find(key, self.lease)?;
        if let Some(cached) = cached.filter(|cached| cached.diff_ids == *diff_ids) {
            return Ok(Some(cached));
        }
        if !self.images.hold_layers(self.lease, diff_ids)? {
            return Ok(None);
        }
        let brought = Brought {
            diff_ids: diff_ids.clone(),
            created: *created,
            size: 0,
        };
        self.remember(node, key, brought).map(Some)
    }

    /// The result of a step that a key stands for: of the cache, or else from elsewhere.
    pub(crate) fn find(&self, node: &Node, key: &str) -> Result<Option<Stored>> {
        if let Some(stored) = self.cache.find(key, self.lease)? {
            return Ok(Some(stored));
        }
        let brought = self.imports.and_then(|from| from.bring(key, self.lease));
        let Some(brought) = brought else {
            return Ok(None);
        };
        self.remember(node, key, brought).map(Some)
    }

    fn remember(&self, node: &Node, key: &str, brought: Brought) -> Result<Stored> {
        let since = self.images.epoch();
        let entry = Entry {
            kind: node.op.kind().to_owned(),
            place: node.place.clone(),
            description: node.label.clone(),
            diff_ids: brought.diff_ids.clone(),
            size: brought.size,
            created: brought.created,
            ..Entry::default()
        };
        let id = self.cache.insert(&entry, &[key.to_owned()], since)?;
        Ok(Stored {
            id,
            diff_ids: brought.diff_ids,
            created: brought.created,
            size: brought.size,
        })
    }
}
