//! What volume plug-ins answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gantry_volume::read_plugin_answer(data));
