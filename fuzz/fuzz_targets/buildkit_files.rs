//! A client's files, made from what it says of them: nothing outside of their
//! directory is touched.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory");
    let inside = dir.path().join("files");
    fs::create_dir(&inside).expect("a directory");
    fs::write(dir.path().join("other"), "untouched").expect("a file");
    // Twice: the second time there are files already.
    for part in [data, &data[data.len() / 2..]] {
        gantry_buildkit_api::receive_files(part, &inside);
    }
    let names = fs::read_dir(dir.path()).expect("the directory").count();
    let other = fs::read(dir.path().join("other")).expect("the file");
    assert!(names == 2 && other == b"untouched");
});
