//! An ignore file and, behind a NUL, a path: without exceptions a walk must say
//! the same as the path alone, and with them it must leave out no directory from
//! which something comes back.
#![no_main]

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::{Glob, clean};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (file, path) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"a/b/c"[..]),
    };
    let path = clean(&String::from_utf8_lossy(path));
    let path = path.trim_start_matches('/');
    if path.is_empty() || path == "." || path.starts_with("..") {
        return;
    }
    if let Ok(glob) = Glob::new(&String::from_utf8_lossy(file)) {
        let _ = glob.matches(path);
    }
    let Ok(patterns) = Patterns::parse(file) else {
        return;
    };
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    let (mut inherited, mut left_out) = (None, false);
    for end in ends {
        let (ignored, next) = patterns.check(&path[..end], inherited.as_ref());
        if !file.contains(&b'!') {
            assert_eq!(ignored, patterns.is_ignored(&path[..end]), "{path}");
        }
        assert!(
            !left_out || ignored,
            "{path} is in a directory that is left out"
        );
        left_out |= ignored && patterns.may_skip(&path[..end]);
        inherited = Some(next);
    }
});
