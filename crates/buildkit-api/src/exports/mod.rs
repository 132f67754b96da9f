//! What becomes of a result: each exporter by its name.

pub(crate) mod archive;
pub(crate) mod client_store;
mod directory;
pub(crate) mod form;
mod image;
pub(crate) mod pieces;
pub(crate) mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::BuildKit;
use crate::attest::Statement;
use crate::builds::Build;
use crate::frontend::Solved;
use crate::progress::Vertex;
use crate::status::{Code, Status};
use crate::truth::flag;
use crate::wire::fields;

/// What is to become of a result.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Exporter {
    pub(crate) kind: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What is told of an exported result.
pub(crate) type Response = BTreeMap<String, String>;

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
        let known = match self.kind.as_str() {
            "moby" | "image" | "oci" | "docker" => return form::Form::of(self).map(drop),
            "tar" | "local" => ["dest", "platform-split", "attestation-prefix"],
            other => {
                let text = format!("exporter {other:?} could not be found");
                return Err(Status::new(Code::NotFound, text));
            }
        };
        let mut keys = self.attributes.keys();
        match keys.find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Status::unsupported(format!(
                "attribute {key} of exporter {} is not supported",
                self.kind
            ))),
        }
    }

    /// Whether no file of a new layer may be later than `SOURCE_DATE_EPOCH`: its steps are
    /// then run so, and their results kept apart from others.
    pub(crate) fn rewrites_times(&self) -> bool {
        let mut rewrites = false;
        let wish = self.attributes.get(form::REWRITE);
        wish.is_some_and(|wish| flag(form::REWRITE, wish, &mut rewrites).is_ok()) && rewrites
    }

    /// Whether the files of each platform come into a directory of their own.
    fn split(&self, solved: &Solved) -> Result<bool, Status> {
        let mut split = solved.is_list();
        if let Some(value) = self.attributes.get("platform-split") {
            flag("platform-split", value, &mut split)?;
        }
        match !split && solved.parts().len() > 1 {
            // Files of one would be in the way of another's.
            true => Err(Status::unsupported(
                "platform-split=false is not supported for several platforms",
            )),
            false => Ok(split),
        }
    }
}

/// What is exported, and for whom.
pub(crate) struct Exporting<'e> {
    pub(crate) service: &'e Arc<BuildKit>,
    pub(crate) build: &'e Arc<Build>,
    pub(crate) solved: &'e Arc<Solved>,
    /// What is known of each image.
    pub(crate) known: &'e Arc<Vec<Vec<Statement>>>,
    /// When the files of the result are said to have been changed.
    pub(crate) epoch: Option<i64>,
    /// Whether images are to say which steps their layers are of.
    pub(crate) inline: bool,
}

impl Exporting<'_> {
    /// Exports a result in all ways that are wanted; what clients are told of it.
    ///
    /// # Errors
    /// Those of the exporters.
    pub(crate) async fn all(&self, exporters: &[Exporter]) -> Result<Response, Status> {
        let mut response = Response::new();
        if !self.solved.has_files() {
            return Ok(response);
        }
        for (number, exporter) in exporters.iter().enumerate() {
            let (name, task, send): (_, _, pieces::Send) = match exporter.kind.as_str() {
                "tar" => (
                    "exporting to client tarball",
                    "sending tarball",
                    archive::send,
                ),
                "local" => (
                    "exporting to client directory",
                    "copying files",
                    directory::send,
                ),
                _ => {
                    response.extend(image::export(self, exporter, number).await?);
                    continue;
                }
            };
            let vertex = Vertex::of(
                &self.build.id,
                &format!("{name}\0{number}"),
                name.to_owned(),
            );
            let prefix = exporter.attributes.get("attestation-prefix");
            let how = pieces::HandOver {
                number,
                split: exporter.split(self.solved)?,
                prefix: prefix.cloned().unwrap_or_default(),
                send,
                vertex: vertex.digest.clone(),
                task,
            };
            let files = pieces::hand_over(self, how);
            self.build.progress.step(vertex, files).await?;
        }
        Ok(response)
    }
}
