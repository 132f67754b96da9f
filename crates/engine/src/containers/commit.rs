//! `commit`: an image of what a container has changed. Volumes are no part of it.
//!
//! A running container is paused meanwhile, unless that is not wished; a note in its
//! directory tells the next daemon to let it go on if this one is killed.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::Config;
use gantry_image::{CommitOptions, committed_config};
use gantry_types::{ImageId, ProcessConfig};

use super::changes::is_scaffold;
use super::container::Container;
use super::record::Record;
use super::state::Phase;
use super::{Containers, Inner};
use crate::error::{Error, Result};

/// The note, in the container's directory.
const PAUSED: &str = "paused-by-commit";

/// What to make of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitQuery {
    /// Which.
    pub container: String,
    /// The repository of the image's name; none without it.
    pub repo: String,
    /// The tag of its name.
    pub tag: String,
    /// What is said about it.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Whether the container is paused meanwhile.
    pub pause: bool,
    /// Instructions of a Dockerfile that change its configuration.
    pub changes: Vec<String>,
    /// Its configuration, instead of the container's.
    pub config: Option<Config>,
}

impl Containers {
    /// Makes an image of a container; answers its id.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Conflict` for one that is going; `Invalid` for the name or
    /// an instruction; when files cannot be read or written.
    pub fn commit(&self, query: &CommitQuery) -> Result<String> {
        let inner = &self.inner;
        if query.container.is_empty() {
            let text = "invalid name or ID supplied: \"\"";
            return Err(Error::Invalid(text.to_owned()));
        }
        let reference = gantry_image::tag_reference(&query.repo, &query.tag)?;
        let container = inner.find(&query.container)?;
        check_phase(&container)?;
        let record = container.record();
        if record.image_id.is_empty() {
            let text = "a step of a build that was kept stands on no image: it cannot be committed";
            return Err(Error::Unsupported(text.to_owned()));
        }
        let own = process_config(&record.config)?;
        let given = query.config.as_ref().map(process_config).transpose()?;
        let options = CommitOptions {
            config: committed_config(&own, given, &query.changes)?,
            author: query.author.clone(),
            comment: query.comment.clone(),
            created_by: own.cmd.unwrap_or_default().join(" "),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            reference: reference.clone(),
        };
        let base = record.image_id.parse().ok().map(ImageId);
        let _paused = query.pause.then(|| inner.hold_still(&container, &record));
        let key = container.id().as_str();
        let id = inner.images.commit(key, base, &options, &is_scaffold)?;
        let attributes = [
            ("comment", query.comment.clone()),
            ("imageID", id.to_string()),
            (
                "imageRef",
                reference.map_or_else(String::new, |name| name.familiar()),
            ),
        ];
        inner.publish(&container, "commit", &attributes);
        Ok(id.to_string())
    }
}

fn check_phase(container: &Container) -> Result<()> {
    let what = match container.state().phase {
        Phase::Dead => "Dead",
        Phase::Removing => "being removed",
        _ => return Ok(()),
    };
    let id = container.id();
    Err(Error::Conflict(format!(
        "You cannot commit container {id} which is {what}"
    )))
}

/// What an image keeps of a container's configuration.
fn process_config(config: &Config) -> Result<ProcessConfig> {
    let wrong = |error| Error::Corrupt(format!("configuration of a container: {error}"));
    let value = serde_json::to_value(config).map_err(wrong)?;
    serde_json::from_value(value).map_err(wrong)
}

/// A container that goes on when this is dropped, if it was this that paused it.
pub(crate) struct Still {
    inner: Arc<Inner>,
    container: Arc<Container>,
    note: Option<PathBuf>,
}

impl Drop for Still {
    fn drop(&mut self) {
        let Some(note) = &self.note else { return };
        let _alone = self.container.freezer();
        if self.container.state().paused
            && let Err(error) = self.inner.unfreeze(&self.container)
        {
            tracing::error!(id = %self.container.id(), %error, "a container that was paused for a copy stays so");
        }
        drop(std::fs::remove_file(note));
    }
}

impl Inner {
    /// Pauses a container that runs and is not paused.
    pub(super) fn hold_still(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: &Record,
    ) -> Still {
        let mut still = Still {
            inner: Arc::clone(self),
            container: Arc::clone(container),
            note: None,
        };
        let _alone = container.freezer();
        let state = container.state();
        if !state.running() || state.paused {
            return still;
        }
        let note = record.dir(&self.settings.data_root).join(PAUSED);
        let paused = std::fs::write(&note, "")
            .map_err(|error| Error::io("write", &note, error))
            .and_then(|()| self.freeze(container));
        match paused {
            Ok(()) => still.note = Some(note),
            // It may just have ended; what is packed is consistent in any case.
            Err(error) => {
                tracing::debug!(id = %container.id(), %error, "a container is committed unpaused");
                drop(std::fs::remove_file(&note));
            }
        }
        still
    }

    /// Lets a container go on that the last daemon paused for a commit.
    pub(super) fn end_commit_of_last_daemon(self: &Arc<Self>, container: &Arc<Container>) {
        let note = container
            .record()
            .dir(&self.settings.data_root)
            .join(PAUSED);
        if note.exists() {
            drop(Still {
                inner: Arc::clone(self),
                container: Arc::clone(container),
                note: Some(note),
            });
        }
    }
}
