//! The tables of a registry (`registry_*`): which repository has which blobs,
//! manifests and tags, and what is being uploaded. They are empty in an engine's
//! own database.
//!
//! A manifest's bytes are in its row, so that one transaction makes it durable
//! together with its tags; blobs are files of the content store.

pub mod blobs;
pub mod manifests;
pub mod repositories;
pub mod stars;
pub mod tags;
pub mod uploads;
