//! Sources of a definition: an address, and what is told of it.

use std::collections::BTreeMap;

use crate::status::Status;
use crate::wire::fields;

/// A source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) scheme: String,
    /// What is behind `://`.
    pub(super) rest: String,
    pub(super) attributes: BTreeMap<String, String>,
}

/// Attributes that say how BuildKit is to go about it, or nothing new here.
const IDLE: &[&str] = &[
    "local.unique",
    "local.differ",
    "local.sharedkeyhint",
    "image.recordtype",
    "git.fullurl",
    "git.knownsshhosts",
    "git.mountsshsock",
];

/// Reads a source; attributes that are not in `known` are refused.
pub(super) fn read(message: &[u8]) -> Result<Source, Status> {
    let (mut identifier, mut attributes) = (String::new(), BTreeMap::new());
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => identifier = field.text()?,
            2 => field.add_to(&mut attributes)?,
            _ => {}
        }
    }
    let (scheme, rest) = identifier.split_once("://").ok_or_else(|| {
        Status::invalid(format!("failed to parse source identifier {identifier}"))
    })?;
    Ok(Source {
        scheme: scheme.to_owned(),
        rest: rest.to_owned(),
        attributes,
    })
}

impl Source {
    /// An attribute, or nothing.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Refuses what is told and would be left out.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Status> {
        let mut names = self.attributes.keys().map(String::as_str);
        let unknown = names.find(|name| !known.contains(name) && !IDLE.contains(name));
        match unknown {
            None => Ok(()),
            Some(name) => Err(Status::unsupported(format!(
                "the attribute {name} of a source {}:// is not supported",
                self.scheme
            ))),
        }
    }

    /// A list of texts, as JSON has it.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, Status> {
        match self.attribute(name) {
            "" => Ok(Vec::new()),
            text => serde_json::from_str(text)
                .map_err(|error| Status::invalid(format!("invalid {name}: {error}"))),
        }
    }
}
