//! Starting: mark, prepare, hand over to a shim, settle; and all of it taken
//! back when something fails.
//!
//! ```text
//! mark Starting ─► sandbox ─► files ─► spec ─► shim: Start ─► settle Running
//!       │             └── undo: release        └── nothing of it is left on failure
//!       └── undo: back to Created or Exited, with the error
//! ```
//!
//! Sandbox and files are taken from a pool and made of text; they are not worth
//! a thread of their own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use gantry_network::{AttachRequest, Attachment, NetworkMode};
use gantry_shim::client::{Error as ShimError, ShimConnection, StartFds};
use gantry_shim::protocol::{StartRequest, User};
use gantry_types::ErrorKind;

use super::container::Container;
use super::endpoints;
use super::health::{self, Health};
use super::links::Links;
use super::mounts::MountPoint;
use super::publish;
use super::spec::SpecInput;
use super::state::Phase;
use super::undo::Undo;
use super::{Containers, Inner, files, joined, log_settings, propagation, spec, start_error};
use crate::clock::now_nano;
use crate::error::{Error, Result};

/// A container's network namespace, and its places in networks. One that shares
/// another's has no places of its own.
struct Sandbox {
    /// `None` for the host's.
    netns: Option<Arc<OwnedFd>>,
    attachment: Option<Attachment>,
}

/// A container that cannot start because of another one.
fn unjoinable(error: Error) -> Error {
    Error::Start {
        kind: error.kind(),
        message: error.to_string(),
        exit_code: 128,
    }
}

impl Containers {
    /// Starts a container.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotModified` when it runs; `Conflict` when it is
    /// being removed; `Start` when its process could not be started.
    pub fn start(&self, idref: &str) -> Result<()> {
        let container = self.inner.find(idref)?;
        self.inner.start(&container)
    }
}

impl Inner {
    /// Starts a container because somebody wants it.
    pub(super) fn start(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        container.mark_starting()?;
        container.forget_restarts();
        match self.launch(container) {
            Ok(()) => self.announce_start(container),
            Err(error) => {
                self.settle_failure(container, &error);
                Err(error)
            }
        }
    }

    /// Starts a container because its restart policy says so, if it still waits
    /// for that. When it fails, nobody tries once more.
    pub(super) fn start_again(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        if !container.mark_starting_again() {
            return Ok(());
        }
        match self.launch(container) {
            Ok(()) => self.announce_start(container),
            Err(error) => {
                self.settle_failure(container, &error);
                Err(error)
            }
        }
    }

    fn announce_start(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        self.publish_volumes(&container.record(), true);
        if let Some(attachment) = container.state().attachment {
            self.publish_network(container, "connect", &attachment);
        }
        self.publish(container, "start", &[]);
        self.watch_health(container);
        // From here on its end may be told, and not before.
        let link = container.link()?;
        if let Err(error) = link.watch() {
            tracing::error!(id = %container.id(), %error, "cannot watch a container");
        }
        self.renew_links_to(container);
        Ok(())
    }

    /// Everything between the mark and the running process. On failure nothing
    /// of it is left but the mark.
    fn launch(&self, container: &Arc<Container>) -> Result<()> {
        let mut undo = Undo::new();
        let mut own = self.prepare_namespaces(&container.record())?;
        let network = own.as_mut().and_then(|own| own.network.take());
        let links = self.links(container).map_err(unjoinable)?;
        let donor = self
            .network_donor(&container.record().network)
            .map_err(unjoinable)?;
        let sandbox = match &donor {
            Some(donor) => {
                self.take_host_names(container, donor)?;
                self.joined_sandbox(donor)?
            }
            None => self.sandbox(container, network, &mut undo)?,
        };
        let sandbox = self.open_links(container, sandbox, &links)?;
        let record = &container.record();
        record
            .mounts
            .iter()
            .try_for_each(MountPoint::make_missing_source)?;
        propagation::check(&record.mounts)?;
        self.unmount_on_failure(record, &mut undo);
        let _first = self.first_mount(record)?;
        let dir = record.dir(&self.settings.data_root);
        if let Some(attachment) = &sandbox.attachment {
            files::write(record, attachment, &links.hosts, &dir, &self.network)?;
        }
        let names = donor.as_ref().unwrap_or(container).record();
        let names = names.dir(&self.settings.data_root);
        let request = self.request(container, &sandbox, (&names, &links.env))?;
        // Written with the settling. If the daemon dies before that, nobody was told of
        // a start, and the next one takes it back.
        container.update(|state| {
            state.attachment.clone_from(&sandbox.attachment);
            state.links = Some(links.clone()).filter(|links| *links != Links::default());
            state.has_files = true;
        });
        let user = own.as_ref().map(|own| own.user.as_fd());
        let link = self.start_in_shim(container, request, &sandbox, user)?;
        self.settle_running(container, link, &mut undo)?;
        undo.disarm();
        Ok(())
    }

    /// Lets the container reach those that it is linked to.
    fn open_links(
        &self,
        container: &Container,
        mut sandbox: Sandbox,
        links: &Links,
    ) -> Result<Sandbox> {
        if let Some(attachment) = sandbox
            .attachment
            .as_mut()
            .filter(|_| !links.open.is_empty())
        {
            attachment.linked.clone_from(&links.open);
            self.network.link(container.id(), &links.open)?;
        }
        Ok(sandbox)
    }

    /// Publishes the container's ports; they are closed with its sandbox.
    fn open_ports(&self, container: &Container, attachment: &mut Attachment) -> Result<()> {
        let gateway = attachment.gateway();
        let endpoint_id = gateway.map_or_else(String::new, |e| e.endpoint_id.clone());
        let failed = |kind, reason: &dyn std::fmt::Display| Error::Start {
            kind,
            message: format!(
                "failed to set up container networking: driver failed programming external \
                 connectivity on endpoint {} ({}): {reason}",
                container.name(),
                endpoint_id
            ),
            exit_code: 128,
        };
        let record = container.record();
        let wrong = |reason: String| failed(ErrorKind::Internal, &reason);
        let requests = publish::requests(&record).map_err(wrong)?;
        let sources = publish::sources(&record.host_config).map_err(wrong)?;
        attachment.published = self
            .network
            .publish(container.id(), &requests, sources.as_ref())
            .map_err(|error| failed(error.kind(), &error))?;
        if let Some(now) = self.network.attachment(container.id()) {
            attachment.sources = now.sources;
        }
        Ok(())
    }

    fn sandbox<'a>(
        &'a self,
        container: &Arc<Container>,
        own: Option<OwnedFd>,
        undo: &mut Undo<'a>,
    ) -> Result<Sandbox> {
        let networking = |error: gantry_network::Error| Error::Start {
            kind: error.kind(),
            message: format!("failed to set up container networking: {error}"),
            exit_code: 128,
        };
        let (record, name) = (container.record(), container.name());
        let mut wishes = endpoints::wishes(&record, &container.state());
        if !self.network.has_default_bridge() {
            // As in Docker, that is as if no network were wished.
            wishes.remove(NetworkMode::Bridge.name());
        }
        let requests =
            endpoints::requests(&record, &name, &wishes, &self.network).map_err(networking)?;
        let request = AttachRequest {
            name,
            endpoints: requests,
            netns: own,
            dns: files::dns(&record, &self.network)?.servers,
        };
        let mode = endpoints::mode(&record, &wishes);
        let made = self
            .network
            .attach(container.id(), mode, request)
            .map_err(networking)?;
        let id = container.id().clone();
        undo.push(move || self.network.release(&id));
        let mut attachment = made.attachment;
        self.open_ports(container, &mut attachment)?;
        Ok(Sandbox {
            netns: made.netns,
            attachment: Some(attachment),
        })
    }

    /// The network of another container.
    fn joined_sandbox(&self, donor: &Container) -> Result<Sandbox> {
        let host = donor
            .state()
            .attachment
            .is_some_and(|a| a.mode == NetworkMode::Host);
        let netns = match host {
            true => None,
            false => Some(Arc::new(self.network_of(donor).map_err(unjoinable)?)),
        };
        Ok(Sandbox {
            netns,
            attachment: None,
        })
    }

    /// The message to the shim.
    fn request(
        &self,
        container: &Container,
        sandbox: &Sandbox,
        (names, links): (&Path, &[String]),
    ) -> Result<StartRequest> {
        let record = &container.record();
        let (host, settings) = (&record.host_config, &self.settings);
        let security = spec::security(host)?;
        let dir = record.dir(&settings.data_root);
        let parent = record.cgroup_parent(settings);
        spec::check_shares(host, settings.host.cgroup_v2)?;
        let wants_init = host.init.unwrap_or(settings.init) && joined::own_pid_namespace(host);
        let init = wants_init.then(|| self.init_program()).transpose()?;
        let volumes = self.ready_mounts(record)?;
        let spec = spec::of(&SpecInput {
            volumes: &volumes,
            record,
            dir: names,
            links,
            own_network: sandbox.netns.is_some(),
            cgroup: Path::new(&parent).join(record.id.as_str()),
            default_ulimits: &settings.default_ulimits,
            no_new_privileges: security
                .no_new_privileges
                .unwrap_or(settings.no_new_privileges),
            writable_cgroups: security.writable_cgroups,
            init,
            joined: self.joined(host)?,
        })?;
        let rootfs = self.snapshots.mounts(record.id.as_str())?;
        Ok(StartRequest {
            id: record.id.clone(),
            exec_root: settings.exec_root.clone(),
            spec,
            user: Some(User {
                user: record.config.user.clone(),
                groups: host.group_add.clone().unwrap_or_default(),
            }),
            bundle: dir,
            scaffold: spec::scaffold(),
            scaffold_layer: spec::scaffold_layer(&rootfs),
            rootfs,
            cgroup_parent: parent,
            scope: record.scope(settings)?,
            log: log_settings::for_start(container, settings)?,
            open_stdin: record.config.open_stdin,
            stdin_once: record.config.stdin_once,
            network_fd: sandbox.netns.is_some(),
            user_fd: false,
            empty_mounts_fd: false,
            attach: Vec::new(),
        })
    }

    /// The program that is the first process of containers with `--init`.
    fn init_program(&self) -> Result<&Path> {
        let program = self.settings.init_program.as_deref();
        program.ok_or_else(|| {
            Error::spec("exec: \"docker-init\": executable file not found in $PATH".to_owned())
        })
    }

    /// Hands over to a shim, with the clients that attached before.
    fn start_in_shim(
        &self,
        container: &Container,
        mut request: StartRequest,
        sandbox: &Sandbox,
        user: Option<BorrowedFd<'_>>,
    ) -> Result<ShimConnection> {
        let host = &container.record().host_config;
        let security = spec::security(host)?;
        let configured = self.settings.seccomp_profile.as_deref();
        let filter = spec::seccomp_filter(host, &security, configured)?;
        // Dropped after the start: the shim has its own by then, and on failure
        // the clients see the end.
        let clients = container.take_pending();
        request.attach = clients
            .iter()
            .map(|client| client.request.clone())
            .collect();
        let fds = StartFds {
            network: sandbox.netns.as_ref().map(|netns| netns.as_fd()),
            user,
            attach: clients.iter().map(|client| client.socket.as_fd()).collect(),
        };
        self.shims
            .start(request, filter.as_deref(), &fds)
            .map_err(|error| match error {
                ShimError::Start(failure) => {
                    let record = container.record();
                    let own = self.volume_failure(&failure, &record);
                    own.unwrap_or_else(|| start_error::render(&failure, &record))
                }
                other => Error::Start {
                    kind: other.kind(),
                    message: format!("failed to create task for container: {other}"),
                    exit_code: 128,
                },
            })
    }

    fn settle_running<'a>(
        &'a self,
        container: &Arc<Container>,
        link: ShimConnection,
        undo: &mut Undo<'a>,
    ) -> Result<()> {
        let pid = i32::try_from(link.pid()).unwrap_or(0);
        let started_at = now_nano();
        let link = Arc::new(link);
        undo.push({
            let link = Arc::clone(&link);
            move || kill_unsettled(&link)
        });
        container.set_link(Some(link));
        let checked = health::Plan::of(&container.record().config).is_some();
        let settled = self.settle(container, |state| {
            if !state.again {
                state.restart_count = 0;
                state.manually_stopped = false;
            }
            state.phase = Phase::Running;
            state.again = false;
            state.renewed = false;
            state.paused = false;
            state.pid = pid;
            state.exit_code = 0;
            state.error = String::new();
            state.oom_killed = false;
            state.started_at = started_at;
            state.health = checked.then(|| Arc::new(Health::begin(state.health.as_deref())));
        });
        if settled.is_err() {
            container.set_link(None);
        }
        settled
    }

    /// Back to where the container was, with the reason.
    fn settle_failure(&self, container: &Arc<Container>, error: &Error) {
        // Whoever attached before shall not wait for what never comes.
        container.take_pending();
        let exit_code = match error {
            Error::Start { exit_code, .. } => *exit_code,
            _ => 128,
        };
        self.settle_fact(container, |state| {
            // What has run before is remembered by the end of that run.
            if !state.again {
                state.exit_code = exit_code;
            }
            state.phase = state.resting();
            state.again = false;
            state.error = error.to_string();
            if state.phase == Phase::Created {
                state.attachment = None;
            }
        });
        container.finish_followers();
        if container.removed_by_exit() {
            self.remove_ended(container);
        }
    }
}

/// Ends a container that runs but could not be recorded.
pub(super) fn kill_unsettled(link: &ShimConnection) {
    let killed = link
        .signal(libc::SIGKILL, true)
        .and_then(|()| link.delete());
    if let Err(error) = killed {
        tracing::error!(id = %link.id(), %error, "cannot end an unrecorded container");
    }
}
