//! The schema as SQL, and the way from an older one to it. The drawing of it
//! is in the crate's documentation: change both together.

use std::path::Path;

use rusqlite::Connection;

use crate::Error;

/// `PRAGMA application_id`: "gntr".
const APPLICATION_ID: i64 = 0x676e_7472;

/// Step n brings version n to version n + 1. Steps are never changed once
/// released, only added.
const STEPS: &[&str] = &[
    V1,
    ID_RANGES,
    VOLUMES,
    SEALS,
    REGISTRY,
    IMAGE_USE,
    BUILDS,
    VOLUME_MOUNTS,
    IMAGE_FORMS,
    UNSETTLED_BUILDS,
    MADE_LAYERS,
];

const V1: &str = "
CREATE TABLE blobs (
    digest      TEXT PRIMARY KEY,
    size        INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE layers (
    diff_id     TEXT NOT NULL,
    blob        TEXT NOT NULL REFERENCES blobs(digest) ON DELETE CASCADE,
    media_type  TEXT NOT NULL,
    size        INTEGER NOT NULL,
    PRIMARY KEY (diff_id, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX layers_blob ON layers(blob);
CREATE TABLE images (
    id          TEXT PRIMARY KEY,
    config      BLOB NOT NULL,
    manifest    TEXT REFERENCES blobs(digest),
    parent      TEXT,
    top         TEXT,
    size        INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    tagged_at   INTEGER
) STRICT;
CREATE INDEX images_manifest ON images(manifest);
CREATE INDEX images_parent ON images(parent);
CREATE TABLE image_layers (
    image       TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    diff_id     TEXT NOT NULL,
    chain_id    TEXT NOT NULL,
    PRIMARY KEY (image, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_layers_diff ON image_layers(diff_id);
CREATE INDEX image_layers_chain ON image_layers(chain_id);
CREATE TABLE refs (
    name        TEXT PRIMARY KEY,
    repository  TEXT NOT NULL,
    image       TEXT NOT NULL REFERENCES images(id),
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refs_image ON refs(image);
CREATE TABLE snapshots (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    driver      TEXT NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('active', 'committed')),
    parent      TEXT,
    size        INTEGER NOT NULL DEFAULT 0,
    inodes      INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    UNIQUE (driver, name)
) STRICT;
CREATE INDEX snapshots_parent ON snapshots(driver, parent);
CREATE TABLE leases (
    id          TEXT PRIMARY KEY,
    purpose     TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lease_items (
    lease       TEXT NOT NULL REFERENCES leases(id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,
    PRIMARY KEY (lease, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_items_key ON lease_items(kind, key);
CREATE TABLE containers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    image_id    TEXT,
    created_at  INTEGER NOT NULL,
    record      TEXT NOT NULL,
    state       TEXT NOT NULL
) STRICT;
CREATE INDEX containers_image ON containers(image_id);
CREATE TABLE networks (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    driver      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    record      TEXT NOT NULL
) STRICT;
CREATE TABLE endpoints (
    network     TEXT NOT NULL REFERENCES networks(id),
    container   TEXT NOT NULL,
    ip          TEXT,
    mac         TEXT,
    record      TEXT NOT NULL,
    PRIMARY KEY (network, container),
    UNIQUE (network, ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoints_container ON endpoints(container);
";

const ID_RANGES: &str = "
CREATE TABLE id_ranges (
    first       INTEGER PRIMARY KEY,
    size        INTEGER NOT NULL,
    container   TEXT NOT NULL UNIQUE REFERENCES containers(id) ON DELETE CASCADE
) STRICT;
";

const VOLUMES: &str = "
CREATE TABLE volumes (
    name        TEXT PRIMARY KEY,
    driver      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    record      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const SEALS: &str = "
CREATE TABLE seals (
    image       TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    repository  TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (image, repository)
) STRICT, WITHOUT ROWID;
";

const REGISTRY: &str = "
CREATE TABLE registry_repositories (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL
) STRICT;
CREATE TABLE registry_blobs (
    repository  INTEGER NOT NULL REFERENCES registry_repositories(id) ON DELETE CASCADE,
    digest      TEXT NOT NULL REFERENCES blobs(digest),
    used_at     INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_blobs_digest ON registry_blobs(digest);
CREATE TABLE registry_manifests (
    repository  INTEGER NOT NULL REFERENCES registry_repositories(id) ON DELETE CASCADE,
    digest      TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    artifact_type TEXT,
    subject     TEXT,
    annotations TEXT,
    used_at     INTEGER NOT NULL,
    bytes       BLOB NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX registry_manifests_subject ON registry_manifests(repository, subject)
    WHERE subject IS NOT NULL;
CREATE TABLE registry_needs (
    repository  INTEGER NOT NULL,
    manifest    TEXT NOT NULL,
    needed      TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, needed),
    FOREIGN KEY (repository, manifest) REFERENCES registry_manifests(repository, digest)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_needs_needed ON registry_needs(repository, needed);
CREATE TABLE registry_tags (
    repository  INTEGER NOT NULL,
    tag         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, digest) REFERENCES registry_manifests(repository, digest)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_tags_digest ON registry_tags(repository, digest);
CREATE TABLE registry_uploads (
    id          TEXT PRIMARY KEY,
    repository  TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE registry_stars (
    repository  INTEGER NOT NULL REFERENCES registry_repositories(id) ON DELETE CASCADE,
    who         TEXT NOT NULL,
    PRIMARY KEY (repository, who)
) STRICT, WITHOUT ROWID;
";

const IMAGE_USE: &str = "
ALTER TABLE images ADD COLUMN used_at INTEGER;
";

const BUILDS: &str = "
CREATE TABLE build_results (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    place       TEXT NOT NULL,
    description TEXT NOT NULL,
    inputs      TEXT NOT NULL,
    parent      TEXT,
    layers      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    uses        INTEGER NOT NULL,
    boot        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX build_results_place ON build_results(place);
CREATE TABLE build_keys (
    key         TEXT PRIMARY KEY,
    result      TEXT NOT NULL REFERENCES build_results(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX build_keys_result ON build_keys(result);
";

const VOLUME_MOUNTS: &str = "
CREATE TABLE volume_mounts (
    id          TEXT PRIMARY KEY,
    volume      TEXT NOT NULL,
    driver      TEXT NOT NULL,
    holder      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const IMAGE_FORMS: &str = "
CREATE TABLE image_forms (
    image       TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    bytes       BLOB,
    PRIMARY KEY (image, position)
) STRICT;
CREATE INDEX image_forms_digest ON image_forms(digest);
";

const UNSETTLED_BUILDS: &str = "
CREATE INDEX build_results_unsettled ON build_results(boot) WHERE boot != '';
";

const MADE_LAYERS: &str = "
CREATE TABLE made_layers (
    diff_id     TEXT NOT NULL,
    chain_id    TEXT NOT NULL,
    size        INTEGER NOT NULL,
    archive     INTEGER NOT NULL,
    PRIMARY KEY (diff_id, chain_id)
) STRICT, WITHOUT ROWID;
";

/// Brings the database to the newest version, in one transaction.
///
/// Fails with [`Error::NewerSchema`] or [`Error::Foreign`] before anything is
/// changed.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let at = Error::opening(path);
    let tx = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(&at)?;
    let number = |name: &str| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = number("user_version").map_err(&at)?;
    let application = number("application_id").map_err(&at)?;
    let tables: i64 = tx
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(&at)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(Error::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }
    let known = STEPS.len() as i64;
    if version > known {
        return Err(Error::NewerSchema {
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    if version == known {
        return Ok(());
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        tx.execute_batch(step).map_err(&at)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| tx.pragma_update(None, "user_version", known))
        .and_then(|()| tx.commit())
        .map_err(&at)
}
