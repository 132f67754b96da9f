//! The help of a command, drawn from its flags.

use super::flag::{Flag, Kind, flag};

/// The width help is folded to when standard output is no terminal.
const WIDTH: usize = 80;

/// Folds `text` at spaces to lines of at most `width` columns.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.len());
        if line > 0 && line + 1 + word.len() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The lines that describe `flags`, aligned and folded.
pub(crate) fn flag_lines(flags: &[&Flag]) -> String {
    let mut rows: Vec<(String, String)> = flags
        .iter()
        .filter(|flag| !flag.hidden)
        .map(|flag| (left(flag), right(flag)))
        .collect();
    gantry_types::sort::by(&mut rows, |a, b| a.0[6..].cmp(&b.0[6..]));
    let column = rows.iter().map(|row| row.0.len()).max().unwrap_or(0) + 3;
    let width = WIDTH.saturating_sub(column).max(24);
    let mut out = String::new();
    for (left, right) in rows {
        for (index, line) in wrap(&right, width).into_iter().enumerate() {
            let head = if index == 0 { left.as_str() } else { "" };
            out.push_str(format!("{head:column$}{line}").trim_end());
            out.push('\n');
        }
    }
    out
}

fn left(flag: &Flag) -> String {
    let short = match flag.short {
        Some(short) => format!("  -{short}, "),
        None => "      ".to_owned(),
    };
    let name = flag.kind.name();
    let gap = if name.is_empty() { "" } else { " " };
    format!("{short}--{}{gap}{name}", flag.long)
}

fn right(flag: &Flag) -> String {
    let shows = !matches!(flag.default, "" | "false" | "0");
    match flag.kind {
        Kind::Map | Kind::Sysctl => format!("{} (default map[])", flag.help),
        Kind::Ulimit | Kind::Pairs => format!("{} (default [])", flag.help),
        _ if !shows => flag.help.to_owned(),
        Kind::Text => format!("{} (default {:?})", flag.help, flag.default),
        _ => format!("{} (default {})", flag.help, flag.default),
    }
}

/// The whole help of one command.
pub(crate) fn command_help(
    program: &str,
    path: &str,
    usage: &str,
    summary: &str,
    aliases: &[String],
    flags: &[&Flag],
) -> String {
    let usage = format!("{program} {path} {usage}");
    let mut out = format!("Usage:  {}\n\n{summary}\n", usage.trim_end());
    if aliases.len() > 1 {
        out.push_str("\nAliases:\n  ");
        out.push_str(&aliases.join(", "));
        out.push('\n');
    }
    if flags.iter().any(|flag| !flag.hidden) {
        out.push_str("\nOptions:\n");
        // Where -h means something else, --help is named.
        let help = flag("help", Kind::Bool, "Print usage");
        let mut shown = flags.to_vec();
        if flags.iter().any(|flag| flag.short == Some('h')) {
            shown.push(&help);
        }
        out.push_str(&flag_lines(&shown));
    }
    out
}
