//! The one place that writes for people: standard output, and the log.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::clock;
use super::error::{Error, Result};

/// Writes to standard output. A reader that went away is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a document with an indent of two, as runc does.
pub(super) fn print_json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    print(&(text + "\n"));
}

/// Where errors are told: `--log`, and standard error.
#[derive(Debug, Default)]
pub(super) struct Log {
    file: Option<File>,
    json: bool,
    debug: bool,
}

/// A line of `--log-format json`.
#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    msg: &'a str,
    time: &'a str,
}

impl Log {
    pub(super) fn new(path: Option<&str>, format: Option<&str>, debug: bool) -> Result<Self> {
        let json = match format {
            None | Some("text" | "") => false,
            Some("json") => true,
            Some(other) => {
                return Err(Error::Usage(format!("invalid log-format: {other}")));
            }
        };
        let open = |path: &str| {
            let path = Path::new(path);
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(Error::file("open", path))
        };
        let file = path.filter(|path| !path.is_empty()).map(open).transpose()?;
        Ok(Self { file, json, debug })
    }

    /// Reports the failure of the command.
    pub(super) fn error(&self, message: &str) {
        self.line("error", message);
        if self.file.is_some() {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    /// What went wrong, and changes nothing.
    pub(super) fn warn(&self, message: &str) {
        self.line("warning", message);
    }

    /// A word for `--debug`.
    pub(super) fn debug(&self, message: &str) {
        if self.debug {
            self.line("debug", message);
        }
    }

    fn line(&self, level: &str, message: &str) {
        let time = clock::rfc3339(clock::now(), false);
        let text = if self.json {
            let line = Line {
                level,
                msg: message,
                time: &time,
            };
            serde_json::to_string(&line).unwrap_or_default()
        } else {
            format!("time=\"{time}\" level={level} msg={message:?}")
        };
        let _ = match &self.file {
            // In one piece: others append to it as well.
            Some(file) => (&*file).write_all(format!("{text}\n").as_bytes()),
            None => writeln!(std::io::stderr(), "{text}"),
        };
    }
}
