//! `docker pull`: images from registries, and those that are built in, in the
//! words that clients know.

use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

use gantry_api::{ProgressDetail, ProgressMessage};
use gantry_image::{
    Admission, BuiltIn, Found, LayerState, PullRequest, Pulled, Remote, Source, Step,
};
use gantry_metadata::seals::SealRow;
use gantry_registry::{Cancel, Credentials, Repository};
use gantry_trust::{Seal, Verdict};
use gantry_types::{Digest, Platform, Reference, ReferenceError};

use super::{Images, Progress};
use crate::error::{Error, Result};

/// This very program, which is a registry too.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// What Dockerfiles call no image at all.
const RESERVED: &str = "scratch";

/// What to pull.
#[derive(Debug, Clone, Default)]
pub struct PullQuery {
    /// The name, maybe with a tag or a digest.
    pub name: String,
    /// A tag or a digest; all tags when the name has none either.
    pub tag: Option<String>,
    /// What it shall run on; this machine's platform when not given.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
}

impl PullQuery {
    fn reference(&self) -> Result<Reference> {
        let reference: Reference = self
            .name
            .parse()
            .map_err(|error: ReferenceError| Error::Invalid(error.to_string()))?;
        let invalid = |_| Error::Invalid("invalid tag format".to_owned());
        match self.tag.as_deref().filter(|tag| !tag.is_empty()) {
            Some(tag) if tag.contains(':') => {
                let name = reference.name();
                format!("{name}@{tag}")
                    .parse()
                    .map_err(|error| match error {
                        ReferenceError::Digest(error) => Error::Invalid(error.to_string()),
                        other => invalid(other),
                    })
            }
            Some(tag) => reference.with_tag(tag).map_err(invalid),
            None => Ok(reference),
        }
    }
}

impl Images {
    /// Gets an image by its name, or all of a repository's.
    ///
    /// # Errors
    /// When the name is none, the registry does not have it or cannot be asked, when
    /// it is no image, and when it is not trusted.
    pub fn pull(&self, query: &PullQuery, cancel: &Cancel, progress: Progress<'_>) -> Result<()> {
        let reference = query.reference()?;
        if reference.familiar_name() == RESERVED {
            let text = format!("'{RESERVED}' is a reserved name");
            return Err(Error::Forbidden(text));
        }
        let shown = reference.familiar();
        let new = if let Some(built_in) = self.built_in(&reference, query) {
            self.place_embedded(&reference.clone().or_latest(), built_in)?
        } else {
            let pull = Pull::new(self, query, &reference, cancel)?;
            match (reference.tag(), reference.digest()) {
                (None, None) => pull.all(&reference, progress)?,
                _ => pull.one(&reference, progress)?.new,
            }
        };
        let attributes = gantry_types::sort::map([("name".to_owned(), reference.familiar_name())]);
        self.events.publish("image", "pull", &shown, attributes);
        let status = match new {
            true => format!("Status: Downloaded newer image for {shown}"),
            false => format!("Status: Image is up to date for {shown}"),
        };
        progress(ProgressMessage::status(status));
        self.warn_of_platform(&reference, query, progress)
    }

    /// Finds an image in its registry, for a build; nothing for one that is built in, which
    /// is here then. With `aside` the name does not stand for it afterwards.
    ///
    /// # Errors
    /// As for [`Images::pull`].
    pub(crate) fn find(
        &self,
        query: &PullQuery,
        aside: bool,
        cancel: &Cancel,
        progress: Progress<'_>,
    ) -> Result<Option<Found>> {
        let reference = query.reference()?;
        if self.built_in(&reference, query).is_some() {
            self.pull(query, cancel, progress)?;
            return Ok(None);
        }
        let pull = Pull::new(self, query, &reference, cancel)?;
        pull.find(&reference, aside, progress).map(Some)
    }

    /// Gets an image that was found.
    ///
    /// # Errors
    /// As for [`Images::pull`].
    pub(crate) fn bring(
        &self,
        found: &Found,
        reference: &Reference,
        cancel: &Cancel,
        progress: Progress<'_>,
    ) -> Result<gantry_image::Image> {
        let mut tell = |step: Step| {
            progress(line(&step, reference));
        };
        let pulled = self.store.bring(found, cancel, &mut tell)?;
        let attributes = gantry_types::sort::map([("name".to_owned(), reference.familiar_name())]);
        let shown = reference.familiar();
        self.events.publish("image", "pull", &shown, attributes);
        Ok(self.store.get(pulled.id)?)
    }

    /// The image that is built in under this name.
    fn built_in(&self, reference: &Reference, query: &PullQuery) -> Option<BuiltIn> {
        let here = |wanted| Platform::host().matches(wanted);
        let meant = self.hello.is_some()
            && reference.digest().is_none()
            && matches!(reference.tag(), None | Some("latest"))
            && query.platform.as_ref().is_none_or(here);
        BuiltIn::named(&reference.familiar_name()).filter(|_| meant)
    }

    /// Places a built-in image; whether it was not there.
    fn place_embedded(&self, reference: &Reference, built_in: BuiltIn) -> Result<bool> {
        let name = reference.familiar();
        let new = self.store.resolve(&name).is_err();
        let Some(hello) = self.hello else {
            return Ok(false);
        };
        let unread = |error| Error::io("read the program of", name.as_str(), error);
        let id = match built_in {
            BuiltIn::Hello => {
                let program = Cursor::new(hello().map_err(unread)?);
                self.store.ensure_embedded(reference, built_in, program)
            }
            BuiltIn::Registry => {
                let program = File::open(OWN_PROGRAM).map_err(unread)?;
                self.store.ensure_embedded(reference, built_in, program)
            }
        }?;
        self.seal_built_in(reference, id)?;
        Ok(new)
    }

    /// A registry without a list of platforms gives what it has.
    fn warn_of_platform(
        &self,
        reference: &Reference,
        query: &PullQuery,
        progress: Progress<'_>,
    ) -> Result<()> {
        let Some(wanted) = &query.platform else {
            return Ok(());
        };
        let Ok(image) = self.store.resolve(&reference.to_string()) else {
            return Ok(());
        };
        let have = image.platform();
        if have.rank_for(wanted) != Some(0) {
            progress(ProgressMessage::status(format!(
                "WARNING: image with reference {reference} was found but its platform ({have}) \
                 does not match the specified platform ({wanted})"
            )));
        }
        Ok(())
    }
}

/// One call of `pull`.
struct Pull<'p> {
    images: &'p Images,
    query: &'p PullQuery,
    repository: Repository,
    source: Arc<dyn Source>,
    cancel: &'p Cancel,
}

impl<'p> Pull<'p> {
    fn new(
        images: &'p Images,
        query: &'p PullQuery,
        reference: &Reference,
        cancel: &'p Cancel,
    ) -> Result<Self> {
        let client = &images.registries;
        let repository = client.repository(reference, &query.credentials, cancel)?;
        Ok(Self {
            source: Arc::new(Remote::new(client, &repository)),
            images,
            query,
            repository,
            cancel,
        })
    }

    /// Every tag of a repository; whether any was new.
    fn all(&self, repository: &Reference, progress: Progress<'_>) -> Result<bool> {
        let mut new = false;
        for tag in self.source.tags(self.cancel)? {
            if gantry_trust::is_tag_of_signatures(&tag) {
                continue;
            }
            let reference = repository.with_tag(&tag).map_err(|_| {
                Error::Failed(format!("the registry lists an invalid tag: {tag:?}"))
            })?;
            new |= self.one(&reference, progress)?.new;
        }
        Ok(new)
    }

    fn one(&self, reference: &Reference, progress: Progress<'_>) -> Result<Pulled> {
        let found = self.find(reference, false, progress)?;
        let mut tell = |step: Step| {
            // Whoever does not listen any more has thrown the switch.
            progress(line(&step, reference));
        };
        Ok(self.images.store.bring(&found, self.cancel, &mut tell)?)
    }

    fn find(&self, reference: &Reference, aside: bool, progress: Progress<'_>) -> Result<Found> {
        let request = PullRequest {
            reference: reference.clone(),
            platform: self.query.platform.clone(),
            aside,
        };
        let admit = |digests: &[Digest]| self.admit(reference, digests);
        let images = &self.images.store;
        let mut tell = |step: Step| {
            progress(line(&step, reference));
        };
        Ok(images.find(&self.source, &request, &admit, self.cancel, &mut tell)?)
    }

    /// Asks the policy.
    fn admit(&self, reference: &Reference, digests: &[Digest]) -> gantry_image::Result<Admission> {
        let policy = &self.images.policy;
        let verdict = policy.check(&self.repository, reference, digests)?;
        let mut admission = Admission::default();
        match verdict {
            Verdict::NotAsked => {}
            Verdict::Doubtful(text) => admission.doubt = Some(text),
            Verdict::Signed(Seal { key, digest }) => {
                admission.seal = Some(SealRow {
                    repository: reference.name(),
                    key: key.to_string(),
                    digest,
                });
            }
        }
        Ok(admission)
    }
}

/// How a step is shown.
fn line(step: &Step, reference: &Reference) -> ProgressMessage {
    match step {
        Step::Begun { what } => ProgressMessage {
            // Since Docker 28: what has a digest is named in full.
            id: match reference.digest() {
                Some(digest) => format!("{}@{digest}", reference.name()),
                None => what.clone(),
            },
            ..ProgressMessage::status(format!("Pulling from {}", reference.path()))
        },
        Step::Remark(text) => ProgressMessage::status(text.clone()),
        Step::Layer { digest, state } => ProgressMessage {
            id: digest.hex().chars().take(12).collect(),
            progress_detail: Some(detail(*state)),
            ..ProgressMessage::status(word(*state))
        },
        Step::Ended { digest } => ProgressMessage::status(format!("Digest: {digest}")),
    }
}

fn word(state: LayerState) -> &'static str {
    match state {
        LayerState::Exists => "Already exists",
        LayerState::Missing => "Pulling fs layer",
        LayerState::Waiting => "Waiting",
        LayerState::Downloading { .. } => "Downloading",
        LayerState::Verifying => "Verifying Checksum",
        LayerState::Downloaded => "Download complete",
        LayerState::Extracting { .. } => "Extracting",
        LayerState::Complete => "Pull complete",
    }
}

fn detail(state: LayerState) -> ProgressDetail {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match state {
        LayerState::Downloading { current, total } | LayerState::Extracting { current, total } => {
            ProgressDetail {
                current: bytes(current),
                total: bytes(total),
                ..ProgressDetail::default()
            }
        }
        _ => ProgressDetail::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_joined_as_in_docker() {
        let digest = Digest::of(b"");
        let wanted = format!("a@{digest}");
        let sha384 = format!("sha384:{}", "0".repeat(96));
        for (name, tag, expected) in [
            ("a", "", "a"),
            ("a", "b", "a:b"),
            ("a:x", "", "a:x"),
            ("a:x", "b", "a:b"),
            ("a:x", &digest.to_string(), &wanted),
            ("a", "b c", "invalid tag format"),
            ("a", "sha256:00", "invalid tag format"),
            (
                "a",
                &sha384,
                &format!("invalid digest \"{sha384}\": only sha256 and sha512 are supported"),
            ),
            (
                "A",
                "",
                "invalid reference format: repository name (library/A) must be lowercase",
            ),
        ] {
            let query = PullQuery {
                name: name.to_owned(),
                tag: Some(tag.to_owned()),
                ..PullQuery::default()
            };
            let found = match query.reference() {
                Ok(reference) => reference.familiar(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{name} {tag}");
        }
    }
}
