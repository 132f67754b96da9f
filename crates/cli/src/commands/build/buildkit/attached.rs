//! What the daemon may ask this client for during a build.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_api::AuthConfig;
use gantry_grpc::message_stream::Outgoing;
use gantry_grpc::wire::{Message, fields};
use gantry_grpc::{Call, Code, Service, Status};
use gantry_types::Digest;
use http::HeaderMap;
use http_body_util::BodyExt;

use super::super::Wishes;
use super::super::context::{Kind, Source};
use super::super::output::Sinks;
use super::super::request::Secrets;
use super::folder::{self, Folder};
use super::plan::Plan;
use super::store;
use super::{PIECE, agents};
use crate::credentials::{INDEX, Keyring};
use crate::error::Error;
use crate::session::Session;
use crate::settings::Settings;
use crate::transport::{Call as Request, channel_body};

const FILES: &str = "/moby.filesync.v1.FileSync/DiffCopy";
const SENT: &str = "/moby.filesync.v1.FileSend/DiffCopy";
const ARCHIVE: &str = "/moby.upload.v1.Upload/Pull";
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
const READ: &str = "/containerd.services.content.v1.Content/Read";
const WRITE: &str = "/containerd.services.content.v1.Content/Write";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Docker's own registry, as it is asked about.
const HUB: &[&str] = &["docker.io", "registry-1.docker.io"];

/// What there is to be asked for.
pub(super) struct Attached {
    settings: Arc<Settings>,
    secrets: Secrets,
    agents: BTreeMap<String, PathBuf>,
    folders: BTreeMap<String, Folder>,
    /// How an archive on the standard input begins, until it is asked for.
    archive: Mutex<Option<Vec<u8>>>,
    stores: BTreeMap<String, PathBuf>,
    sinks: Mutex<Option<Sinks>>,
}

impl Attached {
    pub(super) fn new(session: &Session, wishes: &Wishes<'_>, plan: &Plan) -> Result<Self, Error> {
        let source = wishes.source;
        let mut folders = plan.folders.clone();
        folders.insert("dockerfile".to_owned(), Folder::of_dockerfile(source));
        let context = match source.kind() {
            Kind::Folder(folder, ..) => Folder::At(folder.clone()),
            Kind::Archive(_) | Kind::Alone | Kind::Remote(_) => Folder::Texts(Vec::new()),
        };
        folders.insert("context".to_owned(), context);
        let archive = match source.kind() {
            Kind::Archive(head) => Some(head.clone()),
            _ => None,
        };
        Ok(Self {
            settings: Arc::clone(&session.settings),
            secrets: wishes.secrets.clone(),
            agents: agents::sockets(&wishes.matches.list("ssh"))?,
            folders,
            archive: Mutex::new(archive),
            stores: plan.stores.clone(),
            sinks: Mutex::new(Some(Sinks::open(wishes.outputs)?)),
        })
    }

    /// Adds to a request for a session what is offered in it.
    pub(super) fn introduce(&self, request: Request, id: &str, source: &Source) -> Request {
        // Files that were sent before are known again by where they come from.
        let place = match source.kind() {
            Kind::Folder(folder, ..) => folder.canonicalize().unwrap_or_default(),
            _ => PathBuf::new(),
        };
        let key = Digest::of(place.as_os_str().as_encoded_bytes()).hex();
        let request = request
            .header("X-Docker-Expose-Session-Uuid", id)
            .header("X-Docker-Expose-Session-Name", "gantry")
            .header("X-Docker-Expose-Session-Sharedkey", key);
        let always = [
            FILES,
            SENT,
            ARCHIVE,
            CREDENTIALS,
            SECRET,
            READ,
            WRITE,
            HEALTH,
        ];
        let agents = [CHECK_AGENT, FORWARD_AGENT];
        let agents = agents.into_iter().filter(|_| !self.agents.is_empty());
        always.into_iter().chain(agents).fold(request, |it, name| {
            it.header("X-Docker-Expose-Session-Grpc-Method", name)
        })
    }

    /// Waits until what was exported is where it belongs.
    pub(super) fn end(&self) -> Result<(), Error> {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.take().map_or(Ok(()), Sinks::end)
    }

    fn credentials(&self, host: &str) -> Message {
        let server = if HUB.contains(&host) { INDEX } else { host };
        // Whoever has none is asked for none by a registry that anybody may read.
        let found = Keyring::new(&self.settings).get(server);
        let AuthConfig {
            username,
            password,
            identity_token,
            ..
        } = found.unwrap_or_default();
        match identity_token.is_empty() {
            true => Message::new().text(1, &username).text(2, &password),
            // A secret of nobody is a token.
            false => Message::new().text(2, &identity_token),
        }
    }

    fn secret(&self, id: &str) -> Result<Message, Status> {
        let bytes = self.secrets.get(id);
        let bytes =
            bytes.ok_or_else(|| Status::new(Code::NotFound, format!("secret {id}: not found")))?;
        Ok(Message::new().bytes(1, bytes))
    }

    fn agent(&self, id: &str) -> Result<&PathBuf, Status> {
        let id = if id.is_empty() { agents::DEFAULT } else { id };
        let socket = self.agents.get(id);
        socket.ok_or_else(|| Status::unsupported(format!("unset ssh forward key {id}")))
    }

    fn store(&self, metadata: &HeaderMap) -> Result<&PathBuf, Status> {
        let name = text(metadata, "buildkit-attachable-store-id");
        let store = self.stores.get(name);
        store.ok_or_else(|| Status::new(Code::NotFound, format!("no store is called {name:?}")))
    }

    async fn take(&self, mut call: Call) -> Result<(), Status> {
        let number = text(&call.metadata, "buildkit-attachable-exporter-id");
        let place = number.parse().unwrap_or(0);
        while let Some(message) = call.incoming.next().await? {
            for field in fields(&message) {
                let field = field?;
                if field.number == 1 {
                    let bytes = field.bytes()?;
                    let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
                    let sinks = sinks.as_mut().ok_or_else(Status::canceled)?;
                    sinks
                        .take(place, bytes)
                        .map_err(|error| Status::unknown(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    async fn hand_over(&self, outgoing: &mut Outgoing) -> Result<(), Status> {
        let head = self.archive.lock();
        let head = head.unwrap_or_else(PoisonError::into_inner).take();
        let head = head.ok_or_else(|| Status::new(Code::NotFound, "no archive is handed over"))?;
        // Read by a thread of its own: other calls are answered meanwhile.
        let mut from = channel_body(std::io::Cursor::new(head).chain(std::io::stdin()));
        while let Some(frame) = from.frame().await {
            let frame = frame.map_err(|error| Status::unknown(format!("stdin: {error}")))?;
            for piece in frame.into_data().iter().flat_map(|data| data.chunks(PIECE)) {
                outgoing
                    .send(&Message::new().bytes(1, piece).into_bytes())
                    .await?;
            }
        }
        Ok(())
    }
}

fn text<'m>(metadata: &'m HeaderMap, name: &str) -> &'m str {
    let value = metadata.get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// The first field of the only message of a call.
async fn asked(call: &mut Call) -> Result<String, Status> {
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        if field.number == 1 {
            return field.text();
        }
    }
    Ok(String::new())
}

impl Service for Attached {
    async fn answer(
        self: Arc<Self>,
        path: &str,
        mut call: Call,
        outgoing: &mut Outgoing,
    ) -> Result<(), Status> {
        let message = match path {
            FILES => {
                let name = text(&call.metadata, "dir-name").to_owned();
                let folder = self.folders.get(&name);
                let missing = || Status::new(Code::NotFound, format!("no folder is called {name}"));
                return folder::send(folder.ok_or_else(missing)?, call, outgoing).await;
            }
            SENT => return self.take(call).await,
            ARCHIVE => return self.hand_over(outgoing).await,
            READ => {
                let store = self.store(&call.metadata)?;
                return store::read(store, call, outgoing).await;
            }
            WRITE => {
                let store = self.store(&call.metadata)?;
                return store::write(store, call, outgoing).await;
            }
            FORWARD_AGENT => {
                let id = text(&call.metadata, "buildkit.ssh.id").to_owned();
                return agents::forward(self.agent(&id)?, call, outgoing).await;
            }
            CHECK_AGENT => self
                .agent(&asked(&mut call).await?)
                .map(|_| Message::new())?,
            CREDENTIALS => self.credentials(&asked(&mut call).await?),
            SECRET => self.secret(&asked(&mut call).await?)?,
            HEALTH => Message::new().number(1, 1),
            _ => return Err(Status::unsupported(format!("unknown method {path}"))),
        };
        outgoing.send(&message.into_bytes()).await
    }
}
