//! What must be clean before a commit: formatting, lints, tidy.

use crate::run::{Failure, cargo, run as step};

/// rustfmt, clippy and tidy.
pub fn run() -> Result<(), Failure> {
    step(cargo().args(["fmt", "--all", "--check"]))?;
    step(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    crate::tidy::run()
}
