//! What buildx says: messages, packets of files, options, definitions.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gantry_buildkit_api::read_message(data);
});
