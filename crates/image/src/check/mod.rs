//! Whether records and disk agree: every blob, every layer, every name; and, when it
//! is wished, the repair of what can be repaired.
//!
//! ```text
//!  blobs ──size, digest──► good ones ──unpack again──► compare with the layer's files
//!                                └────────exchange────► where these are damaged
//!  layers ──pack again, same diffID──► a blob in the place of a damaged one
//! ```
//!
//! Invariants: what is whole is never removed, and what somebody is just making is not
//! taken for damage. It runs beside everything else: whatever was found wrong is looked
//! at again before anything is done about it.

mod blobs;
mod layers;
mod records;

use std::collections::HashSet;

use gantry_types::{ChainId, Digest};

use crate::{ImageStore, Result};

/// How to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Repair what can be repaired.
    pub repair: bool,
    /// Read no blob and no layer: look only whether everything is there.
    pub quick: bool,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, such as `layer`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was done about it, when it is all right now.
    pub repaired: Option<String>,
    /// What can be done about it, when it is not.
    pub advice: Option<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Images.
    pub images: u64,
    /// Layers.
    pub layers: u64,
    /// Blobs.
    pub blobs: u64,
}

/// Where findings go; answers whether anybody still listens.
pub type Tell<'t> = &'t mut dyn FnMut(Finding) -> bool;

/// One run over everything.
struct Check<'c> {
    store: &'c ImageStore,
    options: CheckOptions,
    /// Whether a running container stands on a layer.
    in_use: &'c dyn Fn(ChainId) -> bool,
    tell: Tell<'c>,
    /// The blobs that are what they should be.
    good: HashSet<Digest>,
    checked: Checked,
}

impl ImageStore {
    /// Checks all images, layers and blobs. `in_use` says whether a running container
    /// stands on a layer: its files stay as they are then.
    ///
    /// # Errors
    /// When something cannot be found out at all: `Metadata`, `Content`, `Snapshot`,
    /// `Disk`.
    pub fn check(
        &self,
        options: CheckOptions,
        in_use: &dyn Fn(ChainId) -> bool,
        tell: Tell<'_>,
    ) -> Result<Checked> {
        let mut check = Check {
            store: self,
            options,
            in_use,
            tell,
            good: HashSet::new(),
            checked: Checked::default(),
        };
        check.records()?;
        let damaged = check.blobs()?;
        check.layers()?;
        check.damaged_blobs(damaged)?;
        check.strays()?;
        Ok(check.checked)
    }
}

impl Check<'_> {
    /// Tells of a finding, for which `repair` is tried when repairs are wished: it
    /// answers what it has done, or what can be done.
    fn found(
        &mut self,
        (kind, name, problem): (&'static str, String, String),
        repair: impl FnOnce(&Self) -> Result<Result<String, String>>,
        advice: &str,
    ) -> bool {
        let (repaired, advice) = match self.options.repair {
            false => (None, Some(advice.to_owned())),
            true => match repair(self) {
                Ok(Ok(done)) => (Some(done), None),
                Ok(Err(advice)) => (None, Some(advice)),
                Err(error) => (None, Some(format!("the repair failed: {error}"))),
            },
        };
        let whole = repaired.is_some();
        (self.tell)(Finding {
            kind,
            name,
            problem,
            repaired,
            advice,
        });
        whole
    }
}

/// What is said of everything that `--repair` can do.
const REPAIR: &str = "can be repaired";
