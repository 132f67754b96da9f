//! `daemon.json` and the daemon's flags, by the modules of the program itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod daemon;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (file, args) = text.split_once('\0').unwrap_or((&text, ""));
    let path = std::path::PathBuf::from(format!("/dev/shm/gantry-fuzz-{}", std::process::id()));
    std::fs::write(&path, file).expect("a file");
    daemon::read(&path, args.split('\n').map(str::to_owned).collect());
    std::fs::remove_file(&path).expect("the file");
});
