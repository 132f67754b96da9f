//! Connecting containers to networks and disconnecting them, whether they run or
//! not. What changes is written with the container's state.

use std::os::fd::OwnedFd;

use gantry_api::EndpointSettings;
use gantry_network::{Attachment, Definition, NetworkMode};
use rustix::fs::{Mode, OFlags};

use super::container::Container;
use super::endpoints::{self, Wishes};
use super::{Containers, Inner, files, joined};
use crate::error::{Error, Result};

impl Containers {
    /// Connects a container to a network.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Network` when there is no such network, its addresses are
    /// used up, or the wished one is; `Invalid` and `Forbidden` in Docker's words.
    pub fn connect(
        &self,
        network: &str,
        idref: &str,
        settings: Option<EndpointSettings>,
    ) -> Result<()> {
        let inner = &self.inner;
        let definition = inner.network.find(network)?;
        let container = inner.find(idref)?;
        let mut settings = settings.unwrap_or_default();
        endpoints::check(&settings, Some(&definition), &definition.name).map_err(Error::Invalid)?;
        endpoints::clean(&mut settings);
        let _order = container.freezer();
        container.wait_started();
        let wishes = endpoints::wishes(&container.record(), &container.state());
        may_connect(&container, &wishes, &definition)?;
        let mut changed = wishes;
        changed.insert(definition.name.clone(), settings.clone());
        let before = container.state().attachment;
        let mut attachment = None;
        if container.state().running() {
            attachment = Some(inner.connect_now(&container, &definition, &settings)?);
        }
        let written = inner.settle(&container, |state| {
            state.networks = Some(changed.clone());
            if let Some(attachment) = &attachment {
                state.attachment = Some(attachment.clone());
            }
        });
        if let (Err(_), Some(_)) = (&written, &attachment) {
            inner.disconnect_now(&container, &definition)?;
        }
        written?;
        if attachment.is_some() {
            inner.rewrite_names(&container, before.as_ref(), attachment.as_ref());
            inner.publish_place(&container, "connect", &definition.id, &definition);
        }
        Ok(())
    }

    /// Disconnects a container from a network. With `force`, also one that is not
    /// there any more.
    ///
    /// # Errors
    /// `NoSuchContainer`, `Network`, `Forbidden` in Docker's words.
    pub fn disconnect(&self, network: &str, idref: &str, force: bool) -> Result<()> {
        let inner = &self.inner;
        let definition = match inner.network.find(network) {
            Err(error @ gantry_network::Error::NetworkNotFound(_)) => {
                return inner.forget_gone(network, idref)?.ok_or(error.into());
            }
            found => found?,
        };
        let container = match inner.find(idref) {
            Err(Error::NoSuchContainer(_)) if force => {
                return Err(Error::NotFound(format!("endpoint {idref} not found")));
            }
            found => found?,
        };
        let _order = container.freezer();
        container.wait_started();
        let mut changed = endpoints::wishes(&container.record(), &container.state());
        if definition.name == "host" && changed.contains_key("host") {
            return Err(Error::Forbidden(
                "container cannot be disconnected from host network - container can only be \
                 disconnected from bridge networks"
                    .to_owned(),
            ));
        }
        let known =
            |name: &String| *name == definition.name || definition.id.starts_with(name.as_str());
        let Some(name) = changed.keys().find(|name| known(name)).cloned() else {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {}",
                container.id(),
                definition.name
            )));
        };
        changed.remove(&name);
        let before = container.state().attachment;
        let mut attachment = None;
        if container.state().running() {
            attachment = Some(inner.disconnect_now(&container, &definition)?);
        }
        inner.settle(&container, |state| {
            state.networks = Some(changed.clone());
            if let Some(attachment) = &attachment {
                state.attachment = Some(attachment.clone());
            }
        })?;
        if attachment.is_some() {
            inner.rewrite_names(&container, before.as_ref(), attachment.as_ref());
            inner.publish_place(&container, "disconnect", &definition.id, &definition);
        }
        Ok(())
    }
}

/// What Docker forbids.
fn may_connect(container: &Container, wishes: &Wishes, network: &Definition) -> Result<()> {
    let forbidden = |text: String| Err(Error::Forbidden(text));
    let record = container.record();
    if network.name == "host" {
        return forbidden(
            "cannot connect container to host network - container must be created in host \
             network mode"
                .to_owned(),
        );
    }
    if joined::named(&record.network).is_some() || wishes.contains_key("host") {
        return forbidden(
            "container sharing network namespace with another container or host cannot be \
             connected to any other network"
                .to_owned(),
        );
    }
    if wishes.contains_key(&network.name) {
        return forbidden(format!(
            "endpoint with name {} already exists in network {}",
            container.name(),
            network.name
        ));
    }
    if wishes.contains_key("none") || (network.name == "none" && !wishes.is_empty()) {
        return forbidden(
            "container cannot be connected to multiple networks with one of the networks in \
             private (none) mode"
                .to_owned(),
        );
    }
    Ok(())
}

impl Inner {
    /// Takes the wish for a network away that is not there any more, by its name; `None`
    /// when the container has none.
    fn forget_gone(&self, network: &str, idref: &str) -> Result<Option<()>> {
        let Ok(container) = self.find(idref) else {
            return Ok(None);
        };
        let _order = container.freezer();
        container.wait_started();
        let mut changed = endpoints::wishes(&container.record(), &container.state());
        if changed.remove(network).is_none() {
            return Ok(None);
        }
        self.settle(&container, |state| state.networks = Some(changed.clone()))?;
        Ok(Some(()))
    }

    fn connect_now(
        &self,
        container: &Container,
        network: &Definition,
        settings: &EndpointSettings,
    ) -> Result<Attachment> {
        if NetworkMode::parse(&network.name) == NetworkMode::None {
            return Err(Error::Conflict(
                "a running container cannot be connected to the network none".to_owned(),
            ));
        }
        let netns = self.network_of(container)?;
        let record = container.record();
        let request = endpoints::request(&record, &container.name(), network, settings);
        let dns = files::dns(&record, &self.network)?.servers;
        Ok(self
            .network
            .connect(container.id(), &netns, &request, dns)?)
    }

    fn disconnect_now(&self, container: &Container, network: &Definition) -> Result<Attachment> {
        let netns = self.network_of(container).ok();
        Ok(self
            .network
            .disconnect(container.id(), netns.as_ref(), &network.id)?)
    }

    /// The network namespace of a running container.
    ///
    /// # Errors
    /// `NotRunning` when it ends meanwhile.
    pub(super) fn network_of(&self, container: &Container) -> Result<OwnedFd> {
        let gone = || Error::NotRunning(container.id().to_string());
        let link = container.link()?;
        let path = format!("/proc/{}/ns/net", container.state().pid);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let netns = rustix::fs::open(path, flags, Mode::empty()).map_err(|_| gone())?;
        // Its number has not been given to another process: it is still connected.
        match container.link() {
            Ok(now) if std::sync::Arc::ptr_eq(&now, &link) => Ok(netns),
            _ => Err(gone()),
        }
    }

    /// Tells a running container of its addresses as they are now.
    fn rewrite_names(
        &self,
        container: &Container,
        before: Option<&Attachment>,
        after: Option<&Attachment>,
    ) {
        if let Some((before, after)) = before.zip(after) {
            let links = container.state().links.unwrap_or_default().hosts;
            self.tell_of_change(container, (before, &links), (after, &links));
        }
    }

    /// Brings the files of a running container up to date.
    pub(super) fn tell_of_change(
        &self,
        container: &Container,
        before: files::Place<'_>,
        after: files::Place<'_>,
    ) {
        let record = container.record();
        let dir = record.dir(&self.settings.data_root);
        if let Err(error) = files::rewrite(&record, before, after, &dir, &self.network) {
            tracing::warn!(id = %container.id(), %error, "/etc/hosts is not up to date");
        }
    }
}
