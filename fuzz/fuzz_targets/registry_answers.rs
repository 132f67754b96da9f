//! What registries answer: heads, challenges, refusals, places to go on.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gantry_registry::read_answer(data);
});
