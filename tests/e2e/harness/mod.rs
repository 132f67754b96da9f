//! What every test stands on: an engine, a client, images, and a last look
//! for things left behind.

pub mod api;
mod archive;
pub mod buildx;
pub mod compose;
mod engine;
mod folder;
pub mod normal;
mod outcome;
pub mod peers;
pub mod plugins;
pub mod registry;
pub mod relay;
mod rootfs;
pub mod served;
pub mod traces;
pub mod transcript;
pub mod tunnel;

pub use archive::{docker_archive, oci_archive};
pub use engine::{Engine, gantry_binary};
pub use folder::folder;
pub use outcome::{Outcome, command, finish, in_network_of, script};
pub use rootfs::{busybox_tar, debian_tar, store as image_store};

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

/// Says something that is seen also of tests that pass: what was skipped, and why.
pub fn remark(text: &str) {
    use std::io::Write;
    // The macros' output is captured and thrown away; this is not.
    let _ = writeln!(std::io::stderr(), "{text}");
}
