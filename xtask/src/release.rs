//! The release binary: built, looked at, and kept small.

use std::path::Path;

use crate::run::{Failure, capture, cargo, run, say};
use crate::tree;

/// More than this is refused, in bytes: the binary is to stay below 20 MB.
const MAX_SIZE: u64 = 20_000_000;

/// Builds it, and says where it is and how large.
pub fn build() -> Result<(), Failure> {
    run(cargo().args(["build", "--release", "-p", "gantry"]))?;
    let binary = tree::target().join("x86_64-unknown-linux-gnu/release/gantry");
    let size = std::fs::metadata(&binary)
        .map_err(|error| Failure::new(format!("{}: {error}", binary.display())))?
        .len();
    let text = format!(
        "{}: {:.1} MB (at most {:.0})",
        binary.display(),
        size as f64 / 1e6,
        MAX_SIZE as f64 / 1e6
    );
    if size >= MAX_SIZE {
        return Err(Failure::new(text));
    }
    check_static(&binary)?;
    say(&text);
    Ok(())
}

/// A dynamic executable would need what the host may not have.
fn check_static(binary: &Path) -> Result<(), Failure> {
    let headers = capture(std::process::Command::new("readelf").arg("-lW").arg(binary))?;
    if headers.contains("INTERP") {
        return Err(Failure::new(format!(
            "{} is not a static executable",
            binary.display()
        )));
    }
    Ok(())
}
