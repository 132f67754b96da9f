//! Rules that only have to read.

use super::Linter;
use super::rules::{
    CONSISTENT_INSTRUCTION_CASING, DUPLICATE_STAGE_NAME, FROM_AS_CASING,
    INVALID_DEFINITION_DESCRIPTION, MAINTAINER_DEPRECATED, NO_EMPTY_CONTINUATION,
    RESERVED_STAGE_NAME, STAGE_NAME_CASING,
};
use crate::error::Span;
use crate::instruction::{Arg, Command, Dockerfile, Instruction, Stage};
use crate::lines::EMPTY_CONTINUATION_URL;
use crate::shell::quoted;

pub(super) fn continuations(file: &Dockerfile, linter: &mut Linter) {
    for warning in &file.warnings {
        if warning.url == EMPTY_CONTINUATION_URL {
            let text = "Empty continuation line".to_owned();
            linter.report(&NO_EMPTY_CONTINUATION, warning.span, &[], text);
        }
    }
}

/// What an instruction shows by itself, in the order of the file.
pub(super) fn instructions(file: &Dockerfile, linter: &mut Linter) {
    let mut rest = file.meta_args.as_slice();
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|arg| arg.span == first.span).count();
        let (args, behind) = rest.split_at(same);
        arg_description(args, &first.comments, linter);
        rest = behind;
    }
    for stage in &file.stages {
        from(stage, linter);
        for instruction in &stage.instructions {
            instruction_alone(instruction, linter);
        }
    }
}

fn from(stage: &Stage, linter: &mut Linter) {
    let (Some(name), Some(written), Some(keyword)) =
        (&stage.name, &stage.written_name, &stage.as_keyword)
    else {
        return;
    };
    let comments = &stage.comments;
    if name != written {
        let text = format!("Stage name '{written}' should be lowercase");
        linter.report(&STAGE_NAME_CASING, stage.span, comments, text);
    }
    let matches = match casing_of(&stage.keyword) {
        Casing::Lower => *keyword == keyword.to_lowercase(),
        Casing::Upper => *keyword == keyword.to_uppercase(),
        Casing::Mixed => true,
    };
    if !matches {
        let from = &stage.keyword;
        let text = format!("'{keyword}' and '{from}' keywords' casing do not match");
        linter.report(&FROM_AS_CASING, stage.span, comments, text);
    }
    description("FROM", &[name], name, stage.span, comments, linter);
}

fn instruction_alone(instruction: &Instruction, linter: &mut Linter) {
    match &instruction.command {
        Command::Maintainer(_) => linter.report(
            &MAINTAINER_DEPRECATED,
            instruction.span,
            &instruction.comments,
            "Maintainer instruction is deprecated in favor of using label".to_owned(),
        ),
        Command::Arg(args) => arg_description(args, &instruction.comments, linter),
        _ => {}
    }
}

fn arg_description(args: &[Arg], comments: &[String], linter: &mut Linter) {
    let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
    let (Some(first), Some(name)) = (args.first(), names.first()) else {
        return;
    };
    let example = if names.len() > 1 { "<arg_key>" } else { name };
    description("ARG", &names, example, first.span, comments, linter);
}

/// A comment right above should begin with the name of what it describes.
fn description(
    keyword: &str,
    names: &[&str],
    example: &str,
    span: Span,
    comments: &[String],
    linter: &mut Linter,
) {
    let Some(comment) = comments.last() else {
        return;
    };
    let first = comment.split(' ').next().unwrap_or_default();
    if !names.contains(&first) {
        let text =
            format!("Comment for {keyword} should follow the format: `# {example} <description>`");
        linter.report(&INVALID_DEFINITION_DESCRIPTION, span, comments, text);
    }
}

pub(super) fn stage_names(file: &Dockerfile, linter: &mut Linter) {
    let mut seen = std::collections::BTreeSet::new();
    for stage in &file.stages {
        let Some(name) = &stage.name else {
            continue;
        };
        if matches!(name.as_str(), "scratch" | "context") {
            let name = quoted(name);
            let text = format!("Stage name should not use the same name as reserved stage {name}");
            linter.report(&RESERVED_STAGE_NAME, stage.span, &[], text);
        }
        if !seen.insert(name) {
            let name = quoted(name);
            let text = format!("Duplicate stage name {name}, stage names should be unique");
            linter.report(&DUPLICATE_STAGE_NAME, stage.span, &[], text);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Casing {
    Lower,
    Upper,
    Mixed,
}

fn casing_of(keyword: &str) -> Casing {
    if keyword == keyword.to_lowercase() {
        Casing::Lower
    } else if keyword == keyword.to_uppercase() {
        Casing::Upper
    } else {
        Casing::Mixed
    }
}

/// All keywords should be written as most of them are.
pub(super) fn casing(file: &Dockerfile, linter: &mut Linter) {
    let keywords = || {
        file.stages.iter().flat_map(|stage| {
            let rest = stage.instructions.iter();
            std::iter::once((stage.keyword.as_str(), stage.span))
                .chain(rest.map(|instruction| (instruction.keyword.as_str(), instruction.span)))
        })
    };
    let count = |wanted| {
        keywords()
            .filter(|(word, _)| casing_of(word) == wanted)
            .count()
    };
    let (right, name) = match count(Casing::Lower) > count(Casing::Upper) {
        true => (Casing::Lower, "lowercase"),
        false => (Casing::Upper, "uppercase"),
    };
    for (keyword, span) in keywords() {
        if casing_of(keyword) != right {
            let text = format!(
                "Command '{keyword}' should match the case of the command majority ({name})"
            );
            linter.report(&CONSISTENT_INSTRUCTION_CASING, span, &[], text);
        }
    }
}
