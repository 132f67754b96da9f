//! Dockerfile instructions given to `import` and `commit`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let changes: Vec<String> = text.split('\0').map(str::to_owned).collect();
    gantry_image::read_changes(&changes);
});
