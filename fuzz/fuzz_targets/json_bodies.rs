//! Bodies of requests, and what the engine reads in that of `create`.
#![no_main]

use gantry_api::{ContainerCreate, ExecCreate, ExecStartOptions, HostConfig, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = decode::<ContainerCreate>(data) {
        gantry_engine::read_request(&request);
        // What was understood is understood again.
        let text = serde_json::to_vec(&request).expect("JSON");
        decode::<ContainerCreate>(&text).expect("the same");
    }
    let _ = decode::<ExecCreate>(data);
    let _ = decode::<ExecStartOptions>(data);
    let _ = decode::<HostConfig>(data);
});
