//! What every test stands on: an engine, a client, images, and a last look
//! for things left behind.

pub mod api;
mod archive;
mod engine;
mod normal;
mod outcome;
pub mod peers;
pub mod registry;
mod rootfs;
pub mod served;
pub mod traces;
pub mod transcript;

pub use archive::{docker_archive, oci_archive};
pub use engine::{Engine, gantry_binary};
pub use outcome::{Outcome, command, finish, script};
pub use rootfs::{busybox_tar, debian_tar};

/// Ends a test that only makes sense against gantry when another engine is
/// being tested, and says so.
#[macro_export]
macro_rules! gantry_only {
    ($engine:expr) => {
        if !$engine.is_gantry() {
            $crate::harness::remark(concat!(
                "SKIPPED: ",
                module_path!(),
                " tests what only gantry has"
            ));
            return;
        }
    };
}

/// Says something in the test's captured output.
#[expect(clippy::print_stderr, reason = "the one place where tests speak")]
pub fn remark(text: &str) {
    eprintln!("{text}");
}
