//! Options of `create` as the command line has them: mounts, ports, devices,
//! limits and all the others.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // Files that options name are not what is to be found here.
    let reads = ["file", "seccomp"].iter().any(|word| text.contains(word));
    if reads {
        return;
    }
    let args: Vec<String> = text.split('\n').map(str::to_owned).collect();
    gantry_cli::read_options(&args);
});
