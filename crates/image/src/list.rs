//! `docker images`.

mod pattern;

pub(crate) use pattern::matches_reference;

use std::collections::{BTreeMap, HashMap};

use gantry_metadata::{View, images};
use gantry_types::{DiffId, ImageId, Platform, Reference};

use crate::history::layer_sizes;
use crate::image::familiar;
use crate::resolve::resolve;
use crate::{Image, ImageStore, Result};

/// Which images to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Also untagged images that others were built from.
    pub all: bool,
    /// Only images without names (`true`), or only those with (`false`).
    pub dangling: Option<bool>,
    /// `key` or `key=value`; all must match.
    pub labels: Vec<String>,
    /// Made before all of these images.
    pub before: Vec<String>,
    /// Made after all of these images.
    pub since: Vec<String>,
    /// Made before this time, in nanoseconds since 1970.
    pub until: Option<i64>,
    /// Shell patterns over names; one must match.
    pub references: Vec<String>,
    /// Whether to find out how much images share.
    pub shared_size: bool,
}

/// One image in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: ImageId,
    /// The image it was built from, where that is known.
    pub parent: Option<ImageId>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Bytes, unpacked.
    pub size: u64,
    /// Bytes of layers that other images have too, when asked for.
    pub shared_size: Option<u64>,
    /// Tags as users write them.
    pub repo_tags: Vec<String>,
    /// Digests as users write them.
    pub repo_digests: Vec<String>,
    /// What it runs on.
    pub platform: Platform,
    /// Labels of its configuration.
    pub labels: Option<BTreeMap<String, String>>,
}

impl ImageStore {
    /// The images that match, newest first.
    ///
    /// # Errors
    /// `NoSuchImage` for an image named in the filter, `Metadata`.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<Summary>> {
        self.database().read(|view| {
            let mut all = Vec::new();
            for row in images::list(view)? {
                all.push(Image::load(view, row)?);
            }
            let limits = Limits::find(view, filter)?;
            let sharing = filter.shared_size.then(|| sharing(&all));
            let parents: Vec<ImageId> = all.iter().filter_map(|image| image.parent).collect();
            let mut list = Vec::new();
            for image in &all {
                if !limits.admit(image) || !has_labels(image, &filter.labels) {
                    continue;
                }
                let Some(names) = names(image, filter, parents.contains(&image.id)) else {
                    continue;
                };
                let shared_size = match &sharing {
                    Some(sharing) => Some(shared_size(view, image, sharing)?),
                    None => None,
                };
                list.push(summary(image, &names, shared_size));
            }
            gantry_types::sort::by_key(&mut list, |summary| std::cmp::Reverse(summary.created));
            Ok(list)
        })
    }
}

fn summary(image: &Image, names: &[Reference], shared_size: Option<u64>) -> Summary {
    let labels = image.config.config.as_ref();
    Summary {
        id: image.id,
        parent: image.parent,
        created: image.created().div_euclid(1_000_000_000),
        size: image.size,
        shared_size,
        repo_tags: familiar(names, false),
        repo_digests: familiar(names, true),
        platform: image.platform(),
        labels: labels.and_then(|config| config.labels.clone()),
    }
}

/// The names to show, or `None` when the image is not to be shown.
fn names(image: &Image, filter: &ListFilter, is_parent: bool) -> Option<Vec<Reference>> {
    let matching: Vec<Reference> = image
        .references
        .iter()
        .filter(|name| {
            filter.references.is_empty()
                || filter
                    .references
                    .iter()
                    .any(|wanted| pattern::matches_reference(wanted, name))
        })
        .cloned()
        .collect();
    if matching.is_empty() {
        let hidden = (is_parent && !filter.all)
            || filter.dangling == Some(false)
            || !filter.references.is_empty();
        return (!hidden).then(Vec::new);
    }
    // One that only a digest names dangles, and is in both lists.
    let has_tag = matching.iter().any(|name| name.tag().is_some());
    (filter.dangling != Some(true) || !has_tag).then_some(matching)
}

struct Limits {
    before: Option<i64>,
    since: Option<i64>,
}

impl Limits {
    fn find(view: &View<'_>, filter: &ListFilter) -> Result<Self> {
        let (mut before, mut since) = (filter.until, None);
        for name in &filter.before {
            let created = resolve(view, name)?.created();
            before = Some(before.map_or(created, |time: i64| time.min(created)));
        }
        for name in &filter.since {
            let created = resolve(view, name)?.created();
            since = Some(since.map_or(created, |time: i64| time.max(created)));
        }
        Ok(Self { before, since })
    }

    fn admit(&self, image: &Image) -> bool {
        let created = image.created();
        self.before.is_none_or(|time| created < time)
            && self.since.is_none_or(|time| created > time)
    }
}

/// Whether the image has all labels, each `key` or `key=value`.
pub(crate) fn has_labels(image: &Image, wanted: &[String]) -> bool {
    let labels = image.config.config.as_ref().and_then(|c| c.labels.as_ref());
    wanted.iter().all(|wanted| {
        let (key, value) = match wanted.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (wanted.as_str(), None),
        };
        let found = labels.and_then(|labels| labels.get(key));
        found.is_some_and(|found| value.is_none_or(|value| value == found))
    })
}

/// How many images have each layer state.
fn sharing(images: &[Image]) -> HashMap<gantry_types::ChainId, u32> {
    let mut users = HashMap::new();
    for image in images {
        for chain in gantry_types::ChainId::chain(&image.diff_ids) {
            *users.entry(chain).or_default() += 1;
        }
    }
    users
}

fn shared_size(
    view: &View<'_>,
    image: &Image,
    users: &HashMap<gantry_types::ChainId, u32>,
) -> Result<u64> {
    let sizes: HashMap<DiffId, u64> = layer_sizes(view, &image.diff_ids)?;
    let chains = gantry_types::ChainId::chain(&image.diff_ids);
    Ok(image
        .diff_ids
        .iter()
        .zip(chains)
        .filter(|(_, chain)| users.get(chain).is_some_and(|users| *users > 1))
        .filter_map(|(diff_id, _)| sizes.get(diff_id))
        .sum())
}
