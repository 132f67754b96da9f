//! The program's own modules: it is no library.
#![allow(dead_code, reason = "the program uses more of them")]

#[path = "../../../crates/gantry/src/daemon/command_line.rs"]
mod command_line;
#[path = "../../../crates/gantry/src/daemon/config_file.rs"]
mod config_file;
#[path = "../../../crates/gantry/src/daemon/options.rs"]
mod options;
#[path = "../../../crates/gantry/src/daemon/quantity.rs"]
mod quantity;

use std::path::Path;

/// Reads both, as the daemon does when it starts.
pub fn read(file: &Path, args: Vec<String>) {
    let flags = match command_line::parse(args) {
        Ok(command_line::Request::Run(flags)) => flags,
        _ => command_line::Values::new(),
    };
    let _ = config_file::merged(Some(file), &flags);
}
