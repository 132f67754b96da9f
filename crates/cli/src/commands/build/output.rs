//! `--output`: what becomes of a result, and where its files go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::copy::Unpacking;
use crate::args::Matches;
use crate::error::Error;

/// One thing that becomes of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    kind: String,
    /// Where files go; `-` for the standard output.
    dest: String,
    attributes: BTreeMap<String, String>,
}

/// What `--output` says; nothing for an image.
pub(super) fn outputs(matches: &Matches) -> Result<Vec<Output>, Error> {
    let texts = matches.list("output");
    texts.iter().map(|text| one(text)).collect()
}

fn one(text: &str) -> Result<Output, Error> {
    let refused = |text: String| Err(Error::message(text));
    let mut output = Output {
        kind: String::new(),
        dest: String::new(),
        attributes: BTreeMap::new(),
    };
    if !text.contains('=') {
        let kind = if text == "-" { "tar" } else { "local" };
        (output.kind, output.dest) = (kind.to_owned(), text.to_owned());
        return Ok(output);
    }
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("type", kind)) => kind.clone_into(&mut output.kind),
            Some(("dest", dest)) => dest.clone_into(&mut output.dest),
            Some((key, value)) => {
                output.attributes.insert(key.to_owned(), value.to_owned());
            }
            None => return refused(format!("invalid value {field}")),
        }
    }
    match (output.kind.as_str(), output.dest.as_str()) {
        ("", _) => refused("type is required for output".to_owned()),
        ("local", "" | "-") => refused("dest is required for local exporter".to_owned()),
        ("tar", "") => {
            "-".clone_into(&mut output.dest);
            Ok(output)
        }
        ("local" | "tar", _) | ("image" | "docker", "") => Ok(output),
        (kind, _) => refused(format!(
            "output of type {kind} is not supported: use docker buildx, or gantry save and push"
        )),
    }
}

/// The parameter of the request.
pub(super) fn parameter(outputs: &[Output]) -> String {
    let outputs = outputs
        .iter()
        .map(|output| json!({"Type": output.kind, "Attrs": output.attributes}));
    Value::from_iter(outputs).to_string()
}

/// Where the files of each output go.
pub(super) struct Sinks(Vec<Option<Sink>>);

enum Sink {
    Stdout,
    File(File, String),
    Folder(Unpacking),
}

impl Sinks {
    /// Makes ready what files go to.
    pub(super) fn open(outputs: &[Output]) -> Result<Self, Error> {
        let sinks = outputs.iter().map(|output| {
            let failed =
                |error: std::io::Error| Error::message(format!("{}: {error}", output.dest));
            Ok(match (output.kind.as_str(), output.dest.as_str()) {
                ("local", dest) => {
                    std::fs::create_dir_all(dest).map_err(failed)?;
                    Some(Sink::Folder(Unpacking::into(dest)))
                }
                ("tar", "-") => Some(Sink::Stdout),
                ("tar", dest) => {
                    let file = File::create(dest).map_err(failed)?;
                    Some(Sink::File(file, dest.to_owned()))
                }
                _ => None,
            })
        });
        sinks.collect::<Result<_, _>>().map(Self)
    }

    /// Takes a piece of the files of an output.
    pub(super) fn take(&mut self, message: &Value) -> Result<(), Error> {
        let wrong = || Error::message("invalid files of a build");
        let place = message["output"]
            .as_u64()
            .and_then(|place| usize::try_from(place).ok());
        let sink = place.and_then(|place| self.0.get_mut(place)?.as_mut());
        let bytes = STANDARD.decode(message["data"].as_str().unwrap_or_default());
        let bytes = bytes.map_err(|_| wrong())?;
        match sink.ok_or_else(wrong)? {
            Sink::Stdout => std::io::stdout()
                .write_all(&bytes)
                .map_err(|error| Error::message(format!("write: {error}"))),
            Sink::File(file, name) => file
                .write_all(&bytes)
                .map_err(|error| Error::message(format!("write {name}: {error}"))),
            Sink::Folder(unpacking) => {
                unpacking.feed(bytes.into());
                Ok(())
            }
        }
    }

    /// Waits until everything is where it belongs.
    pub(super) fn end(self) -> Result<(), Error> {
        for sink in self.0.into_iter().flatten() {
            if let Sink::Folder(unpacking) = sink {
                unpacking.end()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_as_buildx_reads_them() {
        let read = |text: &str| one(text).map(|output| (output.kind, output.dest));
        let pair = |kind: &str, dest: &str| (kind.to_owned(), dest.to_owned());
        assert_eq!(read("out").unwrap(), pair("local", "out"));
        assert_eq!(read("-").unwrap(), pair("tar", "-"));
        assert_eq!(read("type=tar,dest=x.tar").unwrap(), pair("tar", "x.tar"));
        assert_eq!(read("type=image,name=x").unwrap(), pair("image", ""));
        for wrong in ["type=local", "dest=x", "type=oci,dest=x", "type=tar,dest"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
