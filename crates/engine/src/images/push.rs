//! `docker push`: images to registries, in the words that clients know.

use gantry_api::{ProgressDetail, ProgressMessage};
use gantry_image::{PushState, PushStep};
use gantry_registry::{Cancel, Credentials};
use gantry_types::{Platform, Reference};

use super::inspect::check_platform;
use super::{Images, Progress};
use crate::error::{Error, Result};

/// What to push.
#[derive(Debug, Clone, Default)]
pub struct PushQuery {
    /// The name, maybe with a tag.
    pub name: String,
    /// A tag; all tags when the name has none either.
    pub tag: Option<String>,
    /// The platform that the image must have.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
}

impl PushQuery {
    fn reference(&self) -> Result<Reference> {
        let invalid = |error: gantry_types::ReferenceError| Error::Invalid(error.to_string());
        let reference: Reference = self.name.parse().map_err(invalid)?;
        match self.tag.as_deref().filter(|tag| !tag.is_empty()) {
            Some(tag) => reference
                .with_tag(tag)
                .map_err(|_| Error::Invalid("invalid tag format".to_owned())),
            None => Ok(reference),
        }
    }
}

impl Images {
    /// Brings an image to its registry, or all of a repository's.
    ///
    /// # Errors
    /// When there is no such image, or the registry refuses it or cannot be asked.
    pub fn push(&self, query: &PushQuery, cancel: &Cancel, progress: Progress<'_>) -> Result<()> {
        let reference = query.reference()?;
        if query.platform.is_some() {
            let image = self.store.resolve(&reference.to_string())?;
            let shown = reference.clone().or_latest().familiar();
            check_platform(&shown, &image.platform(), query.platform.as_ref())?;
        }
        let name = reference.name();
        progress(ProgressMessage::status(format!(
            "The push refers to repository [{name}]"
        )));
        if reference.digest().is_some() {
            let text = "cannot push a digest reference";
            return Err(Error::Invalid(text.to_owned()));
        }
        let all = self.store.names_in(&reference)?;
        let familiar = reference.familiar_name();
        if all.is_empty() {
            return Err(Error::NotFound(format!(
                "An image does not exist locally with the tag: {familiar}"
            )));
        }
        let wanted = match reference.tag() {
            Some(_) => vec![reference.clone()],
            None => all.into_iter().filter(|r| r.tag().is_some()).collect(),
        };
        if wanted.is_empty() {
            return Err(Error::NotFound(format!("no tags to push for {familiar}")));
        }
        let client = &self.registries;
        let repository = client.repository(&reference, &query.credentials, cancel)?;
        for reference in &wanted {
            let mut tell = |step: PushStep| {
                // Whoever does not listen any more has thrown the switch.
                progress(line(&step));
            };
            let pushed = self.store.push(&repository, reference, &mut tell);
            // Buffers of those who packed and sent.
            gantry_sys::give_back_heap();
            let pushed = pushed?;
            let (tag, digest) = (reference.tag().unwrap_or_default(), pushed.digest);
            let size = pushed.size;
            let text = format!("{tag}: digest: {digest} size: {size}");
            progress(ProgressMessage::status(text));
            progress(ProgressMessage {
                progress_detail: Some(ProgressDetail::default()),
                aux: Some(serde_json::json!({"Tag": tag, "Digest": digest, "Size": size})),
                ..ProgressMessage::default()
            });
        }
        let attributes = gantry_types::sort::map([("name".to_owned(), familiar)]);
        let shown = reference.familiar();
        self.events.publish("image", "push", &shown, attributes);
        Ok(())
    }
}

/// How a step is shown.
fn line(step: &PushStep) -> ProgressMessage {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut detail = ProgressDetail::default();
    let status = match &step.state {
        PushState::Preparing => "Preparing".to_owned(),
        PushState::Waiting => "Waiting".to_owned(),
        PushState::Pushing { current, total } => {
            detail.current = bytes(*current);
            detail.total = bytes(*total);
            "Pushing".to_owned()
        }
        PushState::Pushed => "Pushed".to_owned(),
        PushState::Exists => "Layer already exists".to_owned(),
        PushState::Mounted { from } => format!("Mounted from {from}"),
        PushState::Foreign => "Skipped foreign layer".to_owned(),
    };
    ProgressMessage {
        id: step.diff_id.0.hex().chars().take(12).collect(),
        progress_detail: Some(detail),
        ..ProgressMessage::status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_joined_as_in_docker() {
        for (name, tag, expected) in [
            ("a", "", "a"),
            ("a", "b", "a:b"),
            ("a:x", "", "a:x"),
            ("a:x", "b", "a:b"),
            ("a", "b c", "invalid tag format"),
            ("a", "sha256:00", "invalid tag format"),
        ] {
            let query = PushQuery {
                name: name.to_owned(),
                tag: Some(tag.to_owned()),
                ..PushQuery::default()
            };
            let found = match query.reference() {
                Ok(reference) => reference.familiar(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{name} {tag}");
        }
    }
}
