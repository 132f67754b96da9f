//! Layers: applied below a root, and nothing beside it.
#![no_main]

use gantry_archive::{ApplyOptions, Whiteouts, apply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let root = dir.path().join("root");
    std::fs::create_dir(&root).expect("a root");
    let target = std::fs::File::open(&root).expect("the root");
    let mut options = ApplyOptions::new(Whiteouts::Overlay);
    options.limits.bytes = 1 << 20;
    options.max_entries = 256;
    let _ = apply(data, &target, &options);
    let beside = std::fs::read_dir(dir.path()).expect("the directory").count();
    assert_eq!(beside, 1, "something was made beside the root");
});
