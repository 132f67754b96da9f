//! Table `endpoints`: which container has which address on which network. The
//! unique (network, ip) pair is the memory of the address pool: to allocate is
//! to insert, and [`Error::Exists`] means that somebody else was faster.

use rusqlite::{OptionalExtension, Row, params};

use crate::{Error, Tx, View};

const COLUMNS: &str = "network, container, ip, mac, record";

/// One container's place on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// The network's id.
    pub network: String,
    /// The container's id, or any other owner of an address.
    pub container: String,
    /// The address as text, unique per network.
    pub ip: Option<String>,
    /// The hardware address as text.
    pub mac: Option<String>,
    /// JSON: anything else.
    pub record: String,
}

/// Adds an endpoint. Fails with [`Error::Exists`] when the container has one
/// on this network already or the address is taken.
pub fn insert(tx: &Tx<'_>, row: &EndpointRow) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO endpoints (network, container, ip, mac, record) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![
                row.network,
                row.container,
                row.ip,
                row.mac,
                row.record
            ])
        })
        .map_err(Error::inserting(
            "endpoints",
            row.ip.as_ref().unwrap_or(&row.container),
        ))?;
    Ok(())
}

/// Hands an endpoint (such as one made in advance) to another owner; whether
/// there was one.
pub fn rename(tx: &Tx<'_>, network: &str, from: &str, to: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("UPDATE endpoints SET container = ?3 WHERE network = ?1 AND container = ?2")
        .and_then(|mut s| s.execute([network, from, to]))
        .map(|n| n != 0)
        .map_err(Error::inserting("endpoints", to))
}

/// Deletes one endpoint; whether there was one.
pub fn delete(tx: &Tx<'_>, network: &str, container: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM endpoints WHERE network = ?1 AND container = ?2")
        .and_then(|mut s| s.execute([network, container]))
        .map(|n| n != 0)
        .map_err(Error::at("delete endpoint"))
}

/// Deletes all endpoints of a container; how many there were.
pub fn delete_all(tx: &Tx<'_>, container: &str) -> Result<usize, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM endpoints WHERE container = ?1")
        .and_then(|mut s| s.execute([container]))
        .map_err(Error::at("delete endpoints"))
}

/// The container's endpoint on one network.
pub fn get(view: &View<'_>, network: &str, container: &str) -> Result<Option<EndpointRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM endpoints WHERE network = ?1 AND container = ?2"
        ))
        .and_then(|mut s| s.query_row([network, container], from_row).optional())
        .map_err(Error::at("read endpoint"))
}

/// All endpoints on a network.
pub fn by_network(view: &View<'_>, network: &str) -> Result<Vec<EndpointRow>, Error> {
    many(view, "network = ?1 ORDER BY container", network)
}

/// All endpoints of a container.
pub fn by_container(view: &View<'_>, container: &str) -> Result<Vec<EndpointRow>, Error> {
    many(view, "container = ?1 ORDER BY network", container)
}

fn many(view: &View<'_>, condition: &str, value: &str) -> Result<Vec<EndpointRow>, Error> {
    view.connection()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM endpoints WHERE {condition}"
        ))
        .and_then(|mut s| s.query_map([value], from_row)?.collect())
        .map_err(Error::at("list endpoints"))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<EndpointRow> {
    Ok(EndpointRow {
        network: row.get(0)?,
        container: row.get(1)?,
        ip: row.get(2)?,
        mac: row.get(3)?,
        record: row.get(4)?,
    })
}
