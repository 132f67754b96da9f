//! Seccomp profiles, down to the kernel's instructions.
#![no_main]

use gantry_runtime::CapabilityMask;
use gantry_runtime::seccomp::{compile, from_profile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(profile) = from_profile(text, CapabilityMask(0)) {
        let _ = profile.as_ref().map(compile);
    }
});
