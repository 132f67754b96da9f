//! What is remembered of the three built-in networks: their ids, and the
//! subnet that was chosen for the bridge.

use gantry_metadata::networks::{self, NetworkRow};
use gantry_metadata::{Database, Tx};
use serde::{Deserialize, Serialize};

use crate::builtin;
use crate::cidr::Ipv4Cidr;
use crate::definition::Definition;
use crate::error::Error;
use crate::mode::NetworkMode;
use crate::random;

/// The JSON in a network's row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The bridge's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bridge: Option<String>,
    /// The bridge's address and subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Ipv4Cidr>,
}

/// A built-in network as it is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    pub(crate) record: Record,
}

/// The record of a built-in network; made with a new id at the first time.
pub(crate) fn find_or_make(database: &Database, mode: NetworkMode) -> Result<Known, Error> {
    let name = mode.name();
    let found = database
        .read(|view| networks::by_name(view, name))
        .map_err(failed(name))?;
    if let Some(row) = found {
        return Ok(Known {
            record: parse(&row)?,
            created: row.created_at,
            id: row.id,
        });
    }
    let row = NetworkRow {
        id: random::id()?,
        name: name.to_owned(),
        driver: driver(mode).to_owned(),
        created_at: gantry_metadata::now(),
        record: "{}".to_owned(),
    };
    database
        .write_durable(|tx| networks::insert(tx, &row))
        .map_err(failed(name))?;
    Ok(Known {
        created: row.created_at,
        id: row.id,
        record: Record::default(),
    })
}

/// Remembers the bridge network's bridge and address.
pub(crate) fn remember(database: &Database, id: &str, record: &Record) -> Result<(), Error> {
    let name = NetworkMode::Bridge.name();
    let text = serde_json::to_string(record).map_err(|source| Error::Record {
        name: name.to_owned(),
        source: source.into(),
    })?;
    database
        .write_durable(|tx: &Tx<'_>| networks::set_record(tx, id, &text))
        .map_err(failed(name))?;
    Ok(())
}

/// Docker's name of the driver of a built-in network.
pub(crate) const fn driver(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::None => "null",
        NetworkMode::Host => "host",
        NetworkMode::Bridge | NetworkMode::User => "bridge",
    }
}

/// The networks that users made. What cannot be read is told and left out.
pub(crate) fn users_networks(database: &Database) -> Result<Vec<Definition>, Error> {
    let rows = database.read(networks::list).map_err(failed("of all"))?;
    let predefined = |row: &NetworkRow| builtin::NAMES.contains(&row.name.as_str());
    let rows = rows.into_iter().filter(|row| !predefined(row));
    let read = |row: NetworkRow| match serde_json::from_str::<Definition>(&row.record) {
        Ok(definition) => Some(definition),
        Err(error) => {
            tracing::error!(network = row.name, %error, "a network's record cannot be read");
            None
        }
    };
    Ok(rows.filter_map(read).collect())
}

/// Writes a user's network down.
pub(crate) fn insert(database: &Database, definition: &Definition) -> Result<(), Error> {
    let name = &definition.name;
    let record = serde_json::to_string(definition).map_err(|source| Error::Record {
        name: name.clone(),
        source: source.into(),
    })?;
    let row = NetworkRow {
        id: definition.id.clone(),
        name: name.clone(),
        driver: definition.driver.clone(),
        created_at: definition.created,
        record,
    };
    database
        .write_durable(|tx| networks::insert(tx, &row))
        .map_err(failed(name))
}

/// Forgets a user's network.
pub(crate) fn delete(database: &Database, id: &str) -> Result<(), Error> {
    database
        .write_freeing_durable(|tx| networks::delete(tx, id).map(drop))
        .map_err(failed(id))
}

fn parse(row: &NetworkRow) -> Result<Record, Error> {
    serde_json::from_str(&row.record).map_err(|source| Error::Record {
        name: row.name.clone(),
        source: source.into(),
    })
}

fn failed(name: &str) -> impl FnOnce(gantry_metadata::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Record {
        name,
        source: source.into(),
    }
}
