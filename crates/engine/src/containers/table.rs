//! All containers in memory, by id and by name, and how a client names one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gantry_types::ContainerId;

use super::container::Container;
use crate::error::{Error, Result};

/// The containers that exist. Names are claimed before their container is
/// there, so that two creations never share one.
#[derive(Default)]
pub(crate) struct Table {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: BTreeMap<ContainerId, Arc<Container>>,
    names: HashMap<String, ContainerId>,
}

impl Table {
    /// Claims a name for a container to come.
    ///
    /// # Errors
    /// `NameInUse` with the id of its holder.
    pub(crate) fn claim(&self, name: &str, id: &ContainerId) -> Result<()> {
        let mut inner = self.write();
        if let Some(holder) = inner.names.get(name) {
            return Err(Error::NameInUse {
                name: name.to_owned(),
                id: holder.to_string(),
            });
        }
        inner.names.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Gives up a claim whose container did not come to be.
    pub(crate) fn unclaim(&self, name: &str) {
        self.write().names.remove(name);
    }

    /// Adds a container whose name was claimed.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().by_id.insert(container.id().clone(), container);
    }

    /// Removes a container and its name.
    pub(crate) fn remove(&self, container: &Container) {
        let mut inner = self.write();
        inner.by_id.remove(container.id());
        inner.names.remove(&container.record.name);
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().cloned().collect()
    }

    /// The container of this id.
    pub(crate) fn get(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.read().by_id.get(id).cloned()
    }

    /// The container that a client means: by id, by name with or without a
    /// slash, by the beginning of the id.
    ///
    /// # Errors
    /// `NoSuchContainer`, or `AmbiguousPrefix` when several ids begin so.
    pub(crate) fn find(&self, idref: &str) -> Result<Arc<Container>> {
        let inner = self.read();
        let name = idref.strip_prefix('/').unwrap_or(idref);
        let by_id = || inner.by_id.get(&idref.parse::<ContainerId>().ok()?);
        let by_name = || inner.by_id.get(inner.names.get(name)?);
        if let Some(container) = by_id().or_else(by_name) {
            return Ok(Arc::clone(container));
        }
        let unknown = || Error::NoSuchContainer(idref.to_owned());
        if idref.is_empty() {
            return Err(unknown());
        }
        let mut matches = inner
            .by_id
            .values()
            .filter(|container| container.id().as_str().starts_with(idref));
        match (matches.next(), matches.next()) {
            (Some(container), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::AmbiguousPrefix(idref.to_owned())),
            (None, _) => Err(unknown()),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
