//! Archives: every entry with its data, whatever the forms of tar.
#![no_main]

use gantry_archive::tar::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    while let Ok(Some(_)) = reader.next_entry() {
        let mut stored = reader.data();
        while let Ok(chunk) = stored.chunk() {
            let count = chunk.len();
            if count == 0 {
                break;
            }
            stored.advance(count);
        }
    }
});
