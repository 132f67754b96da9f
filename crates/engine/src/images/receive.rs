//! How images come here from files: import, load, commit.

use std::io::Read;

use gantry_api::{ProgressDetail, ProgressMessage};
use gantry_image::{CommitOptions, ImportOptions, LoadOptions, Progress as Loading};
use gantry_types::{ImageId, Platform};

use super::{Images, Progress};
use crate::error::{Error, Result};

/// How a file system becomes an image.
#[derive(Debug, Clone, Default)]
pub struct ImportQuery {
    /// Where it comes from, for its comment: `-`, or a URL.
    pub source: String,
    /// The repository of its name; none without it.
    pub repo: String,
    /// The tag of its name.
    pub tag: String,
    /// Its comment, if that shall not name the source.
    pub message: Option<String>,
    /// Instructions of a Dockerfile that change its configuration.
    pub changes: Vec<String>,
    /// What it runs on; this machine's platform when not given.
    pub platform: Option<Platform>,
}

impl Images {
    /// Makes an image of the file system in an archive (`tar`, maybe
    /// compressed). The last line of progress is its id.
    ///
    /// # Errors
    /// When the name, an instruction or the archive is wrong.
    pub fn import(
        &self,
        archive: impl Read + Send,
        query: &ImportQuery,
        progress: Progress<'_>,
    ) -> Result<()> {
        let reference = gantry_image::tag_reference(&query.repo, &query.tag)?;
        let runs_here = |platform: &Platform| platform.os == Platform::host().os;
        if !query.platform.as_ref().is_none_or(runs_here) {
            let text = "operating system is not supported".to_owned();
            return Err(Error::Invalid(text));
        }
        let message = query.message.clone().filter(|message| !message.is_empty());
        let source = match query.source.as_str() {
            "" => "-",
            source => source,
        };
        let imported = self.store.import(
            archive,
            &ImportOptions {
                reference: reference.clone(),
                platform: query.platform.clone(),
                message: message.unwrap_or_else(|| format!("Imported from {source}")),
                changes: query.changes.clone(),
                engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        )?;
        let id = imported.id.to_string();
        if let Some(reference) = reference {
            self.publish("tag", imported.id, &reference.familiar());
        }
        self.publish("import", imported.id, &id);
        // The image is there, whether the client still listens or not.
        progress(ProgressMessage::status(id));
        Ok(())
    }

    /// Makes an image of what a container has changed: see
    /// [`gantry_image::ImageStore::commit`].
    pub(crate) fn commit(
        &self,
        key: &str,
        base: Option<ImageId>,
        options: &CommitOptions,
        ignore: &dyn Fn(&[u8]) -> bool,
    ) -> Result<ImageId> {
        let committed = self.store.commit(key, base, options, ignore);
        gantry_sys::give_back_heap();
        let id = committed?.id;
        self.publish("create", id, &id.to_string());
        if let Some(reference) = &options.reference {
            self.publish("tag", id, &reference.familiar());
        }
        Ok(id)
    }

    /// Takes the images of an archive that `save` made, or of an OCI layout:
    /// of several platforms the one asked for, else this machine's.
    ///
    /// # Errors
    /// When the archive is wrong.
    pub fn load(
        &self,
        archive: impl Read + Send,
        quiet: bool,
        platform: Option<Platform>,
        progress: Progress<'_>,
    ) -> Result<()> {
        let mut listening = true;
        let loaded =
            self.store
                .load(archive, &LoadOptions { platform }, &mut |step: Loading| {
                    // What is being loaded is loaded, whether the client still
                    // listens or not.
                    if let Some(line) = line(&step, quiet).filter(|_| listening) {
                        listening = progress(line);
                    }
                })?;
        for image in &loaded {
            self.publish("load", image.id, &image.id.to_string());
        }
        Ok(())
    }
}

/// How a step is shown; layers only to those who want to see them.
fn line(step: &Loading, quiet: bool) -> Option<ProgressMessage> {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match step {
        Loading::Layer { .. } if quiet => None,
        Loading::Layer {
            diff_id,
            current,
            total,
        } => {
            let text = diff_id.to_string();
            let hex = text.strip_prefix("sha256:").unwrap_or(&text);
            Some(ProgressMessage {
                id: hex.chars().take(12).collect(),
                progress_detail: Some(ProgressDetail {
                    current: bytes(*current),
                    total: bytes(*total),
                    ..ProgressDetail::default()
                }),
                ..ProgressMessage::status("Loading layer")
            })
        }
        other => other.text().map(ProgressMessage::stream),
    }
}
