//! `POST /build` of our own client: the same graph, told of in BuildKit's words. Each
//! message of its progress goes as `moby.buildkit.trace`, as old clients have it, too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::{ProgressError, ProgressMessage};
use gantry_engine::{ClassicQuery, Received, Solved};
use gantry_registry::Cancel;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::BuildKit;
use crate::builds::Build;
use crate::exports::archive;
use crate::exports::pieces::Part;
use crate::frontend;
use crate::progress::Vertex;
use crate::status::Status;

/// Under this a client finds what is told of a build.
pub(crate) const TRACE: &str = "moby.buildkit.trace";
/// Under this it finds the files of a result, as pieces of an archive.
const FILES: &str = "gantry.build.files";
/// Under this it finds what was exported.
const RESULT: &str = "gantry.build.result";

/// Hears messages; answers whether it still listens.
pub type Tell<'t> = dyn Fn(ProgressMessage) -> bool + Sync + 't;

impl BuildKit {
    /// Builds what our own client has posted, on a thread that may wait. All that goes
    /// wrong is told.
    pub fn post(
        self: &Arc<Self>,
        query: &ClassicQuery,
        received: Received,
        cancel: &Cancel,
        runtime: &Handle,
        tell: &Tell<'_>,
    ) {
        let (id, cancel) = (build_id(query), cancel.clone());
        let (build, _) = Build::new(id, String::new(), cancel, Vec::new(), &[]);
        let posted = std::thread::scope(|scope| {
            let mut listener = build.progress.listen();
            scope.spawn(move || {
                while let Some(message) = runtime.block_on(listener.next()) {
                    tell(aux(TRACE, STANDARD.encode(&message).into()));
                }
            });
            let name = received.request.name.clone();
            let text = received.request.dockerfile.clone();
            let posted = self.build_posted(query, received, &build, tell);
            build.progress.end();
            posted.map_err(|status| {
                let excerpt = frontend::excerpt(&status, &name, &text);
                (status, excerpt)
            })
        });
        match posted {
            Ok(result) => {
                tell(aux(RESULT, result));
            }
            Err((status, excerpt)) => {
                if let Some(excerpt) = excerpt {
                    tell(ProgressMessage::stream(excerpt));
                }
                let message = format!("failed to solve: {}", status.text);
                tell(ProgressMessage {
                    error: message.clone(),
                    error_detail: Some(ProgressError { code: 0, message }),
                    ..ProgressMessage::default()
                });
            }
        }
    }

    fn build_posted(
        self: &Arc<Self>,
        query: &ClassicQuery,
        received: Received,
        build: &Arc<Build>,
        tell: &Tell<'_>,
    ) -> Result<Value, Status> {
        let mut solved = frontend::posted(self, build, received)?;
        if query.squash {
            let squashed = self.engine.builds.squash(&mut solved);
            squashed.map_err(|error| Status::of(error.kind(), error.to_string()))?;
        }
        let mut result = json!({});
        for (number, output) in query.outputs.iter().enumerate() {
            let name = match output.kind.as_str() {
                "tar" => "exporting to client tarball",
                "local" => "exporting to client directory",
                _ => "exporting to image",
            };
            let key = format!("{name}\0{number}");
            let mut vertex = Vertex::of(&build.id, &key, name.to_owned());
            vertex.started = Some(SystemTime::now());
            build.progress.vertex(&vertex);
            let exported = match output.kind.as_str() {
                "tar" | "local" => self.send_files(&solved, number, tell),
                _ => self.keep_image(query, &solved, build, &vertex, &mut result),
            };
            if let Err(status) = &exported {
                vertex.error.clone_from(&status.text);
            }
            vertex.completed = Some(SystemTime::now());
            build.progress.vertex(&vertex);
            exported?;
        }
        Ok(result)
    }

    /// Makes an image of a result.
    fn keep_image(
        &self,
        query: &ClassicQuery,
        solved: &Solved,
        build: &Build,
        vertex: &Vertex,
        result: &mut Value,
    ) -> Result<(), Status> {
        let began = SystemTime::now();
        let id = self.engine.builds.commit(solved, &query.tags);
        let id = id.map_err(|error| Status::of(error.kind(), error.to_string()))?;
        let names: Vec<String> = query.tags.iter().map(ToString::to_string).collect();
        let mut did = vec!["exporting layers".to_owned(), format!("writing image {id}")];
        did.extend(names.iter().map(|name| format!("naming to {name}")));
        for name in did {
            build.progress.did(&vertex.digest, &name, began);
        }
        result["containerimage.config.digest"] = id.to_string().into();
        result["containerimage.digest"] = id.to_string().into();
        if !names.is_empty() {
            result["image.name"] = names.join(",").into();
        }
        Ok(())
    }

    /// Sends the files of a result.
    fn send_files(&self, solved: &Solved, number: usize, tell: &Tell<'_>) -> Result<(), Status> {
        let files = self.engine.builds.files(solved);
        let files = files.map_err(|error| Status::of(error.kind(), error.to_string()))?;
        let part = Part {
            files,
            ..Part::default()
        };
        archive::pack(&[part], &mut |piece| {
            let data = STANDARD.encode(&piece);
            match tell(aux(FILES, json!({"output": number, "data": data}))) {
                true => Ok(()),
                false => Err(io::ErrorKind::BrokenPipe.into()),
            }
        })
    }
}

/// What the client calls its build, and else a name that no other has.
fn build_id(query: &ClassicQuery) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    match query.build_id.as_str() {
        "" => format!("posted-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        id => id.to_owned(),
    }
}

pub(crate) fn aux(id: &str, value: Value) -> ProgressMessage {
    ProgressMessage {
        id: id.to_owned(),
        aux: Some(value),
        ..ProgressMessage::default()
    }
}
