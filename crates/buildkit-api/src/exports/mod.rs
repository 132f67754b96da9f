//! What becomes of a result: each exporter by its name.

mod archive;
mod directory;
mod image;
mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_types::Digest;

use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Solved;
use crate::progress::Vertex;
use crate::status::Status;
use crate::wire::fields;

/// What is to become of a result.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Exporter {
    pub(crate) kind: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What is told of an exported result.
type Response = BTreeMap<String, String>;

impl Exporter {
    /// From `moby.buildkit.v1.Exporter`, or anything else with a type and attributes.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Status> {
        let mut exporter = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => exporter.kind = field.text()?,
                2 => field.add_to(&mut exporter.attributes)?,
                _ => {}
            }
        }
        Ok(exporter)
    }

    /// Refuses by name what is not there, before anything is built.
    pub(crate) fn check(&self) -> Result<(), Status> {
        let known: &[&str] = match self.kind.as_str() {
            "moby" | "image" => image::ATTRIBUTES,
            "tar" | "local" => &["dest", "platform-split"],
            other => {
                let text = format!("exporter {other} is not supported");
                return Err(Status::unsupported(text));
            }
        };
        let unknown = self
            .attributes
            .keys()
            .find(|key| !known.contains(&key.as_str()));
        match unknown {
            None => Ok(()),
            Some(key) => Err(Status::unsupported(format!(
                "attribute {key} of exporter {} is not supported",
                self.kind
            ))),
        }
    }

    fn vertex(&self, build: &Build, name: &str) -> Vertex {
        let digest = Digest::of(format!("{}\0{name}", build.id).as_bytes());
        Vertex {
            digest: digest.to_string(),
            name: name.to_owned(),
            ..Vertex::default()
        }
    }
}

/// Exports a result in all ways that are wanted; what clients are told of it.
///
/// # Errors
/// Those of the exporters.
pub(crate) async fn all(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    solved: &Arc<Solved>,
    exporters: &[Exporter],
) -> Result<Response, Status> {
    let mut response = Response::new();
    if solved.build().is_none() {
        return Ok(response);
    }
    for (number, exporter) in exporters.iter().enumerate() {
        let (name, send): (_, pieces::Send) = match exporter.kind.as_str() {
            "tar" => ("exporting to client tarball", archive::send),
            "local" => ("exporting to client directory", directory::send),
            _ => {
                response.extend(image::export(service, build, solved, exporter).await?);
                continue;
            }
        };
        let files = pieces::hand_over(service, build, solved, number, send);
        let vertex = exporter.vertex(build, name);
        build.progress.step(vertex, files).await?;
    }
    Ok(response)
}
