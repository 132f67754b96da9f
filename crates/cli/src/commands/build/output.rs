//! `--output`: what becomes of a result, and where its files go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::super::copy::Unpacking;
use super::fields;
use crate::args::{Matches, parse_bool};
use crate::error::Error;

/// One thing that becomes of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) kind: String,
    /// Where files go; `-` for the standard output.
    pub(super) dest: String,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Output {
    /// An image that is kept.
    pub(super) fn image() -> Self {
        Self {
            kind: "image".to_owned(),
            dest: String::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// Whether `POST /build` can do it.
    pub(super) fn is_plain(&self) -> bool {
        let known: &[&str] = match self.kind.as_str() {
            "image" | "docker" if self.dest.is_empty() => &["name", "rewrite-timestamp"],
            "local" | "tar" => &[],
            _ => return false,
        };
        let mut keys = self.attributes.keys();
        keys.all(|key| known.contains(&key.as_str()))
    }

    /// Whether it is an image's files, one by one.
    pub(super) fn is_store(&self) -> bool {
        let tar = self.attributes.get("tar");
        matches!(self.kind.as_str(), "oci" | "docker")
            && tar.and_then(|tar| parse_bool(tar)) == Some(false)
    }

    /// Whether an image is kept here.
    fn is_image(&self) -> bool {
        matches!(self.kind.as_str(), "image" | "docker") && self.dest.is_empty()
    }

    /// Refuses a place where its files cannot go.
    fn check(mut self) -> Result<Self, Error> {
        let refused = |text: String| Err(Error::message(text));
        let Self { kind, dest, .. } = &mut self;
        let found = std::fs::metadata(&*dest).ok();
        match kind.as_str() {
            "" => return refused("type is required for output".to_owned()),
            "image" | "registry" | "cacheonly" if !dest.is_empty() => {
                return refused(format!("dest is not supported for {kind} exporter"));
            }
            "image" | "registry" | "cacheonly" => return Ok(self),
            "local" | "tar" | "oci" | "docker" => {}
            kind => return refused(format!("exporter {kind:?} could not be found")),
        }
        if kind == "local" || self.is_store() {
            let Self { kind, dest, .. } = &self;
            match dest.as_str() {
                "" => return refused(format!("dest is required for {kind} exporter")),
                "-" => return refused(format!("dest cannot be stdout for {kind} exporter")),
                _ if found.is_some_and(|found| !found.is_dir()) => {
                    return refused(format!("destination directory {dest} is a file"));
                }
                _ => return Ok(self),
            }
        }
        let Self { kind, dest, .. } = &mut self;
        if dest.is_empty() && kind != "docker" {
            "-".clone_into(dest);
        }
        if dest == "-" && std::io::stdout().is_terminal() {
            return refused(format!(
                "dest file is required for {kind} exporter. refusing to write to console"
            ));
        }
        if found.is_some_and(|found| found.is_dir()) {
            return refused(format!("destination file {dest} is a directory"));
        }
        Ok(self)
    }
}

/// What `--output`, `--load` and `--push` say; nothing for an image alone.
pub(super) fn outputs(matches: &Matches) -> Result<Vec<Output>, Error> {
    let texts = matches.list("output");
    let outputs = texts.iter().map(|text| one(text)?.check());
    let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let files = ["local", "tar"];
    let only_files = outputs
        .iter()
        .any(|output| files.contains(&output.kind.as_str()));
    if only_files && !matches.text("iidfile").is_empty() {
        let text = "local and tar exporters are incompatible with image ID file";
        return Err(Error::message(text));
    }
    let kept = outputs.iter().any(Output::is_image);
    let pushed = kept || outputs.iter().any(|output| output.kind == "registry");
    let missed = matches.bool("load") && !kept || matches.bool("push") && !pushed;
    if !outputs.is_empty() && missed {
        outputs.push(Output::image());
    }
    Ok(outputs)
}

fn one(text: &str) -> Result<Output, Error> {
    let alone = fields::fields(text)? == [text] && !text.starts_with("type=");
    if alone {
        let kind = if text == "-" { "tar" } else { "local" };
        return Ok(Output {
            kind: kind.to_owned(),
            dest: text.to_owned(),
            attributes: BTreeMap::new(),
        });
    }
    let mut attributes = fields::map(text)?;
    let mut take = |key: &str| attributes.remove(key).unwrap_or_default();
    Ok(Output {
        kind: take("type"),
        dest: take("dest"),
        attributes,
    })
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
    /// Makes ready what files go to. What is only cached is no output to the daemon, and
    /// has no number there.
    pub(super) fn open(outputs: &[Output]) -> Result<Self, Error> {
        let outputs = outputs.iter().filter(|output| output.kind != "cacheonly");
        let sinks = outputs.map(|output| {
            let failed =
                |error: std::io::Error| Error::message(format!("{}: {error}", output.dest));
            Ok(match (output.kind.as_str(), output.dest.as_str()) {
                (_, _) if output.is_store() => None,
                ("local", dest) => {
                    std::fs::create_dir_all(dest).map_err(failed)?;
                    Some(Sink::Folder(Unpacking::into(dest)))
                }
                ("tar" | "oci" | "docker", "-") => Some(Sink::Stdout),
                ("tar" | "oci" | "docker", dest) if !dest.is_empty() => {
                    let file = File::create(dest).map_err(failed)?;
                    Some(Sink::File(file, dest.to_owned()))
                }
                _ => None,
            })
        });
        sinks.collect::<Result<_, _>>().map(Self)
    }

    /// Takes a piece of the files of the output of a number.
    pub(super) fn take(&mut self, place: usize, bytes: &[u8]) -> Result<(), Error> {
        let sink = self.0.get_mut(place).and_then(Option::as_mut);
        let wrong = || Error::message("invalid files of a build");
        match sink.ok_or_else(wrong)? {
            Sink::Stdout => std::io::stdout()
                .write_all(bytes)
                .map_err(|error| Error::message(format!("write: {error}"))),
            Sink::File(file, name) => file
                .write_all(bytes)
                .map_err(|error| Error::message(format!("write {name}: {error}"))),
            Sink::Folder(unpacking) => {
                unpacking.feed(bytes.to_vec().into());
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
        let read = |text: &str| {
            let output = one(text)?.check()?;
            let plain = output.is_plain();
            Ok::<_, Error>((output.kind, output.dest, plain))
        };
        let is = |kind: &str, dest: &str, plain| (kind.to_owned(), dest.to_owned(), plain);
        assert_eq!(read("out").unwrap(), is("local", "out", true));
        assert_eq!(
            read("type=tar,dest=x.tar").unwrap(),
            is("tar", "x.tar", true)
        );
        assert_eq!(read("type=image,name=x").unwrap(), is("image", "", true));
        assert_eq!(
            read("type=image,push=true").unwrap(),
            is("image", "", false)
        );
        assert_eq!(
            read("type=oci,\"dest=a,b\"").unwrap(),
            is("oci", "a,b", false)
        );
        assert!(one("type=oci,tar=false,dest=x").unwrap().is_store());
        assert!(one("type=oci,tar=False,dest=x").unwrap().is_store());
        for wrong in [
            "type=local",
            "type=tar,dest",
            "name=x,dest=y",
            "type=other,dest=x",
            "type=local,dest=-",
            "type=tar,dest=/",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn outputs_have_the_numbers_that_the_daemon_knows() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x.tar");
        let texts = [
            "type=cacheonly",
            &format!("type=tar,dest={}", place.display()),
        ];
        let outputs = texts.map(|text| one(text).unwrap());
        let mut sinks = Sinks::open(&outputs).unwrap();
        sinks.take(0, b"bytes").unwrap();
        assert!(sinks.take(1, b"bytes").is_err());
        assert_eq!(std::fs::read(place).unwrap(), b"bytes");
    }
}
