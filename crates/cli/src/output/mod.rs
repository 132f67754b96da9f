//! Everything that is printed: one printer, tables, `--format`, and the human
//! forms of durations, sizes and times.

pub(crate) mod formatter;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod table;
