//! Logical lines to typed instructions and stages.

use crate::error::{Error, Span};
use crate::flags::{Flags, Kind};
use crate::instruction::{Arg, Command, Dockerfile, Heredoc, Instruction, Stage, Word};
use crate::lines::{self, Line};
use crate::split::Arguments;
use crate::suggest::Case;
use crate::{commands, shell};

/// Nobody writes longer ones, and everything here costs memory.
const MAX_FILE: usize = 4 << 20;

/// Every keyword.
pub(crate) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads a whole file. Fails, in Docker's words and with the lines at fault, on
/// anything that can be wrong with a file alone.
pub fn parse(bytes: &[u8]) -> Result<Dockerfile, Error> {
    match parse_so_far(bytes)? {
        (file, None) => Ok(file),
        (_, Some(error)) => Err(error),
    }
}

/// Reads a file up to the first instruction that is wrong. Fails when not even
/// its lines can be read.
pub(crate) fn parse_so_far(bytes: &[u8]) -> Result<(Dockerfile, Option<Error>), Error> {
    if bytes.len() > MAX_FILE {
        return Err(Error::new(format!(
            "the Dockerfile is larger than {MAX_FILE} bytes"
        )));
    }
    let text = String::from_utf8_lossy(bytes);
    let read = lines::read(&text).map_err(Error::of_lines)?;
    let mut file = Dockerfile {
        directives: read.directives,
        meta_args: Vec::new(),
        stages: Vec::new(),
        warnings: read.warnings,
    };
    for line in read.lines {
        if let Err(error) = file.take(line) {
            return Ok((file, Some(error)));
        }
    }
    Ok((file, None))
}

impl Dockerfile {
    /// Adds what a line says.
    fn take(&mut self, line: Line) -> Result<(), Error> {
        let span = line.span;
        let instruction = match statement(line).map_err(|error| error.at(span).of_instruction())? {
            Statement::Stage(stage) => {
                self.stages.push(stage);
                return Ok(());
            }
            Statement::Instruction(instruction) => instruction,
        };
        match (self.stages.last_mut(), instruction) {
            (Some(stage), instruction) => stage.instructions.push(instruction),
            (
                None,
                Instruction {
                    command: Command::Arg(args),
                    ..
                },
            ) => self.meta_args.extend(args),
            (None, _) => return Err(Error::new("no build stage in current context").at(span)),
        }
        Ok(())
    }
}

/// Reads one instruction, as `ONBUILD` keeps it in an image, its heredocs
/// included. Fails on anything that is not exactly one; `FROM` is none.
pub fn parse_instruction(text: &str) -> Result<Instruction, Error> {
    let mut read = lines::read(text)?.lines;
    let (Some(line), true) = (read.pop(), read.is_empty()) else {
        return Err(Error::new("onbuild trigger should be a single expression"));
    };
    match statement(line)? {
        Statement::Instruction(instruction) => Ok(instruction),
        Statement::Stage(_) => Err(Error::new("FROM is not a command type")),
    }
}

/// The instructions that may change an image's configuration without a build.
const CHANGES: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads instructions without a stage, as `commit --change` has them, and the character
/// that escapes in them. Fails on what is none of those that change a configuration.
pub fn parse_changes(text: &str) -> Result<(Vec<Instruction>, char), Error> {
    let read = lines::read(text)?;
    let names = read.lines.iter().map(|line| &line.split);
    let mut others = names.filter(|split| !CHANGES.contains(&split.name.as_str()));
    if let Some(other) = others.next() {
        let text = format!("{} is not a valid change command", other.keyword);
        return Err(Error::new(text));
    }
    let mut changes = Vec::new();
    for line in read.lines {
        if let Statement::Instruction(instruction) = statement(line)? {
            changes.push(instruction);
        }
    }
    Ok((changes, read.directives.escape))
}

enum Statement {
    Stage(Stage),
    Instruction(Instruction),
}

fn statement(line: Line) -> Result<Statement, Error> {
    let original = line.text.trim().to_owned();
    if line.split.name == "FROM" {
        return from(line, original).map(Statement::Stage);
    }
    let (command, flags) = commands::command(&line, &original)?;
    Ok(Statement::Instruction(Instruction {
        command,
        keyword: line.split.keyword,
        original,
        span: line.span,
        heredocs: line.heredocs,
        comments: line.comments,
        flags,
    }))
}

fn from(line: Line, original: String) -> Result<Stage, Error> {
    let words = line.split.arguments.words();
    let (base, alias) = match words {
        [base] => (base, None),
        [base, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            (base, Some((keyword.clone(), name.clone())))
        }
        _ => return Err(Error::new("FROM requires either one or three arguments")),
    };
    let name = alias.as_ref().map(|(_, name)| name.to_lowercase());
    if let (Some(name), Some((_, written))) = (&name, &alias)
        && !is_stage_name(name)
    {
        return Err(Error::new(format!(
            "invalid name for build stage: {}, name can't start with a number or contain symbols",
            shell::quoted(written)
        )));
    }
    let flags = Flags::read(&line.split.flags, &[("platform", Kind::Value)])?;
    let (as_keyword, written_name) = alias.unzip();
    Ok(Stage {
        description: name
            .as_deref()
            .and_then(|name| description(&line.comments, name)),
        name,
        written_name,
        base: Word::from(base.as_str()),
        platform: flags.value("platform").map(Word::from),
        instructions: Vec::new(),
        span: line.span,
        keyword: line.split.keyword.clone(),
        as_keyword,
        original,
        comments: line.comments,
    })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c))
}

/// The comment that begins with `name`, without it.
fn description(comments: &[String], name: &str) -> Option<String> {
    comments.iter().find_map(|comment| {
        let rest = comment.strip_prefix(name)?.strip_prefix(' ')?;
        Some(rest.to_owned())
    })
}

/// The arguments that an `ARG` declares.
pub(crate) fn args(words: &[String], comments: &[String], span: Span) -> Result<Vec<Arg>, Error> {
    if words.is_empty() {
        return Err(Error::new("ARG requires at least one argument"));
    }
    let args = words.iter().map(|word| {
        let (name, default) = match word.split_once('=') {
            Some(("", _)) => return Err(Error::new("ARG names can not be blank")),
            Some((name, default)) => (name, Some(Word::from(default))),
            None => (word.as_str(), None),
        };
        Ok(Arg {
            description: description(comments, name),
            name: Word::from(name),
            default,
            span,
            comments: comments.to_vec(),
        })
    });
    args.collect()
}

/// What `ONBUILD` keeps: the line behind it with its here-documents.
pub(crate) fn trigger(
    arguments: &Arguments,
    original: &str,
    heredocs: &[Heredoc],
) -> Result<String, Error> {
    let Arguments::Line(inner) = arguments else {
        return Err(Error::new("ONBUILD requires at least one argument"));
    };
    match inner.name.as_str() {
        "ONBUILD" => {
            return Err(Error::new(
                "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
            ));
        }
        name @ ("MAINTAINER" | "FROM") => {
            return Err(Error::new(format!(
                "{name} isn't allowed as an ONBUILD trigger"
            )));
        }
        _ => {}
    }
    let mut text = original
        .get("ONBUILD".len()..)
        .unwrap_or_default()
        .trim_start()
        .to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}

/// A keyword that does not exist.
pub(crate) fn unknown(keyword: &str) -> Error {
    Error::new(format!("unknown instruction: {keyword}")).suggest(
        keyword,
        KEYWORDS,
        Case::Insensitive,
    )
}
