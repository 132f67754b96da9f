//! Everything about one image, and how it came to be.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::path::Path;

use gantry_api::{
    Empty, GraphDriver, HealthCheck, HistoryItem, ImageInspect, ImageInspectConfig, ImageMetadata,
    RootFs, ZERO_TIME, rfc3339_nano,
};
use gantry_image::Image;
use gantry_types::{Mount, Platform, ProcessConfig};

use super::Images;
use crate::containers::shown_driver;
use crate::error::{Error, Result};

impl Images {
    /// Looks at an image, which must be for `platform` if that is given; with its
    /// manifests, if that is wished.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn inspect(
        &self,
        name: &str,
        platform: Option<&Platform>,
        manifests: bool,
    ) -> Result<ImageInspect> {
        let image = self.store.resolve(name)?;
        check_platform(name, &image.platform(), platform)?;
        let tagged = image.tagged_at.filter(|&time| time != 0);
        Ok(ImageInspect {
            id: image.id.to_string(),
            repo_tags: image.repo_tags(),
            repo_digests: image.repo_digests(),
            parent: image.parent.map(|id| id.to_string()).unwrap_or_default(),
            comment: comment(&image),
            created: image.config.created.clone().unwrap_or_default(),
            docker_version: image.config.docker_version.clone().unwrap_or_default(),
            author: image.config.author.clone().unwrap_or_default(),
            architecture: image.config.architecture.clone(),
            variant: image.config.variant.clone().unwrap_or_default(),
            os: image.config.os.clone(),
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            graph_driver: self.graph_driver(&image),
            root_fs: RootFs {
                kind: "layers".to_owned(),
                layers: image.diff_ids.iter().map(ToString::to_string).collect(),
            },
            metadata: ImageMetadata {
                last_tag_time: tagged.map_or_else(|| ZERO_TIME.to_owned(), rfc3339_nano),
            },
            config: image.config.config.as_ref().map(shown).unwrap_or_default(),
            manifests: match manifests {
                true => Some(self.manifests_of(&image)?),
                false => None,
            },
            ..ImageInspect::default()
        })
    }

    /// The steps that made an image, newest first; it must be for `platform` if
    /// that is given.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn history(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<HistoryItem>> {
        if platform.is_some() {
            check_platform(name, &self.store.resolve(name)?.platform(), platform)?;
        }
        let steps = self.store.history(name)?;
        Ok(steps
            .into_iter()
            .map(|step| HistoryItem {
                comment: step.comment,
                created: step.created,
                created_by: step.created_by,
                id: step
                    .id
                    .map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
                size: i64::try_from(step.size).unwrap_or(i64::MAX),
                tags: Some(step.tags).filter(|tags| !tags.is_empty()),
            })
            .collect())
    }

    /// Where the files of an image are.
    fn graph_driver(&self, image: &Image) -> GraphDriver {
        let mut data = BTreeMap::new();
        let text = |path: &Path| path.display().to_string();
        let overlay = self.snapshots.name() == "overlay";
        let mount = image
            .top
            .and_then(|top| self.snapshots.mounts(&top.to_string()).ok());
        let layers = match mount {
            Some(Mount::Overlay { lower, .. }) => lower,
            // One layer needs no overlay.
            Some(Mount::Bind { source, .. }) if overlay => vec![source],
            Some(Mount::Bind { source, .. }) => {
                data.insert("Dir".to_owned(), text(&source));
                Vec::new()
            }
            None => Vec::new(),
        };
        if let Some((upper, below)) = layers.split_first() {
            data.insert("UpperDir".to_owned(), text(upper));
            data.insert(
                "MergedDir".to_owned(),
                text(&upper.with_file_name("merged")),
            );
            data.insert("WorkDir".to_owned(), text(&upper.with_file_name("work")));
            let below: Vec<String> = below.iter().map(|path| text(path)).collect();
            if !below.is_empty() {
                data.insert("LowerDir".to_owned(), below.join(":"));
            }
        }
        GraphDriver {
            data: Some(data),
            name: shown_driver(self.snapshots.name()).to_owned(),
        }
    }
}

/// Refuses an image that is not for the platform that was asked for.
pub(crate) fn check_platform(name: &str, have: &Platform, wanted: Option<&Platform>) -> Result<()> {
    match wanted {
        Some(wanted) if !have.matches(wanted) => Err(Error::NotFound(format!(
            "image with reference {name} was found but its platform ({have}) does not match the \
             specified platform ({wanted})"
        ))),
        _ => Ok(()),
    }
}

/// The image's own message, or that of its last step.
fn comment(image: &Image) -> String {
    let last = image.config.history.last();
    let of_step = || last.and_then(|step| step.comment.clone());
    image
        .config
        .comment
        .clone()
        .or_else(of_step)
        .unwrap_or_default()
}

fn shown(config: &ProcessConfig) -> ImageInspectConfig {
    let set = |map: &Option<BTreeMap<String, serde_json::Value>>| {
        let keys = map.as_ref()?.keys();
        Some(keys.map(|key| (key.clone(), Empty {})).into_map())
    };
    let healthcheck = config.healthcheck.clone();
    ImageInspectConfig {
        args_escaped: config.args_escaped,
        cmd: config.cmd.clone(),
        entrypoint: config.entrypoint.clone(),
        env: config.env.clone(),
        exposed_ports: set(&config.exposed_ports),
        healthcheck: healthcheck.and_then(|json| serde_json::from_value::<HealthCheck>(json).ok()),
        labels: config.labels.clone(),
        on_build: config.on_build.clone(),
        shell: config.shell.clone(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        user: config.user.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        ..ImageInspectConfig::default()
    }
}
