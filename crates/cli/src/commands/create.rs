//! `create`, and what `run` shares with it.

use std::io::Write;

use futures_util::future::LocalBoxFuture;
use gantry_api::{ContainerCreated, Version};
use gantry_types::ErrorKind;

use super::{Outcome, names, pull};
use crate::args::Matches;
use crate::container_options::{Built, OURS};
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// `docker create`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let host = session.client.host();
        let built = crate::container_options::build(matches, &session.settings.config, &host)?;
        let id = create(session, matches, &built).await?;
        session.printer.line(&id);
        Ok(0)
    })
}

/// Creates the container, pulls its image when that is wanted, writes the id
/// file and prints warnings.
pub(crate) async fn create(
    session: &Session,
    matches: &Matches,
    built: &Built,
) -> Result<String, Error> {
    if matches.bool("use-api-socket") {
        return Err(Error::Unsupported(
            "option --use-api-socket is not supported yet".to_owned(),
        ));
    }
    refuse_windows(matches)?;
    pull::refuse_notary(matches)?;
    refuse_unknown_action(session, matches).await?;
    let image = &built.body.config.image;
    names::refuse_invalid(image).map_err(Error::Message)?;
    let mut id_file = IdFile::open(matches.text("cidfile"))?;
    let quiet = matches.bool("quiet");
    match matches.text("pull") {
        "always" => pull::pull(session, image, &built.platform, true, quiet).await?,
        "missing" | "never" | "" => {}
        other => {
            return Err(Error::message(format!(
                "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
            )));
        }
    }
    let call = Call::post("/containers/create")
        .query_some("name", &built.name)
        .query_some("platform", &built.platform)
        .json(&built.body)?;
    let created: ContainerCreated = match session.client.json(&call).await {
        Err(error) if matches.text("pull") == "missing" && lacks_image(&error) => {
            if !quiet {
                let shown = names::normalized(image)
                    .map_or_else(|_| image.clone(), |name| name.or_latest().familiar());
                session
                    .printer
                    .error_line(&format!("Unable to find image '{shown}' locally"));
            }
            pull::pull(session, image, &built.platform, true, quiet).await?;
            session.client.json(&call).await?
        }
        other => other?,
    };
    for warning in &created.warnings {
        session.printer.error_line(&format!("WARNING: {warning}"));
    }
    id_file.write(&created.id)?;
    Ok(created.id)
}

/// Flags that only an engine on Windows takes; this client knows none.
fn refuse_windows(matches: &Matches) -> Result<(), Error> {
    let flags = ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"];
    match flags.iter().find(|name| matches.changed(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Status {
            message: format!(
                "\"--{name}\" is only supported on a Docker daemon running on windows, but the \
                 Docker daemon is running on linux"
            ),
            code: 1,
        }),
    }
}

/// Another engine would pass over what only ours knows in silence.
async fn refuse_unknown_action(session: &Session, matches: &Matches) -> Result<(), Error> {
    let Some(flag) = OURS.iter().find(|flag| matches.changed(flag)) else {
        return Ok(());
    };
    let version: Version = session.client.json(&Call::get("/version")).await?;
    match version.platform.name.as_str() {
        "Gantry" => Ok(()),
        other => Err(Error::Unsupported(format!(
            "option --{flag} is gantry's: this engine ({other}) does not know it"
        ))),
    }
}

fn lacks_image(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && error.to_string().contains("No such image")
}

/// The `--cidfile`: it must not exist, and goes away again when nothing was
/// written to it.
struct IdFile {
    path: String,
    file: Option<std::fs::File>,
    written: bool,
}

impl IdFile {
    fn open(path: &str) -> Result<Self, Error> {
        let file = match path {
            "" => None,
            path => Some(
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(path)
                    .map_err(|error| match error.kind() {
                        std::io::ErrorKind::AlreadyExists => Error::message(format!(
                            "container ID file found, make sure the other container isn't running or delete {path}"
                        )),
                        _ => Error::message(format!("failed to create the container ID file: open {path}: {error}")),
                    })?,
            ),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    fn write(&mut self, id: &str) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.write_all(id.as_bytes()).map_err(|error| {
                Error::message(format!(
                    "failed to write the container ID ({id}) to file: {error}"
                ))
            })?;
            self.written = true;
        }
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if self.file.is_some() && !self.written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
