//! What is known of a result beside its files: attestations that a client has asked for
//! (`attest:provenance` and `attest:sbom` of its options). They go along with images, and
//! become files beside files.

mod packages;
mod provenance;
mod sbom;
mod steps;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use gantry_image::Attestation;
use gantry_sys::RootDir;
use gantry_types::{Digest, Hasher};
use rustix::fs::FileType;
use serde_json::{Value, json};

pub(crate) use sbom::Sbom;

use crate::BuildKit;
use crate::builds::Build;
use crate::exports::{pieces, walk};
use crate::frontend::{Image, Solved};
use crate::status::Status;
use crate::truth::is_true;

/// The types of provenance predicates: SLSA 0.2 and 1.
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
/// The type of what lists what an image consists of.
const SPDX: &str = "https://spdx.dev/Document";

/// What is asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Where the image came from, if that is wanted.
    pub(crate) provenance: Option<Provenance>,
    /// What it consists of, if that is wanted.
    pub(crate) sbom: Option<Sbom>,
}

/// Something that is known of an image.
pub(crate) struct Statement {
    attestation: Attestation,
    /// What it is called as a file.
    file: String,
    /// Whether it goes only where it can be within an image.
    inline_only: bool,
}

/// How provenance is told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// Whether nothing that may be secret is told.
    pub(crate) min: bool,
    /// Whether it goes only where it can be within an image.
    pub(crate) inline_only: bool,
    /// Whether it is SLSA 1, not 0.2.
    pub(crate) slsa_1: bool,
    /// Who is said to have built it.
    pub(crate) builder: String,
    /// What it is called as a file; empty for the usual name.
    pub(crate) file: String,
    /// Whether the client says that the build gives the same again.
    pub(crate) reproducible: bool,
}

impl Wanted {
    /// From the options of a build.
    ///
    /// # Errors
    /// `Unimplemented` for attestations that are not there, `InvalidArgument` for what
    /// makes no sense.
    pub(crate) fn of(options: &BTreeMap<String, String>) -> Result<Self, Status> {
        let mut wanted = Self::default();
        for (key, value) in options {
            match key.strip_prefix("attest:") {
                None => {}
                Some("provenance") => wanted.provenance = Provenance::of(value)?,
                Some("sbom") => wanted.sbom = Sbom::of(value)?,
                Some(other) => {
                    let text = format!("unknown attestation type {other:?}");
                    return Err(Status::invalid(text));
                }
            }
        }
        Ok(wanted)
    }

    /// What is known of each image of a result.
    ///
    /// # Errors
    /// When it cannot be told, and those of scanners.
    pub(crate) async fn tell(
        &self,
        service: &Arc<BuildKit>,
        build: &Arc<Build>,
        solved: &Arc<Solved>,
    ) -> Result<Vec<Vec<Statement>>, Status> {
        let mut told = Vec::new();
        for (number, image) in solved.parts().iter().enumerate() {
            let mut known = match &self.sbom {
                Some(sbom) => sbom.tell(service, build, solved, number).await?,
                None => Vec::new(),
            };
            if let Some(wanted) = &self.provenance {
                known.push(Statement {
                    attestation: wanted.tell(service, build, image)?,
                    file: match wanted.file.as_str() {
                        "" => "provenance.json".to_owned(),
                        name => name.to_owned(),
                    },
                    inline_only: wanted.inline_only,
                });
            }
            told.push(known);
        }
        Ok(told)
    }
}

/// What goes along within an image; with `inline` also what goes only there.
pub(crate) fn within(known: &[Statement], inline: bool) -> Vec<Attestation> {
    let known = known.iter().filter(|one| inline || !one.inline_only);
    known.map(|one| one.attestation.clone()).collect()
}

/// What goes along with files, as files, of all others of which they are; `name` makes
/// names of theirs.
///
/// # Errors
/// When the others cannot be read.
pub(crate) fn as_files(
    known: &[Statement],
    files: Option<&RootDir>,
    name: &dyn Fn(&str) -> String,
) -> Result<Vec<pieces::Statement>, Status> {
    let known: Vec<&Statement> = known.iter().filter(|one| !one.inline_only).collect();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let subjects = match files {
        Some(files) => subjects(files)?,
        None => Vec::new(),
    };
    let mut made = BTreeMap::new();
    for one in known {
        let bytes = one.attestation.readable(subjects.clone());
        let bytes = bytes.map_err(|error| Status::internal(error.to_string()))?;
        // Only the last part of a name counts.
        let name = name(one.file.rsplit('/').next().unwrap_or_default());
        if made.insert(name.clone(), bytes).is_some() {
            let text = format!("duplicate attestation path name {name}");
            return Err(Status::invalid(text));
        }
    }
    let made = made.into_iter();
    Ok(made
        .map(|(name, bytes)| pieces::Statement { name, bytes })
        .collect())
}

/// All files, as what a statement is about.
fn subjects(files: &RootDir) -> Result<Vec<Value>, Status> {
    let mut subjects = Vec::new();
    walk::walk(files, "", &mut |found| {
        let bad = |errno| walk::failed(found.path, errno);
        if FileType::from_raw_mode(found.stat.st_mode) == FileType::RegularFile {
            let name = found.name.as_bytes();
            let file = gantry_sys::open_regular(found.directory, name).map_err(bad)?;
            let digest = digest(file)
                .map_err(|error| Status::unknown(format!("exporting /{}: {error}", found.path)))?;
            subjects.push(json!({"name": found.path, "digest": {"sha256": digest.hex()}}));
        }
        Ok(true)
    })?;
    Ok(subjects)
}

fn digest(mut file: File) -> std::io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; pieces::PIECE]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The attributes of an attestation, which may be quoted; the client's own commas are.
fn fields(value: &str) -> Result<Vec<(String, String)>, Status> {
    let fields = gantry_dockerfile::fields(value);
    let fields = fields.map_err(|error| Status::invalid(format!("{value}: {error}")))?;
    let fields = fields.into_iter().filter(|field| !field.is_empty());
    Ok(fields
        .map(|field| match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (field, String::new()),
        })
        .collect())
}

fn disabled(fields: &[(String, String)]) -> bool {
    let mut fields = fields.iter();
    fields.any(|(key, value)| key == "disabled" && is_true(value))
}

impl Provenance {
    fn of(value: &str) -> Result<Option<Self>, Status> {
        let mut wanted = Self::default();
        let fields = fields(value)?;
        for (key, value) in &fields {
            match key.as_str() {
                "mode" => {
                    wanted.min = match value.as_str() {
                        "min" => true,
                        "max" | "full" => false,
                        _ => return Err(Status::invalid(format!("invalid mode {value:?}"))),
                    };
                }
                "inline-only" => wanted.inline_only = is_true(value),
                "version" => {
                    wanted.slsa_1 = match value.as_str() {
                        "v1" => true,
                        "v0.2" => false,
                        _ => {
                            let text = format!("invalid provenance SLSA version: {value}");
                            return Err(Status::invalid(text));
                        }
                    };
                }
                "filename" => value.clone_into(&mut wanted.file),
                "builder-id" => value.clone_into(&mut wanted.builder),
                "reproducible" => wanted.reproducible = is_true(value),
                "disabled" | "type" => {}
                other => {
                    let text = format!("provenance with {other} is not supported");
                    return Err(Status::unsupported(text));
                }
            }
        }
        Ok(Some(wanted).filter(|_| !disabled(&fields)))
    }

    fn tell(
        &self,
        service: &BuildKit,
        build: &Build,
        image: &Image,
    ) -> Result<Attestation, Status> {
        let kind = if self.slsa_1 { SLSA_1 } else { SLSA_02 };
        let predicate = provenance::tell(self, service, build, image);
        Attestation::new(kind, &predicate).map_err(|error| Status::internal(error.to_string()))
    }
}

/// What the history keeps of an image: where it came from, without being asked and in
/// full unless the client wants less, and what else is known.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn for_history(
    service: &BuildKit,
    build: &Build,
    image: &Image,
    wanted: &Wanted,
    known: &[Statement],
) -> Result<Vec<Attestation>, Status> {
    let wanted = wanted.provenance.clone().unwrap_or_default();
    let others = known.iter().map(|one| &one.attestation);
    let others = others.filter(|one| one.predicate_type == SPDX);
    let mut kept = vec![wanted.tell(service, build, image)?];
    kept.extend(others.cloned());
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(kind: &str, value: &str) -> Result<Wanted, Status> {
        Wanted::of(&[(format!("attest:{kind}"), value.to_owned())].into())
    }

    #[test]
    fn what_buildx_asks_for_is_understood() {
        let min = wanted("provenance", "mode=min,inline-only=true").unwrap();
        let min = min.provenance.unwrap();
        assert!(min.min && min.inline_only && !min.slsa_1);
        let max = wanted("provenance", "mode=max,version=v1,builder-id=me");
        let max = max.unwrap().provenance.unwrap();
        assert!(!max.min && max.slsa_1 && max.builder == "me");
        let none = wanted("provenance", "disabled=true").unwrap();
        assert_eq!(none, Wanted::default());
        let quoted = wanted("provenance", "\"builder-id=a,b\",mode=min").unwrap();
        assert_eq!(quoted.provenance.unwrap().builder, "a,b");
        assert!(wanted("provenance", "").unwrap().provenance.is_some());
        for (kind, value) in [
            ("provenance", "mode=some"),
            ("provenance", "version=v2"),
            ("provenance", "file=x"),
            ("sbom", "generator="),
            ("other", ""),
        ] {
            assert!(wanted(kind, value).is_err(), "{kind} {value}");
        }
    }
}
