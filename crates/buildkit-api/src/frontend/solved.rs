//! What a frontend has made: images that have no name yet, one for each platform, or
//! texts.

use std::collections::BTreeMap;

use gantry_engine::Solved as Built;
use gantry_types::{History, ImageConfig, Platform};
use serde_json::json;

use crate::status::Status;

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

    /// Leaves it to the client to say what the image is.
    pub(super) fn forget_texts(&mut self) {
        self.texts.clear();
    }

    /// The image is what its client says: its configuration but for the layers.
    ///
    /// # Errors
    /// For what is no configuration.
    pub(crate) fn configure(&mut self, text: &[u8]) -> Result<(), Status> {
        let wrong = |error| Status::invalid(format!("failed to parse image config: {error}"));
        let mut config: ImageConfig = serde_json::from_slice(text).map_err(wrong)?;
        let Some(image) = self.images.first_mut() else {
            return Err(Status::invalid("a configuration of nothing"));
        };
        config.rootfs = image.built.config.rootfs.clone();
        let layers = config.rootfs.diff_ids.len();
        let told = config.history.iter().filter(|entry| !entry.empty_layer);
        // Each layer has its line.
        match told.count() {
            told if told <= layers => {
                let more = std::iter::repeat_with(History::default).take(layers - told);
                config.history.extend(more);
            }
            _ => config.history.clear(),
        }
        image.built.config = config;
        self.texts
            .insert("containerimage.config".to_owned(), text.to_vec());
        Ok(())
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

    /// What is told of it.
    pub(crate) fn metadata(&self) -> BTreeMap<String, Vec<u8>> {
        self.texts.clone()
    }

    /// Whether it is a list of images, even if only of one.
    pub(crate) fn is_list(&self) -> bool {
        self.list
    }

    /// What the image of that name was built to (see `Build::result`).
    pub(crate) fn named(&self, name: &str) -> Option<&Built> {
        let (_, own) = name.rsplit_once("::").unwrap_or(("", name));
        let platform = own.split_once('/').map(|(_, platform)| platform);
        let mut images = self.images.iter();
        let image = images.find(|image| platform.is_none_or(|of| of == image.id()))?;
        Some(&image.built)
    }

    /// The images, if it has some.
    pub(crate) fn parts(&self) -> &[Image] {
        &self.images
    }
}
