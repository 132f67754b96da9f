//! Text to typed flags, the way `pflag` reads a command line.
//!
//! One [`Flag`] entry is the only definition of a flag: the parser, its error
//! messages and the help text all come from it.

mod flag;
mod help;
mod matches;
mod parse;
pub(crate) mod values;

pub(crate) use flag::{Flag, Kind, flag, parse_bool};
pub(crate) use help::{command_help, flag_lines};
pub(crate) use matches::Matches;
pub(crate) use parse::{Parsed, parse};
pub(crate) use values::Values;
