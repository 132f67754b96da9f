//! What is wrong with a Dockerfile, as clients show it: with the lines that are meant.

use base64::Engine;
use gantry_dockerfile::{Dockerfile, Span};
use rustix::io::Errno;

use crate::status::{Code, Status};

/// The type of the detail that tells of lines.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// A Dockerfile.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

impl Source {
    /// Adds the lines that a failure is about.
    pub(crate) fn blame(&self, mut status: Status, span: Option<Span>) -> Status {
        if let Some(span) = span.filter(|_| !self.text.is_empty()) {
            let position = |line: usize| serde_json::json!({ "line": line });
            let detail = serde_json::json!({
                "info": {
                    "filename": self.name,
                    "data": base64::engine::general_purpose::STANDARD.encode(&self.text),
                    "language": "Dockerfile",
                },
                "ranges": [{
                    "start": position(span.first_line),
                    "end": position(span.last_line),
                }],
            });
            status
                .details
                .push((SOURCE.to_owned(), detail.to_string().into_bytes()));
        }
        status
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is wrong.
    pub(crate) fn parse(&self) -> Result<Dockerfile, Status> {
        if self.text.is_empty() {
            return Err(Status::invalid("the Dockerfile cannot be empty"));
        }
        gantry_dockerfile::parse(&self.text).map_err(|error| self.wrong(&error))
    }

    /// What is said of a Dockerfile that is wrong.
    pub(crate) fn wrong(&self, error: &gantry_dockerfile::Error) -> Status {
        self.blame(Status::invalid(error.to_string()), error.span())
    }
}

/// The lines that a failure is about, for people.
pub(crate) fn excerpt(status: &Status, name: &str, text: &[u8]) -> Option<String> {
    let (_, json) = status.details.iter().find(|(kind, _)| kind == SOURCE)?;
    let detail: serde_json::Value = serde_json::from_slice(json).ok()?;
    let line = |end: &str| usize::try_from(detail["ranges"][0][end]["line"].as_u64()?).ok();
    gantry_dockerfile::excerpt(name, text, Span::new(line("start")?, line("end")?))
}

/// What is said of a Dockerfile that cannot be read.
pub(crate) fn unreadable(name: &str, error: &gantry_sys::Error) -> Status {
    let why = match error.errno {
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::FBIG => "file is too large".to_owned(),
        errno => errno.to_string(),
    };
    let code = match error.errno {
        Errno::NOENT => Code::NotFound,
        _ => Code::Unknown,
    };
    Status::new(
        code,
        format!("failed to read dockerfile: open {name}: {why}"),
    )
}
