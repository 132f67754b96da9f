//! What a frontend has made: an image that has no name yet, or texts.

use std::collections::BTreeMap;

use gantry_engine::Solved as Built;

/// A result.
pub(crate) struct Solved {
    image: Option<Built>,
    /// What it is told to be, by names.
    texts: BTreeMap<String, Vec<u8>>,
}

impl Solved {
    /// An image.
    pub(super) fn image(solved: Built) -> Self {
        let config = serde_json::to_vec(&solved.config).unwrap_or_default();
        Self {
            image: Some(solved),
            texts: BTreeMap::from([("containerimage.config".to_owned(), config)]),
        }
    }

    /// Texts, by their names.
    pub(super) fn texts(texts: BTreeMap<String, Vec<u8>>) -> Self {
        Self { image: None, texts }
    }

    /// What is told of it.
    pub(crate) fn metadata(&self) -> BTreeMap<String, Vec<u8>> {
        self.texts.clone()
    }

    /// Whether it has files.
    pub(crate) fn has_files(&self) -> bool {
        self.image.is_some()
    }

    /// The image, if it is one.
    pub(crate) fn build(&self) -> Option<&Built> {
        self.image.as_ref()
    }
}
