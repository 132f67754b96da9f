//! What a Dockerfile says, typed, with every word as it is written.
//!
//! Nothing here is expanded: a [`Word`] becomes text by [`crate::expand`]; a
//! `String` is never expanded by Docker either.

use std::time::Duration;

use crate::error::Span;
use crate::mount::MountText;

/// A word of the file, in which variables, quotes and escapes still stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Word(pub String);

impl Word {
    /// The word as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What the comments at the top say to the parser.
    pub directives: Directives,
    /// The arguments before the first `FROM`.
    pub meta_args: Vec<Arg>,
    /// The stages, in the order of the file; never empty.
    pub stages: Vec<Stage>,
    /// What will be an error one day.
    pub warnings: Vec<Warning>,
}

impl Dockerfile {
    /// The character that escapes and continues lines.
    pub fn escape(&self) -> char {
        self.directives.escape
    }
}

/// `# syntax=`, `# escape=` and `# check=` at the top of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that is asked for, without its arguments.
    pub syntax: Option<String>,
    /// The line of `syntax`.
    pub syntax_line: Option<usize>,
    /// A backslash or a backtick.
    pub escape: char,
    /// The options of the lint rules.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            syntax: None,
            syntax_line: None,
            escape: '\\',
            check: None,
        }
    }
}

/// Something that works today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is.
    pub message: String,
    /// The line on which it was noticed.
    pub span: Span,
    /// The explanation.
    pub url: &'static str,
}

/// `FROM` and what follows up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name in lower case: stages are found whatever the case.
    pub name: Option<String>,
    /// The name as it is written.
    pub written_name: Option<String>,
    /// The image, or the name of an earlier stage.
    pub base: Word,
    /// `--platform`.
    pub platform: Option<Word>,
    /// What it does.
    pub instructions: Vec<Instruction>,
    /// The lines of its `FROM`.
    pub span: Span,
    /// `FROM` as it is written.
    pub keyword: String,
    /// `AS` as it is written.
    pub as_keyword: Option<String>,
    /// The line of its `FROM`, continuation lines joined.
    pub original: String,
    /// The comments above it.
    pub comments: Vec<String>,
    /// The comment above that begins with its name.
    pub description: Option<String>,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub command: Command,
    /// The keyword as it is written.
    pub keyword: String,
    /// The whole line, continuation lines joined: for history and display.
    pub original: String,
    /// Where it stands.
    pub span: Span,
    /// The here-documents that follow it.
    pub heredocs: Vec<Heredoc>,
    /// The comments above it.
    pub comments: Vec<String>,
    /// The names of the flags that are given, in the order of their names.
    pub flags: Vec<&'static str>,
}

/// What one instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `ADD`
    Add(Add),
    /// `ARG`, one or several.
    Arg(Vec<Arg>),
    /// `CMD`
    Cmd(CommandLine),
    /// `COPY`
    Copy(Copy),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `ENV`
    Env(Vec<Pair>),
    /// `EXPOSE`, sorted as Docker sorts them.
    Expose(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<Pair>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `ONBUILD`: the text of the trigger, for [`crate::parse_instruction`].
    Onbuild(String),
    /// `RUN`
    Run(Run),
    /// `SHELL`
    Shell(Vec<String>),
    /// `STOPSIGNAL`
    Stopsignal(Word),
    /// `USER`
    User(Word),
    /// `VOLUME`
    Volume(Vec<Word>),
    /// `WORKDIR`
    Workdir(Word),
}

impl Command {
    /// The keyword in upper case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

/// A command for the stage's shell, or an array of arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// To be run by the shell; empty when nothing was given.
    Shell(String),
    /// To be run as it is; may be empty.
    Exec(Vec<String>),
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: Word,
    /// The value.
    pub value: Word,
    /// Whether it is written in the old form, `NAME value` without `=`.
    pub legacy: bool,
}

/// One argument that an `ARG` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: Word,
    /// What it is unless the user says otherwise.
    pub default: Option<Word>,
    /// The comment above that begins with its name.
    pub description: Option<String>,
    /// The lines of the `ARG`.
    pub span: Span,
    /// The comments above it.
    pub comments: Vec<String>,
}

/// A here-document, behind the instruction it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, without quotes.
    pub name: String,
    /// Whether variables are to be replaced: not when the word is quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of lines are not part of it.
    pub strip_tabs: bool,
    /// The number before `<<`, 0 without.
    pub file_descriptor: u32,
    /// The lines, each with its end of line, tabs included.
    pub content: String,
}

impl Heredoc {
    /// The content without the tabs that `<<-` takes away.
    pub fn text(&self) -> String {
        if self.strip_tabs {
            return strip_tabs(&self.content);
        }
        self.content.clone()
    }
}

/// Every line without the tabs at its beginning.
pub(crate) fn strip_tabs(content: &str) -> String {
    content
        .split_inclusive('\n')
        .map(|line| line.trim_start_matches('\t'))
        .collect()
}

/// A file that stands in the Dockerfile itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// Its name, when the destination is a directory.
    pub name: String,
    /// What it contains, by [`crate::expand_content`] when `expand` is set.
    pub content: String,
    /// Whether variables are to be replaced.
    pub expand: bool,
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command. In the shell form the instruction's heredocs belong to it:
    /// see [`Run::script`].
    pub line: CommandLine,
    /// Each `--mount`, to be resolved once variables are known.
    pub mounts: Vec<MountText>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
}

/// The network of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// As the build says.
    #[default]
    Default,
    /// Only loopback.
    None,
    /// The host's.
    Host,
}

/// What a step may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// As any container.
    #[default]
    Sandbox,
    /// Everything; the build must allow it.
    Insecure,
}

/// `COPY`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Paths in the context, the stage or the image; wildcards are allowed.
    pub sources: Vec<Word>,
    /// Here-documents, each a file.
    pub inline: Vec<InlineFile>,
    /// Where to.
    pub destination: Word,
    /// A stage, a named context or an image.
    pub from: Option<Word>,
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: bool,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`, each a pattern as in an ignore file.
    pub exclude: Vec<String>,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Paths in the context, URLs or git repositories.
    pub sources: Vec<Word>,
    /// Here-documents, each a file.
    pub inline: Vec<InlineFile>,
    /// Where to.
    pub destination: Word,
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: bool,
    /// `--keep-git-dir`, if given.
    pub keep_git_dir: Option<bool>,
    /// `--checksum`
    pub checksum: Option<Word>,
    /// `--unpack`, if given.
    pub unpack: Option<bool>,
    /// `--exclude`, each a pattern as in an ignore file.
    pub exclude: Vec<String>,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: not even the base image's.
    None,
    /// `CMD`
    Check {
        /// What to run.
        line: CommandLine,
        /// `--interval`, zero when not given.
        interval: Duration,
        /// `--timeout`, zero when not given.
        timeout: Duration,
        /// `--start-period`, zero when not given.
        start_period: Duration,
        /// `--start-interval`, zero when not given.
        start_interval: Duration,
        /// `--retries`, zero when not given.
        retries: u32,
    },
}
