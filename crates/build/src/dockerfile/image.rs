//! The configuration of an image: its base's, what the steps have said, and when their
//! layers were made.

use std::collections::BTreeMap;

use gantry_types::{DiffId, History, ImageConfig, Platform, RootFs};

use super::{Dialect, Options, Plan, PlannedStage, StageBase};
use crate::graph::NodeId;
use crate::solve::Value;

/// What BuildKit says of each step.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// The image of the wanted stage.
pub fn image(plan: &Plan, options: &Options, values: &BTreeMap<NodeId, Value>) -> ImageConfig {
    let Some(stage) = plan.stages.get(plan.target) else {
        // No Dockerfile: whoever has made the plan says what the image is.
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let value = plan.wanted.and_then(|node| values.get(&node));
        let mut image = empty(&platform);
        image.rootfs = layers(value.map_or_else(Vec::new, |value| value.diff_ids().to_vec()));
        return image;
    };
    let steps = stage.steps.len();
    after(plan, options, values, plan.target, steps)
}

/// The image of a stage after so many of its steps; `None` where the configuration by
/// then was not kept.
pub fn image_at(
    plan: &Plan,
    options: &Options,
    values: &BTreeMap<NodeId, Value>,
    stage: usize,
    steps: usize,
) -> Option<ImageConfig> {
    let all = &plan.stages.get(stage)?.steps;
    let config = match steps.checked_sub(1) {
        Some(last) if steps < all.len() => Some(all[last].config.clone()?),
        _ => None,
    };
    let mut image = after(plan, options, values, stage, steps);
    if let Some(config) = config {
        image.config = Some(config.as_ref().clone());
    }
    Some(image)
}

/// The image of a stage after so many of its steps, with the configuration of its base
/// or of its end.
fn after(
    plan: &Plan,
    options: &Options,
    values: &BTreeMap<NodeId, Value>,
    stage: usize,
    steps: usize,
) -> ImageConfig {
    let mut stages = vec![(stage, steps)];
    while let Some(StageBase::Stage(index)) = stages.last().map(|last| &plan.stages[last.0].base) {
        let place = plan.stages.binary_search_by_key(index, |stage| stage.index);
        let place = place.unwrap_or(0);
        stages.push((place, plan.stages[place].steps.len()));
    }
    let lowest = stages.last().map_or(stage, |lowest| lowest.0);
    let mut image = begin(&plan.stages[lowest]);
    let mut config = None;
    for (place, steps) in stages.into_iter().rev() {
        let planned = &plan.stages[place];
        image = onward(planned, options, values, image, steps);
        if place != stage {
            image.author = None;
        }
        let said = steps > 0 || options.dialect == Dialect::BuildKit;
        if steps >= planned.steps.len() && said {
            config = Some(&planned.config);
        }
    }
    // Once: thousands of stages that stand on each other may have thousands of variables.
    image.config = config.cloned().or(image.config);
    image
}

/// What so many steps of a stage make of the image that it begins with.
fn onward(
    planned: &PlannedStage,
    options: &Options,
    values: &BTreeMap<NodeId, Value>,
    mut image: ImageConfig,
    steps: usize,
) -> ImageConfig {
    let mut created = image.created.clone();
    let epoch = options
        .epoch
        .map(|seconds| rfc3339(seconds.saturating_mul(1_000_000_000)));
    for step in planned.steps.iter().take(steps) {
        let layers = match step.node.and_then(|node| values.get(&node)) {
            Some(Value::Layers(layers)) => Some(layers),
            _ => None,
        };
        let mut empty = true;
        if let Some(layers) = layers {
            empty = layers.diff_ids.len() == image.rootfs.diff_ids.len();
            image.rootfs.diff_ids.clone_from(&layers.diff_ids);
            if layers.created != 0 {
                created = Some(rfc3339(layers.created));
            }
        }
        if step.created.is_some() {
            created.clone_from(&step.created);
        }
        if epoch.is_some() {
            created.clone_from(&epoch);
        }
        let author = Some(step.author.clone()).filter(|author| !author.is_empty());
        image.history.push(History {
            created: created.clone(),
            created_by: Some(step.created_by.clone()),
            author: author
                .clone()
                .filter(|_| options.dialect == Dialect::Classic),
            comment: (options.dialect == Dialect::BuildKit).then(|| COMMENT.to_owned()),
            empty_layer: empty,
        });
        image.author = author;
    }
    if created.is_none() {
        created = Some(rfc3339(gantry_metadata::now()));
    }
    image.created = created;
    image.docker_version.clone_from(&options.engine_version);
    image
}

/// What the lowest stage begins with.
fn begin(planned: &PlannedStage) -> ImageConfig {
    let StageBase::Image(base) = &planned.base else {
        return empty(&planned.platform);
    };
    let mut config = base.config.clone();
    config.rootfs = layers(base.diff_ids.clone());
    config.docker_version = None;
    config.comment = None;
    config
}

fn empty(platform: &Platform) -> ImageConfig {
    ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        created: None,
        author: None,
        docker_version: None,
        comment: None,
        config: None,
        rootfs: layers(Vec::new()),
        history: Vec::new(),
    }
}

fn layers(diff_ids: Vec<DiffId>) -> RootFs {
    RootFs {
        kind: "layers".to_owned(),
        diff_ids,
    }
}

/// A time in nanoseconds since 1970.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).map_or_else(
        |_| "1970-01-01T00:00:00Z".to_owned(),
        |time| time.to_string(),
    )
}

/// The same the other way round; 0 for what is no time.
pub(super) fn nanoseconds(text: &str) -> i64 {
    let time = text.parse::<jiff::Timestamp>().ok();
    time.and_then(|time| i64::try_from(time.as_nanosecond()).ok())
        .unwrap_or(0)
}
