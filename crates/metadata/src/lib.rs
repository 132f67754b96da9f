//! Every durable record of the engine, in one SQLite database.
//!
//! Invariants: records change only inside a transaction ([`Database::write`],
//! [`Database::write_durable`], …); there is one writer at a time; a record never
//! points at bytes that are not there yet (bytes first, record after), so a
//! crash leaves at most bytes without a record, which their owner collects.
//! This crate has never heard of Docker, of directories or of processes: what
//! a JSON column means is the business of the crate that writes it.
//!
//! One module per table, each with a row type and free functions: reading ones
//! take a [`View`], changing ones a [`Tx`] (which is a view as well).
//!
//! # The schema
//!
//! ```text
//! blobs         digest PK · size · created_at
//!               one file of the content store
//! layers        (diff_id, blob) PK · media_type · size (of its files, unpacked)
//!               which blob holds a layer, and in what packing; blob → blobs
//! made_layers   (diff_id, chain_id) PK · size (of its files) · archive (length of its tar)
//!               a layer that was made here: a snapshot has its files, no blob need have them
//! images        id PK (digest of config) · config (the exact bytes) · manifest → blobs
//!               · parent · top (chainID) · size · created_at · tagged_at
//!               · used_at (when a container of it was last removed)
//! image_layers  (image, position) PK · diff_id · chain_id
//!               the layers of an image, bottom first; image → images (cascade)
//! image_forms   (image, position) PK · digest · media_type · bytes (none for a layer)
//!               how an image leaves if not plainly, the root first; image → images (cascade)
//! refs          name PK (normalised reference) · image → images · repository · updated_at
//!               the tags; module `references`
//! seals         (image, repository) PK · key · digest · created_at
//!               which key's signature let an image in; image → images (cascade)
//! snapshots     (driver, name) PK · id (unique number, never used again: the directory)
//!               · kind active|committed · parent (a name of the same driver) · size · inodes
//!               · created_at
//! leases        id PK · purpose · created_at
//!               kept by a running daemon only: cleared when the next one starts, but for
//!               those of the cache of builds
//! lease_items   (lease, kind, key) PK      kind: image | blob | snapshot
//!               what must not be collected meanwhile; lease → leases (cascade)
//! containers    id PK · name UNIQUE · image_id · created_at · record (JSON) · state (JSON)
//! id_ranges     first PK · size · container UNIQUE → containers (cascade)
//!               ids of the host that a container has to itself
//! networks      id PK · name UNIQUE · driver · created_at · record (JSON)
//! endpoints     (network, container) PK · ip UNIQUE per network · mac · record (JSON)
//!               network → networks; the ip column is the address pool's memory
//! volumes       name PK · driver · created_at · record (JSON)
//!               who uses one, the records of the containers say
//! build_results id PK (of its lease too) · kind · place · description · inputs (JSON) · parent
//!               · layers (diffIDs) · size · created_at · used_at · uses · boot
//!               what a step of a build has made
//! build_keys    key PK · result → build_results (cascade)
//! volume_mounts id PK · volume · driver · holder; what a plug-in was asked to mount
//!
//! of a registry (module `registry`), with blobs of its own in `blobs`:
//! registry_repositories  id PK · name UNIQUE · description · created_at
//! registry_blobs      (repository, digest) PK · used_at        digest → blobs
//! registry_manifests  (repository, digest) PK · media_type · artifact_type · subject
//!                     · annotations (JSON) · used_at · bytes
//! registry_needs      (repository, manifest, needed) PK
//!                     what a manifest consists of; → registry_manifests (cascade)
//! registry_tags       (repository, tag) PK · digest · updated_at
//!                     → registry_manifests (cascade)
//! registry_uploads    id PK · repository (name) · created_at
//! registry_stars      (repository, who) PK
//! ```
//!
//! Digests and ids are text, times are nanoseconds since 1970 (UTC), JSON is text.

mod column;
mod database;
mod error;
mod mend;
mod reserve;
mod schema;

pub mod blobs;
pub mod builds;
pub mod containers;
pub mod endpoints;
pub mod forms;
pub mod id_ranges;
pub mod images;
pub mod layers;
pub mod leases;
pub mod networks;
pub mod references;
pub mod registry;
pub mod seals;
pub mod snapshots;
pub mod volume_mounts;
pub mod volumes;

pub use database::{Database, Tx, View};
pub use error::Error;
pub use mend::mend;

/// Nanoseconds since 1970 (UTC), as the tables keep them.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}
