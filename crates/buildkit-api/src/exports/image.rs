//! An image: in the engine's own store, in a registry, or sent to the client as an
//! archive or file by file.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_archive::tar::Pieces;
use gantry_engine::{Destination, Exported};
use gantry_image::Bundle;
use gantry_types::Reference;
use tokio::runtime::Handle;

use super::form::Form;
use super::pieces::{self, PIECE};
use super::{Exporter, Exporting, Response, client_store};
use crate::BuildKit;
use crate::attest;
use crate::builds::Build;
use crate::frontend;
use crate::progress::{Progress, Task, Vertex};
use crate::session::{self, Session};
use crate::status::Status;
use crate::wire::Message;

/// Where the client keeps what it is given file by file.
const STORE: &str = "export";

/// An image on its way.
struct Work {
    service: Arc<BuildKit>,
    build: Arc<Build>,
    form: Form,
    kind: String,
    number: usize,
    session: Arc<Session>,
    runtime: Handle,
    vertex: String,
}

pub(super) async fn export(
    exporting: &Exporting<'_>,
    exporter: &Exporter,
    number: usize,
) -> Result<Response, Status> {
    let form = Form::of(exporter)?;
    let (service, build) = (exporting.service, exporting.build);
    let name = match exporter.kind.as_str() {
        "oci" | "docker" => format!("exporting to {} image format", exporter.kind),
        _ => "exporting to image".to_owned(),
    };
    let vertex = Vertex::of(&build.id, &format!("{name}\0{number}"), name);
    let work = Work {
        service: Arc::clone(service),
        build: Arc::clone(build),
        form,
        kind: exporter.kind.clone(),
        number,
        session: session::find(&service.sessions, &build.session).await?,
        runtime: Handle::current(),
        vertex: vertex.digest.clone(),
    };
    let (solved, known) = (Arc::clone(exporting.solved), Arc::clone(exporting.known));
    let inline = exporting.inline;
    let progress = build.progress.clone();
    let export = async move {
        let done = tokio::task::spawn_blocking(move || {
            let images = std::iter::zip(solved.parts(), known.iter());
            let exported = images.map(|(image, known)| Exported {
                solved: &image.built,
                attestations: attest::within(known, work.form.inline),
                inline_cache: inline,
            });
            let exported: Vec<Exported<'_>> = exported.collect();
            work.run(&exported, solved.is_list())
        });
        done.await
            .map_err(|error| Status::internal(error.to_string()))?
    };
    progress.step(vertex, export).await
}

fn told(error: gantry_engine::Error) -> Status {
    Status::of(error.kind(), error.to_string())
}

impl Work {
    fn run(mut self, exported: &[Exported<'_>], list: bool) -> Result<Response, Status> {
        let known = exported.iter().any(|one| !one.attestations.is_empty());
        if self.kind == "docker" && (list || known) {
            let text = "docker exporter does not currently support exporting manifest lists";
            return Err(Status::invalid(text));
        }
        self.form.style.index = list;
        let began = SystemTime::now();
        let builds = &self.service.engine.builds;
        let bundle = builds.bundle(exported, &self.form.style).map_err(told)?;
        self.did("exporting layers", began);
        let root = bundle.root();
        let what = match bundle.config() {
            Some(_) => "exporting manifest",
            None => "exporting manifest list",
        };
        self.did(&format!("{what} {}", root.digest), SystemTime::now());
        match self.kind.as_str() {
            "oci" | "docker" => self.send(&bundle)?,
            _ => {
                self.keep(&bundle, exported)?;
                self.push(&bundle)?;
            }
        }
        self.response(&bundle)
    }

    fn response(&self, bundle: &Bundle) -> Result<Response, Status> {
        let root = bundle.root();
        let config = bundle.config().unwrap_or(bundle.image().0);
        let descriptor = serde_json::to_vec(root)
            .map_err(|error| Status::internal(format!("a descriptor: {error}")))?;
        let mut response = Response::from([
            ("containerimage.digest".to_owned(), root.digest.to_string()),
            (
                "containerimage.config.digest".to_owned(),
                config.to_string(),
            ),
            (
                "containerimage.descriptor".to_owned(),
                STANDARD.encode(descriptor),
            ),
        ]);
        let mut names = self.form.shown();
        if let Some(prefix) = self.form.dangling() {
            let comma = if names.is_empty() { "" } else { "," };
            names += &format!("{comma}{prefix}@{}", root.digest);
        }
        if !names.is_empty() {
            response.insert("image.name".to_owned(), names);
        }
        Ok(response)
    }

    /// Records the image here.
    fn keep(&self, bundle: &Bundle, exported: &[Exported<'_>]) -> Result<(), Status> {
        if !self.form.store {
            return Ok(());
        }
        let builds = &self.service.engine.builds;
        let mut names = self.form.references();
        if let Some(prefix) = self.form.dangling() {
            let name = format!("{prefix}@{}", bundle.root().digest);
            let name = name.parse::<Reference>();
            names.push(
                name.map_err(|error| {
                    Status::invalid(format!("failed to parse {prefix}: {error}"))
                })?,
            );
        }
        let began = SystemTime::now();
        let canonical = self.form.canonical;
        let id = builds
            .record(bundle, exported, &names, canonical)
            .map_err(told)?;
        self.did(&format!("writing image {id}"), began);
        for (_, name) in &self.form.names {
            self.did(&format!("naming to {name}"), SystemTime::now());
            if self.form.unpack {
                // What was built here is unpacked.
                self.did(&format!("unpacking to {name}"), SystemTime::now());
            }
        }
        Ok(())
    }

    fn push(&self, bundle: &Bundle) -> Result<(), Status> {
        if !self.form.push {
            return Ok(());
        }
        let ask = frontend::credentials(&self.runtime, &self.session);
        for (name, shown) in &self.form.names {
            let began = SystemTime::now();
            let plain = match self.form.by_digest {
                true => name.name().parse::<Reference>().ok(),
                false => None,
            };
            let to = Destination {
                reference: plain.as_ref().unwrap_or(name),
                insecure: self.form.insecure,
                credentials: (ask)(name.domain()),
            };
            let task = |layer: String, current: u64, total: u64| {
                let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
                let task = Task {
                    name: format!("pushing layer {layer}"),
                    current: bytes(current),
                    total: bytes(total),
                    started: Some(began),
                    completed: (current == total).then(SystemTime::now),
                };
                self.progress().task(&self.vertex, &task);
            };
            let builds = &self.service.engine.builds;
            let pushed = builds.push(bundle, to, &self.build.cancel, &mut { task });
            let digest = pushed.map_err(|error| {
                let text = format!("failed to push {shown}: {error}");
                Status::of(error.kind(), text)
            })?;
            self.did("pushing layers", began);
            let text = format!("pushing manifest for {shown}@{digest}");
            self.did(&text, SystemTime::now());
        }
        Ok(())
    }

    /// Gives the image to the client.
    fn send(&self, bundle: &Bundle) -> Result<(), Status> {
        let began = SystemTime::now();
        let store = self.service.engine.builds.store();
        if !self.form.tar {
            let content = client_store::Content::new(&self.session, &self.runtime, STORE);
            for file in bundle.files() {
                content.put(store, &file)?;
            }
            self.did("copying content", began);
            return Ok(());
        }
        let known = self.response(bundle)?;
        let open = pieces::open(&self.session, self.number, &known);
        let mut exchange = self.runtime.block_on(open)?;
        let mut push = |piece: Vec<u8>| {
            let message = Message::new().bytes(1, &piece).into_bytes();
            self.runtime
                .block_on(exchange.outgoing.send(&message))
                .map_err(|status| std::io::Error::other(status.text))
        };
        let names = self.form.references();
        let created = gantry_api::rfc3339_nano(seconds(began));
        let docker = self.kind == "docker";
        let output = Pieces::new(PIECE, &mut push);
        let failed =
            |error: &dyn std::fmt::Display| Status::unknown(format!("sending tarball: {error}"));
        let written = store.write_bundle(bundle, &names, &created, docker, output);
        let written = written.map_err(|error| failed(&error))?;
        written.finish().map_err(|error| failed(&error))?;
        pieces::close(&mut exchange, &self.runtime)?;
        self.did("sending tarball", began);
        Ok(())
    }

    fn progress(&self) -> &Progress {
        &self.build.progress
    }

    fn did(&self, name: &str, began: SystemTime) {
        self.progress().did(&self.vertex, name, began);
    }
}

/// A time in nanoseconds since 1970, of whole seconds.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    i64::try_from(seconds).map_or(0, |seconds| seconds.saturating_mul(1_000_000_000))
}
