//! All containers in memory, by id and by name, and how a client names one.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// Gone, but something of them is still there.
    leaving: HashSet<ContainerId>,
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

    /// Removes a container and its name; what belonged to it is still there, until
    /// [`Table::left`].
    pub(crate) fn remove(&self, container: &Container) {
        let mut inner = self.write();
        inner.leaving.insert(container.id().clone());
        inner.by_id.remove(container.id());
        inner.names.remove(&container.name());
    }

    /// What belonged to a container that was removed is gone.
    pub(crate) fn left(&self, id: &ContainerId) {
        self.write().leaving.remove(id);
    }

    /// Gives a container the other name that was claimed for it, and the old one
    /// up; the answer is the old one. A container that is gone meanwhile has none.
    pub(crate) fn rename(&self, container: &Container, name: &str) -> String {
        let mut inner = self.write();
        if !inner.by_id.contains_key(container.id()) {
            inner.names.remove(name);
        }
        let old = container.set_name(name);
        inner.names.remove(&old);
        old
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().cloned().collect()
    }

    /// The container of this id.
    pub(crate) fn get(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.read().by_id.get(id).cloned()
    }

    /// Whether there is a container of this id, or one to come or on its way out.
    pub(crate) fn is_claimed(&self, id: &ContainerId) -> bool {
        let inner = self.read();
        inner.by_id.contains_key(id)
            || inner.leaving.contains(id)
            || inner.names.values().any(|holder| holder == id)
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

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::super::state::{Phase, State};
    use super::*;

    /// A container whose id begins with `first`, followed by zeros.
    fn container(first: &str, name: &str) -> Arc<Container> {
        let id: ContainerId = format!("{first:0<64}").parse().unwrap();
        let record = Record {
            more_endpoints: std::collections::BTreeMap::new(),
            id_map: None,
            id,
            name: name.to_owned(),
            created: 1,
            image_id: String::new(),
            os: "linux".to_owned(),
            driver: "vfs".to_owned(),
            path: "true".to_owned(),
            args: Vec::new(),
            config: gantry_api::Config::default(),
            host_config: gantry_api::HostConfig::default(),
            network: "none".to_owned(),
            endpoint: gantry_api::EndpointSettings::default(),
            mounts: Vec::new(),
            old_mounts: None,
            step: false,
        };
        Container::new(record, State::created())
    }

    fn table() -> Table {
        let table = Table::default();
        for (first, name) in [("ab1", "web"), ("ab2", "ab1"), ("cd", "db")] {
            let container = container(first, name);
            table.claim(name, container.id()).unwrap();
            table.insert(container);
        }
        table
    }

    #[test]
    fn ids_go_before_names_and_names_before_prefixes() {
        let table = table();
        let name = |idref: &str| table.find(idref).map(|c| c.name());
        for (idref, found) in [("web", "web"), ("/db", "db"), ("ab1", "ab1"), ("c", "db")] {
            assert_eq!(name(idref).unwrap(), found, "{idref}");
        }
        assert_eq!(name(&format!("{:0<64}", "ab1")).unwrap(), "web");
        for (idref, message) in [
            ("ab", "multiple IDs found with provided prefix: ab"),
            ("nope", "No such container: nope"),
            ("", "No such container: "),
        ] {
            assert_eq!(name(idref).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn names_are_given_once_until_they_are_free_again() {
        let table = table();
        let id: ContainerId = format!("{:0<64}", "ef").parse().unwrap();
        let taken = table.claim("web", &id).unwrap_err().to_string();
        assert!(taken.starts_with("Conflict. The container name \"/web\" is already in use by"));
        let web = table.find("web").unwrap();
        table.remove(&web);
        table.claim("web", &id).unwrap();
        // Claimed, but not there yet.
        assert!(table.find("web").is_err());
        table.unclaim("web");
        table.claim("web", &id).unwrap();
    }

    #[test]
    fn a_renamed_container_gives_its_old_name_up() {
        let table = table();
        let web = table.find("web").unwrap();
        table.claim("site", web.id()).unwrap();
        assert_eq!(table.rename(&web, "site"), "web");
        assert_eq!(table.find("site").unwrap().id(), web.id());
        assert!(table.find("web").is_err());
        table.claim("web", web.id()).unwrap();
        table.remove(&web);
        table.claim("site", web.id()).unwrap();
    }

    #[test]
    fn one_starts_and_one_removes() {
        let web = container("ab", "web");
        web.mark_starting().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| web.mark_starting().map_err(|error| error.kind()));
            let removal = scope.spawn(|| web.mark_removing());
            web.update(|state| state.phase = Phase::Running);
            let not_modified = Err(gantry_types::ErrorKind::NotModified);
            assert_eq!(second.join().unwrap(), not_modified);
            assert_eq!(removal.join().unwrap(), Err(Phase::Running));
        });
        web.update(|state| state.phase = Phase::Exited);
        web.mark_removing().unwrap();
        assert_eq!(web.mark_removing(), Err(Phase::Removing));
        assert_eq!(
            web.mark_starting().unwrap_err().to_string(),
            "container is marked for removal and cannot be started"
        );
    }
}
