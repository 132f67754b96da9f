//! The language of Dockerfiles: text to typed instructions with positions,
//! expansion of words, ignore files, and the rules of `docker build --check`.
//!
//! ```text
//! bytes ─lines─▶ logical lines ─split─▶ keyword, flags, arguments ─commands─▶ Dockerfile
//!                                                     Word ─shell─▶ text
//! ```
//!
//! Nothing here does I/O, knows a variable, an image or a file: callers look
//! those up. Everything read here is hostile: sizes and depths are bounded.

mod commands;
pub mod config;
mod csv;
mod directives;
mod error;
mod expose;
mod flags;
mod glob;
mod globals;
mod graph;
mod heredoc;
pub mod ignore;
mod instruction;
mod lines;
pub mod lint;
mod mount;
mod outline;
mod parse;
mod shell;
mod split;
mod suggest;
#[cfg(test)]
mod tests;
mod wildcard;

pub use csv::fields;
pub use error::{Error, Span, excerpt};
pub use expose::Exposed;
pub use glob::{Glob, clean, has_wildcard};
pub use globals::{Global, Globals, PLATFORM_ARGS, PROXY_ARGS};
pub use graph::{Graph, Node, Source, Use};
pub use instruction::{
    Add, Arg, Command, CommandLine, Copy, Directives, Dockerfile, Healthcheck, Heredoc, InlineFile,
    Instruction, Network, Pair, Run, Security, Stage, Warning, Word,
};
pub use mount::{Mount, MountText, MountType, Sharing};
pub use outline::{Asked, Outline, OutlineArg, Target, Targets};
pub use parse::{parse, parse_changes, parse_instruction};
pub use shell::{Expansion, Lookup, expand, expand_content, expand_for_display, expansion, quoted};
pub use suggest::{Case, nearest};
