//! What containers ask the resolver, and what other servers answer it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gantry_network::read_name_message(data));
