//! What the history of an image says of an instruction, in the words of either builder.

use gantry_dockerfile::quoted;

use super::Dialect;

/// An instruction that only changes the configuration, in an image with that shell.
pub(super) fn of_config(dialect: Dialect, shell: &[String], text: &str) -> String {
    match dialect {
        Dialect::Classic => format!("{} #(nop)  {text}", shell.join(" ")),
        Dialect::BuildKit => text.to_owned(),
    }
}

/// `WORKDIR`.
pub(super) fn of_directory(dialect: Dialect, shell: &[String], path: &str) -> String {
    match dialect {
        Dialect::Classic => format!("{} #(nop) WORKDIR {path}", shell.join(" ")),
        Dialect::BuildKit => format!("WORKDIR {path}"),
    }
}

/// `RUN`: the command, after the arguments that it was run with.
/// The classic builder also says of arguments that only the daemon knows that there
/// are some.
pub(super) fn of_run(
    dialect: Dialect,
    args: &[String],
    hidden: bool,
    command: &[String],
) -> String {
    let mut words = Vec::new();
    if !args.is_empty() || (hidden && dialect == Dialect::Classic) {
        words.push(format!("|{}", args.len()));
        words.extend(args.iter().cloned());
    }
    words.extend(command.iter().cloned());
    let text = words.join(" ");
    match dialect {
        Dialect::Classic => text,
        Dialect::BuildKit => format!("RUN {text} # buildkit"),
    }
}

/// `COPY` and `ADD`.
pub(super) fn of_copy(
    dialect: Dialect,
    shell: &[String],
    verb: &str,
    sources: &[String],
    target: &str,
) -> String {
    let from = sources.join(" ");
    match dialect {
        Dialect::Classic => format!("{} #(nop) {verb} {from} in {target} ", shell.join(" ")),
        Dialect::BuildKit => format!("{verb} {from} {target} # buildkit"),
    }
}

/// Words as Go prints a list of strings with quotes.
pub(super) fn quoted_list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(" "))
}
