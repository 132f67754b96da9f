//! Rules about what `FROM` says by variables.

use std::collections::BTreeMap;
use std::str::FromStr;

use gantry_types::{Platform, Reference};

use super::rules::{
    FROM_PLATFORM_FLAG_CONST_DISALLOWED, INVALID_DEFAULT_ARG_IN_FROM, REDUNDANT_TARGET_PLATFORM,
    UNDEFINED_ARG_IN_FROM,
};
use super::{Linter, Setting};
use crate::globals::Globals;
use crate::instruction::{Dockerfile, Stage, Word};
use crate::shell::{Expansion, expansion, quoted};
use crate::suggest::{Case, nearest};

/// Without any argument of the user a base should still be the name of an image.
pub(super) fn defaults(file: &Dockerfile, setting: &Setting<'_>, linter: &mut Linter) {
    let overridden: Vec<(&str, String)> = setting
        .predefined
        .iter()
        .map(|(name, value)| {
            (
                *name,
                setting.build_args.get(*name).unwrap_or(value).clone(),
            )
        })
        .collect();
    let Ok(globals) = Globals::new(file, &overridden, &BTreeMap::new()) else {
        return;
    };
    for stage in &file.stages {
        let Ok(base) = expand(&stage.base, file, &globals) else {
            return;
        };
        if Reference::from_str(&base.text).is_err() {
            let base = stage.base.as_str();
            let text =
                format!("Default value for ARG {base} results in empty or invalid base image name");
            linter.report(&INVALID_DEFAULT_ARG_IN_FROM, stage.span, &[], text);
        }
    }
}

/// Arguments that do not exist, and platforms that say nothing or too much.
pub(super) fn arguments(file: &Dockerfile, globals: &Globals, linter: &mut Linter) {
    for stage in &file.stages {
        let Ok(base) = expand(&stage.base, file, globals) else {
            return;
        };
        undeclared(&base, stage, globals, linter);
        let Some(platform) = &stage.platform else {
            continue;
        };
        let Ok(done) = expand(platform, file, globals) else {
            return;
        };
        undeclared(&done, stage, globals, linter);
        redundant(platform, &done, stage, globals, linter);
        constant(&done, stage, linter);
    }
}

fn expand(word: &Word, file: &Dockerfile, globals: &Globals) -> Result<Expansion, crate::Error> {
    expansion(word, file.escape(), &|name| globals.value(name))
}

fn undeclared(done: &Expansion, stage: &Stage, globals: &Globals, linter: &mut Linter) {
    let declared = || globals.declared().keys().map(String::as_str);
    for name in &done.missing {
        if declared().any(|known| known == name) {
            continue;
        }
        let near = nearest(name, declared().chain(globals.names()), Case::Sensitive);
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        let text = format!("FROM argument '{name}' is not declared{near}");
        linter.report(&UNDEFINED_ARG_IN_FROM, stage.span, &[], text);
    }
}

fn redundant(word: &Word, done: &Expansion, stage: &Stage, globals: &Globals, linter: &mut Linter) {
    const TARGET: &str = "TARGETPLATFORM";
    let only = done.missing.is_empty() && done.found.len() == 1 && done.found.contains(TARGET);
    if only && globals.get(TARGET) == Some(done.text.as_str()) {
        let word = word.as_str();
        let text = format!(
            "Setting platform to predefined {word} in FROM is redundant as this is the default behavior"
        );
        linter.report(&REDUNDANT_TARGET_PLATFORM, stage.span, &[], text);
    }
}

fn constant(done: &Expansion, stage: &Stage, linter: &mut Linter) {
    if !done.found.is_empty() || !done.missing.is_empty() {
        return;
    }
    let Ok(platform) = Platform::from_str(&done.text) else {
        return;
    };
    // A stage that is named for its platform means it.
    let name = stage.name.as_deref().unwrap_or_default();
    if name.contains(&platform.os) || name.contains(&platform.architecture) {
        return;
    }
    let value = quoted(&done.text);
    let text = format!("FROM --platform flag should not use constant value {value}");
    linter.report(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, stage.span, &[], text);
}
