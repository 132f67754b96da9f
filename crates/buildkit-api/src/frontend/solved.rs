//! What a frontend has made: images that have no name yet, one for each platform, or
//! texts.

use std::collections::BTreeMap;

use gantry_engine::Solved as Built;
use gantry_types::Platform;
use serde_json::json;

/// A result.
pub(crate) struct Solved {
    images: Vec<Image>,
    /// Whether the client has asked for a result that is a list.
    list: bool,
    /// What it is told to be, by names.
    texts: BTreeMap<String, Vec<u8>>,
}

/// The image for one platform.
pub(crate) struct Image {
    /// What it runs on.
    pub(crate) platform: Platform,
    /// What has become of the build.
    pub(crate) built: Built,
    /// The Dockerfile: its name and its text.
    pub(crate) source: (String, Vec<u8>),
}

impl Image {
    /// How results call the platform.
    pub(crate) fn id(&self) -> String {
        self.platform.to_string()
    }
}

impl Solved {
    /// Images.
    pub(super) fn images(images: Vec<Image>, list: bool) -> Self {
        let list = list || images.len() > 1;
        let mut texts = BTreeMap::new();
        for image in &images {
            let config = serde_json::to_vec(&image.built.config).unwrap_or_default();
            let name = match list {
                true => format!("containerimage.config/{}", image.id()),
                false => "containerimage.config".to_owned(),
            };
            texts.insert(name, config);
        }
        if list {
            let platforms = images
                .iter()
                .map(|image| json!({"ID": image.id(), "Platform": json!(image.platform)}));
            let platforms = json!({"Platforms": platforms.collect::<Vec<_>>()});
            texts.insert(
                "refs.platforms".to_owned(),
                platforms.to_string().into_bytes(),
            );
        }
        Self {
            images,
            list,
            texts,
        }
    }

    /// Texts, by their names.
    pub(super) fn texts(texts: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            images: Vec::new(),
            list: false,
            texts,
        }
    }

    /// Whether it has files.
    pub(crate) fn has_files(&self) -> bool {
        !self.images.is_empty()
    }

    /// What its image was built to, the first one's if there are several.
    pub(crate) fn build(&self) -> Option<&Built> {
        self.images.first().map(|image| &image.built)
    }

    /// What is told of it.
    pub(crate) fn metadata(&self) -> BTreeMap<String, Vec<u8>> {
        self.texts.clone()
    }

    /// Whether it is a list of images, even if only of one.
    pub(crate) fn is_list(&self) -> bool {
        self.list
    }

    /// The images, if it has some.
    pub(crate) fn parts(&self) -> &[Image] {
        &self.images
    }
}
