//! What becomes of a result: each exporter by its name.

pub(crate) mod archive;
pub(crate) mod client_store;
mod directory;
pub(crate) mod form;
mod image;
pub(crate) mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_types::Digest;

use crate::BuildKit;
use crate::attest::Wanted;
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
        let known = match self.kind.as_str() {
            "moby" | "image" | "oci" | "docker" => return form::Form::of(self).map(drop),
            "tar" | "local" => ["dest", "platform-split"],
            other => {
                let text = format!("exporter {other} is not supported");
                return Err(Status::unsupported(text));
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

    /// Refuses attestations that are asked for where only images can have them.
    pub(crate) fn check_attestations(&self, wanted: &Wanted) -> Result<(), Status> {
        let asked = wanted.provenance.as_ref();
        match asked.is_some_and(|provenance| !provenance.inline_only) {
            true if matches!(self.kind.as_str(), "local" | "tar") => {
                Err(Status::unsupported(format!(
                    "provenance is not supported by exporter {}: it goes along with images",
                    self.kind
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether the files of each platform come into a directory of their own.
    fn split(&self, solved: &Solved) -> Result<bool, Status> {
        let mut split = solved.is_list();
        if let Some(value) = self.attributes.get("platform-split") {
            form::flag("platform-split", value, &mut split)?;
        }
        match !split && solved.parts().len() > 1 {
            // Files of one would be in the way of another's.
            true => Err(Status::unsupported(
                "platform-split=false is not supported for several platforms",
            )),
            false => Ok(split),
        }
    }

    /// A step of its own; `key` tells it from others of the build.
    fn vertex(&self, build: &Build, key: &str, name: &str) -> Vertex {
        let digest = Digest::of(format!("{}\0{key}", build.id).as_bytes());
        Vertex {
            digest: digest.to_string(),
            name: name.to_owned(),
            ..Vertex::default()
        }
    }
}

/// What is exported, and for whom.
pub(crate) struct Exporting<'e> {
    pub(crate) service: &'e Arc<BuildKit>,
    pub(crate) build: &'e Arc<Build>,
    pub(crate) solved: &'e Arc<Solved>,
    /// What is to be known of the result.
    pub(crate) wanted: &'e Wanted,
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
            let (name, send): (_, pieces::Send) = match exporter.kind.as_str() {
                "tar" => ("exporting to client tarball", archive::send),
                "local" => ("exporting to client directory", directory::send),
                _ => {
                    response.extend(image::export(self, exporter, number).await?);
                    continue;
                }
            };
            let split = exporter.split(self.solved)?;
            let files =
                pieces::hand_over(self.service, self.build, self.solved, number, split, send);
            let vertex = exporter.vertex(self.build, &format!("{name}\0{number}"), name);
            self.build.progress.step(vertex, files).await?;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_alone_have_no_attestations() {
        let wanted = |value: &str| {
            let option = ("attest:provenance".to_owned(), value.to_owned());
            Wanted::of(&[option].into()).unwrap()
        };
        for (kind, value, refused) in [
            ("local", "mode=max", true),
            ("tar", "", true),
            ("local", "mode=min,inline-only=true", false),
            ("image", "mode=max", false),
        ] {
            let exporter = Exporter {
                kind: kind.to_owned(),
                ..Exporter::default()
            };
            let checked = exporter.check_attestations(&wanted(value));
            assert_eq!(checked.is_err(), refused, "{kind} {value}");
        }
    }
}
