//! What is known of a result beside its files: attestations that a client has asked for
//! (`attest:provenance` of its options).

mod provenance;
mod steps;

use std::collections::BTreeMap;

use gantry_image::Attestation;

use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Image;
use crate::status::Status;

/// The types of provenance predicates: SLSA 0.2 and 1.
const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
const SLSA_1: &str = "https://slsa.dev/provenance/v1";

/// What is asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Where the image came from, if that is wanted.
    pub(crate) provenance: Option<Provenance>,
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
                Some("sbom") if disabled(value) => {}
                Some("sbom") => {
                    let text = "attestations of type sbom need the image of a scanner: that is \
                                not supported";
                    return Err(Status::unsupported(text));
                }
                Some(other) => {
                    let text = format!("attestations (attest:{other}) are not supported");
                    return Err(Status::unsupported(text));
                }
            }
        }
        Ok(wanted)
    }

    /// What is known of one image of a result. What is wanted within images only is left
    /// out where there is no image.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn attest(
        &self,
        service: &BuildKit,
        build: &Build,
        image: &Image,
        inline: bool,
    ) -> Result<Vec<Attestation>, Status> {
        let provenance = self.provenance.as_ref();
        let provenance = provenance.filter(|wanted| inline || !wanted.inline_only);
        let told = provenance.map(|wanted| wanted.tell(service, build, image));
        told.into_iter().collect()
    }
}

fn fields(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let fields = value.split(',').filter(|field| !field.is_empty());
    fields.map(|field| field.split_once('=').unwrap_or((field, "")))
}

fn disabled(value: &str) -> bool {
    fields(value).any(|(key, value)| key == "disabled" && is_true(value))
}

/// What Go's `ParseBool` takes for true.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

impl Provenance {
    fn of(value: &str) -> Result<Option<Self>, Status> {
        let mut wanted = Self::default();
        for (key, value) in fields(value) {
            match key {
                "mode" => {
                    wanted.min = match value {
                        "min" => true,
                        "max" | "full" => false,
                        _ => return Err(Status::invalid(format!("invalid mode {value:?}"))),
                    };
                }
                "inline-only" => wanted.inline_only = is_true(value),
                "version" => {
                    wanted.slsa_1 = match value {
                        "v1" => true,
                        "v0.2" => false,
                        _ => {
                            let text = format!("invalid provenance SLSA version: {value}");
                            return Err(Status::invalid(text));
                        }
                    };
                }
                "builder-id" => value.clone_into(&mut wanted.builder),
                "reproducible" => wanted.reproducible = is_true(value),
                "disabled" | "type" => {}
                other => {
                    let text = format!("provenance with {other} is not supported");
                    return Err(Status::unsupported(text));
                }
            }
        }
        Ok(Some(wanted).filter(|_| !disabled(value)))
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

/// What the history keeps of an image without being asked: everything, unless the client
/// wants less.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn for_history(
    service: &BuildKit,
    build: &Build,
    image: &Image,
    wanted: &Wanted,
) -> Result<Attestation, Status> {
    let wanted = wanted.provenance.clone().unwrap_or_default();
    wanted.tell(service, build, image)
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
        assert!(wanted("provenance", "").unwrap().provenance.is_some());
        for (kind, value) in [
            ("provenance", "mode=some"),
            ("provenance", "version=v2"),
            ("provenance", "filename=x"),
            ("sbom", ""),
            ("sbom", "generator=x"),
            ("other", ""),
        ] {
            assert!(wanted(kind, value).is_err(), "{kind} {value}");
        }
    }
}
