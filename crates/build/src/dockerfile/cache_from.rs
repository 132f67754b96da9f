//! `--cache-from` of the classic builder: images whose history says what each of their
//! layers was made by.

use gantry_types::{DiffId, ImageConfig};

/// The images that may go on as a stage does.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    images: Vec<ImageConfig>,
    /// How many entries of their histories the stage has, and how many layers.
    steps: usize,
    layers: usize,
}

/// What an image says of a step.
pub(super) struct Found {
    /// When it was done.
    pub(super) created: Option<String>,
    /// The layers by then.
    pub(super) diff_ids: Vec<DiffId>,
}

impl Sources {
    /// Those of `images` that stand on what a stage begins with.
    pub(super) fn of(images: &[ImageConfig], base: Option<&ImageConfig>) -> Self {
        let (history, layers) = match base {
            Some(base) => (base.history.as_slice(), base.rootfs.diff_ids.as_slice()),
            None => (&[][..], &[][..]),
        };
        let fits = |image: &&ImageConfig| {
            image.history.starts_with(history) && image.rootfs.diff_ids.starts_with(layers)
        };
        Self {
            images: images.iter().filter(fits).cloned().collect(),
            steps: history.len(),
            layers: layers.len(),
        }
    }

    /// What the first image says whose next step is this one. The steps after it are
    /// looked for in that image alone.
    pub(super) fn next(&mut self, created_by: &str) -> Option<Found> {
        let at = self.steps;
        let place = self.images.iter().position(|image| {
            let entry = image.history.get(at);
            entry.is_some_and(|entry| entry.created_by.as_deref() == Some(created_by))
        });
        let found = place.map(|place| self.images.swap_remove(place));
        self.images.clear();
        let image = found?;
        let entry = &image.history[at];
        self.steps += 1;
        self.layers += usize::from(!entry.empty_layer);
        let found = Found {
            created: entry.created.clone(),
            diff_ids: image.rootfs.diff_ids.get(..self.layers)?.to_vec(),
        };
        self.images.push(image);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use gantry_types::Digest;

    use super::*;

    fn image(steps: &[(&str, bool)]) -> ImageConfig {
        let history: Vec<String> = steps
            .iter()
            .map(|(by, empty)| format!(r#"{{"created_by":"{by}","empty_layer":{empty}}}"#))
            .collect();
        let layers = steps.iter().filter(|(_, empty)| !empty);
        let layers: Vec<String> = layers
            .map(|(by, _)| format!("\"{}\"", Digest::of(by.as_bytes())))
            .collect();
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","history":[{}],
                "rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            history.join(","),
            layers.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_history_is_followed_as_far_as_it_is_the_same() {
        let base = image(&[("base", false)]);
        let other = image(&[("base", false), ("a", false), ("x", false)]);
        let whole = image(&[("base", false), ("env", true), ("a", false), ("b", false)]);
        let foreign = image(&[("other base", false), ("env", true), ("a", false)]);
        let all = [foreign, other, whole];
        let mut sources = Sources::of(&all, Some(&base));
        assert_eq!(sources.next("env").unwrap().diff_ids.len(), 1);
        let found = sources.next("a").unwrap();
        assert_eq!(found.diff_ids, all[2].rootfs.diff_ids[..2]);
        assert!(sources.next("c").is_none());
        assert!(sources.next("b").is_none());
        assert!(Sources::of(&all, None).next("base").is_some());
        assert!(Sources::default().next("base").is_none());
    }
}
