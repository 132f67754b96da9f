//! The shim program.

/// Runs the shim on the control socket that is descriptor `fd`.
pub fn run(_fd: i32) -> i32 {
    1
}
