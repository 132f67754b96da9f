//! A pack of a git server: every object of it, whatever stands in it. The checksum at its
//! end is made to fit, so that what is before it is read.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&gantry_git::closed_pack(data)).expect("room");
    let _ = gantry_git::read_pack(file);
});
