//! The layout of Docker before 1.10, for those who can read nothing newer: a
//! directory for each layer, which is an image of its own.
//!
//! ```text
//!  <id>/VERSION     1.0
//!  <id>/json        id, parent, and what the step did; the topmost one: all of it
//!  <id>/layer.tar   unpacked
//!  <hex>.json       the configuration, and manifest.json: for readers since 1.10,
//!                   who find the very same image
//!  repositories     repository → tag → id
//! ```

use std::collections::BTreeMap;

use gantry_archive::tar::Timestamp;
use gantry_types::{ChainId, Digest, History};
use serde_json::{Value, json};

use super::Chosen;
use super::entries::{Entries, Source, created};
use super::layout::{self, Item, Repositories};
use crate::store::Inner;
use crate::{Error, Result};

/// The document of one layer, without its id.
type Described = BTreeMap<String, Value>;

/// All files of the archive.
pub(super) fn entries(inner: &Inner, images: Vec<Chosen>) -> Result<Entries> {
    let mut entries = Entries::new(inner.content.clone(), inner.layer_limits());
    let mut items = Vec::new();
    let mut repositories = Repositories::new();
    for chosen in images {
        let all = described(&chosen)?;
        let ids: Vec<String> = all.iter().map(|(id, _)| id.clone()).collect();
        let config = format!("{}.json", chosen.portable.image.id.0.hex());
        items.push(Item {
            config: config.clone(),
            repo_tags: layout::tags(&chosen),
            layers: ids.iter().map(|id| format!("{id}/layer.tar")).collect(),
            parent: None,
        });
        if let Some(top) = ids.last() {
            layout::name(&mut repositories, &chosen, top);
        }
        let portable = chosen.portable;
        let time = created(&portable.image);
        entries.add(config, Source::Bytes(portable.config), time);
        for ((id, document), layer) in all.into_iter().zip(portable.layers) {
            let document = layout::json(&document)?;
            entries.add(
                format!("{id}/VERSION"),
                Source::Bytes(b"1.0".to_vec()),
                time,
            );
            entries.add(format!("{id}/json"), Source::Bytes(document), time);
            let source = match layer {
                (_, Source::Blob(blob)) => Source::Unpacked(blob),
                (_, other) => other,
            };
            entries.add(format!("{id}/layer.tar"), source, time);
        }
    }
    let mut add = |name: &str, bytes| {
        entries.add(name.to_owned(), Source::Bytes(bytes), Timestamp::default());
    };
    add("manifest.json", layout::line(&items)?);
    add("repositories", layout::line(&repositories)?);
    Ok(entries)
}

/// The documents of an image's layers by their ids, bottom first. An id is made of
/// all that is below: layers that images share are in the archive once.
fn described(chosen: &Chosen) -> Result<Vec<(String, Described)>> {
    let image = &chosen.portable.image;
    let chain = ChainId::chain(&image.diff_ids);
    let mut steps = image.config.history.iter().filter(|step| !step.empty_layer);
    let mut all: Vec<(String, Described)> = Vec::with_capacity(chain.len());
    for (index, chain_id) in chain.iter().enumerate() {
        let step = steps.next().cloned().unwrap_or_default();
        let mut document = step_document(&step);
        if index + 1 == chain.len() {
            document.extend(whole(&chosen.portable.config)?);
        }
        document.insert("os".to_owned(), json!(image.config.os));
        document.insert("architecture".to_owned(), json!(image.config.architecture));
        document.insert("layer_id".to_owned(), json!(chain_id));
        if let Some((parent, _)) = all.last() {
            document.insert("parent".to_owned(), json!(parent));
        }
        let id = Digest::of(&layout::json(&document)?).hex();
        document.insert("id".to_owned(), json!(id));
        all.push((id, document));
    }
    Ok(all)
}

fn step_document(step: &History) -> Described {
    let mut document = Described::new();
    let mut add = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    let created = step.created.as_deref().unwrap_or("1970-01-01T00:00:00Z");
    add("created", json!(created));
    if let Some(text) = &step.author {
        add("author", json!(text));
    }
    if let Some(text) = &step.comment {
        add("comment", json!(text));
    }
    if let Some(text) = &step.created_by {
        add("container_config", json!({ "Cmd": [text] }));
    }
    document
}

/// What the configuration says, without what that time did not know.
fn whole(config: &[u8]) -> Result<Described> {
    let mut document: Described = serde_json::from_slice(config)
        .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
    document.remove("rootfs");
    document.remove("history");
    Ok(document)
}
