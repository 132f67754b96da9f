//! `--link` on the default bridge: what a container is told of another one, in its
//! environment and in `/etc/hosts`. In users' networks a link is one more name that
//! the resolver knows, for this container alone.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gantry_api::HostConfig;
use gantry_network::{Attachment, Linked, NetworkMode, Protocol};
use serde::{Deserialize, Serialize};

use super::Inner;
use super::container::Container;
use super::publish;
use super::record::Record;
use crate::error::{Error, Result};

/// What a container was told of others at its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Links {
    /// Variables.
    pub(crate) env: Vec<String>,
    /// Names and addresses.
    pub(crate) hosts: Vec<(String, IpAddr)>,
    /// The ports of theirs that it reaches, also where containers do not reach each other.
    #[serde(skip)]
    pub(crate) open: Vec<Linked>,
}

/// The two halves of a link: whom, and by what name.
pub(crate) fn halves(link: &str) -> (&str, &str) {
    let (target, alias) = link.split_once(':').unwrap_or((link, link));
    (
        target.trim_start_matches('/'),
        alias.trim_start_matches('/'),
    )
}

impl Inner {
    /// Puts ids in the place of names, which may be another's tomorrow.
    ///
    /// # Errors
    /// `Invalid` when there is no such container, or it shares the host's network.
    pub(super) fn name_links(&self, host: &mut HostConfig) -> Result<()> {
        if NetworkMode::parse(&host.network_mode) == NetworkMode::User {
            // There they are names, which the resolver looks up.
            return Ok(());
        }
        for link in host.links.iter_mut().flatten() {
            let (target, alias) = halves(link);
            if target.is_empty() || alias.is_empty() || alias.contains(':') {
                return Err(Error::Invalid(format!("bad format for links: {link}")));
            }
            let found = self.find(target).map_err(|error| {
                Error::Invalid(format!("could not get container for {target}: {error}"))
            })?;
            if found.record().network == "host" {
                return Err(Error::Invalid(
                    "conflicting options: host type networking can't be used with links. This \
                     would result in undefined behavior"
                        .to_owned(),
                ));
            }
            *link = format!("{}:{alias}", found.id());
        }
        Ok(())
    }

    /// What a container is to be told of those that it is linked to.
    ///
    /// # Errors
    /// `Conflict` when one of them does not run, or is not in the default network.
    pub(super) fn links(&self, container: &Container) -> Result<Links> {
        let record = container.record();
        let mut links = Links::default();
        for link in record.host_config.links.iter().flatten() {
            let (target, alias) = halves(link);
            let target = self.find(target)?;
            target.wait_started();
            let state = target.state();
            let own = container.name();
            if !state.running() {
                return Err(Error::Conflict(format!(
                    "Cannot link to a non running container: /{} AS /{own}/{alias}",
                    target.name()
                )));
            }
            let places = state.attachment.iter().flat_map(|a| &a.endpoints);
            let mut places = places.filter(|place| place.network == "bridge");
            let Some(address) = places.next().and_then(|p| p.addresses().first().copied()) else {
                return Err(Error::Conflict(format!(
                    "Cannot link to /{}, as it does not belong to the default network",
                    target.name()
                )));
            };
            let hostname = target.record().config.hostname.clone();
            let mut names = vec![alias.to_owned()];
            names.extend(Some(hostname).filter(|name| !name.is_empty()));
            if target.name() != alias {
                names.push(target.name());
            }
            links.hosts.push((names.join(" "), address));
            let path = format!("/{own}/{alias}");
            let exposed = publish::exposed_ports(&target.record().config);
            links
                .open
                .extend(exposed.into_iter().map(|(port, protocol)| Linked {
                    container: target.id().clone(),
                    protocol,
                    to: SocketAddr::new(address, port),
                }));
            links
                .env
                .extend(variables(&target.record(), alias, &path, address));
        }
        Ok(links)
    }

    /// Takes a link away: `path` is the name of the container that was told of the
    /// other, and by what name it knows that.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Failed` for the name of a container, which is none of a link.
    pub(super) fn remove_link(&self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        let Some((name, alias)) = path.split_once('/') else {
            self.find(path)?;
            return Err(Error::Failed(
                "Conflict, cannot remove the default link name of the container".to_owned(),
            ));
        };
        let missing = || Error::NoSuchContainer(path.to_owned());
        let container = self.find(name).map_err(|_| missing())?;
        let _alone = container.freezer();
        container.wait_started();
        let mut record = Record::clone(&container.record());
        let mut links = record.host_config.links.take().ok_or_else(missing)?;
        let count = links.len();
        links.retain(|link| halves(link).1 != alias);
        if links.len() == count {
            return Err(missing());
        }
        record.host_config.links = Some(links).filter(|links| !links.is_empty());
        self.write_record(&record)?;
        container.replace_record(record);
        self.forget_link(&container, alias);
        Ok(())
    }

    /// A running container is not told of a link any more: what it runs has its
    /// variables still, what is added to it has not.
    fn forget_link(&self, container: &Container, alias: &str) {
        let state = container.state();
        let Some((before, place)) = state.links.zip(state.attachment) else {
            return;
        };
        // Those that are left may have ended since: then they are as they were.
        let after = self.links(container).unwrap_or_else(|_| {
            let mut left = before.clone();
            let is_other = |names: &str| names.split(' ').next() != Some(alias);
            left.hosts.retain(|(names, _)| is_other(names));
            left.open.clone_from(&place.linked);
            let gone = |to: &Linked| {
                before
                    .hosts
                    .iter()
                    .any(|(names, address)| !is_other(names) && *address == to.to.ip())
            };
            left.open.retain(|to| !gone(to));
            left
        });
        self.change_links(container, &before, &after, &place);
    }

    /// A running container is told of the links that it has now.
    fn change_links(
        &self,
        container: &Container,
        before: &Links,
        after: &Links,
        place: &Attachment,
    ) {
        self.tell_of_change(container, (place, &before.hosts), (place, &after.hosts));
        if let Err(error) = self.network.link(container.id(), &after.open) {
            tracing::error!(id = %container.id(), %error, "linked containers are not reached");
        }
        self.settle_fact(container, |state| {
            state.links = Some(after.clone()).filter(|links| *links != Links::default());
            if let Some(attachment) = &mut state.attachment {
                attachment.linked.clone_from(&after.open);
            }
        });
    }

    /// The container that another one knows by the last part of a path: `web/db`.
    pub(super) fn linked(&self, path: &str) -> Option<Arc<Container>> {
        let (name, alias) = path.trim_start_matches('/').split_once('/')?;
        let record = self.table.find(name).ok()?.record();
        let mut links = default_links(&record);
        let (target, _) = links.find(|(_, known)| *known == alias)?;
        self.table.find(target).ok()
    }

    /// What containers are called by those that are linked to them, by their ids.
    pub(super) fn link_names(&self) -> HashMap<String, Vec<String>> {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for container in self.table.all() {
            for (target, alias) in default_links(&container.record()) {
                let name = format!("/{}/{alias}", container.name());
                names.entry(target.to_owned()).or_default().push(name);
            }
        }
        names
    }

    /// Tells running containers where one is now that they are linked to and that has
    /// started again.
    pub(super) fn renew_links_to(&self, target: &Container) {
        let id = target.id().as_str();
        for container in self.table.all() {
            let record = container.record();
            if !default_links(&record).any(|(known, _)| known == id) {
                continue;
            }
            let state = container.state();
            if !state.running() {
                continue;
            }
            // Those that cannot be told of yet are told of when they start.
            if let (Some(place), Ok(after)) = (state.attachment, self.links(&container)) {
                let before = state.links.unwrap_or_default();
                self.change_links(&container, &before, &after, &place);
            }
        }
    }

    /// The links as `inspect` shows them.
    pub(super) fn shown_links(&self, name: &str, host: &HostConfig) -> Option<Vec<String>> {
        let links = host.links.as_ref()?;
        let shown = links.iter().filter_map(|link| {
            let (target, alias) = halves(link);
            let target = self.find(target).ok()?;
            Some(format!("/{}:/{name}/{alias}", target.name()))
        });
        Some(shown.collect())
    }
}

/// Whom a container is linked to in the default network, and by what names.
fn default_links(record: &Record) -> impl Iterator<Item = (&str, &str)> {
    let host = &record.host_config;
    let named = NetworkMode::parse(&host.network_mode) == NetworkMode::User;
    let links = host.links.iter().filter(move |_| !named).flatten();
    links.map(|link| halves(link))
}

fn variables(target: &Record, alias: &str, path: &str, address: IpAddr) -> Vec<String> {
    let prefix = alias.replace('-', "_").to_uppercase();
    let mut env = vec![format!("{prefix}_NAME={path}")];
    let mut ports = publish::exposed_ports(&target.config);
    gantry_types::sort::by_key(&mut ports, |(number, protocol)| {
        (*protocol != Protocol::Tcp, *number)
    });
    for (index, (number, protocol)) in ports.into_iter().enumerate() {
        let url = format!("{protocol}://{address}:{number}");
        if index == 0 {
            env.push(format!("{prefix}_PORT={url}"));
        }
        let name = format!("{prefix}_PORT_{number}_{}", protocol.name().to_uppercase());
        env.push(format!("{name}={url}"));
        env.push(format!("{name}_ADDR={address}"));
        env.push(format!("{name}_PORT={number}"));
        env.push(format!("{name}_PROTO={protocol}"));
    }
    for variable in target.config.env.iter().flatten() {
        let Some((name, value)) = variable.split_once('=') else {
            continue;
        };
        if !matches!(name, "HOME" | "PATH") {
            env.push(format!("{prefix}_ENV_{name}={value}"));
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_two_halves() {
        assert_eq!(halves("db"), ("db", "db"));
        assert_eq!(halves("/db:/app/x"), ("db", "app/x"));
        assert_eq!(halves("db:data"), ("db", "data"));
    }
}
