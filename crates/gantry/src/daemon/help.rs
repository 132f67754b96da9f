//! `gantry daemon --help` and `--version`, from the table of options.

use std::io::Write;

use super::options::{Kind, OPTIONS, Support};

/// Prints the flags that work.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print() -> Result<(), String> {
    let mut text = String::from(
        "Usage:  gantry daemon [OPTIONS]\n\nThe container engine: serves the Docker Engine API.\n\n\
         Options:\n",
    );
    for option in OPTIONS
        .iter()
        .filter(|option| option.support == Support::Yes)
    {
        let short = option
            .short
            .map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
        let kind = match option.kind {
            Kind::Switch => "",
            Kind::Number => " int",
            Kind::List => " list",
            Kind::Pairs | Kind::NetworkOptions => " map",
            Kind::Ulimits => " ulimit",
            Kind::Pools => " pool",
            Kind::Text | Kind::Any => " string",
        };
        let flag = format!("{short}--{}{kind}", option.flag);
        text.push_str(&format!("  {flag:<36} {}\n", option.help));
    }
    text.push_str("  -h, --help                           Print usage\n");
    text.push_str("  -v, --version                        Print version information and quit\n");
    write(&text)
}

/// Prints the version.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print_version() -> Result<(), String> {
    write(&format!("gantry version {}\n", env!("CARGO_PKG_VERSION")))
}

fn write(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("writing to standard output: {error}"))
}
