//! Frames of the shim's protocol, as a socket brings them.
#![no_main]

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use gantry_shim::protocol::{FrameReader, Message, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut theirs, ours) = UnixStream::pair().expect("a pair");
    // More does not fit into the socket at once.
    let data = &data[..data.len().min(32 << 10)];
    theirs.write_all(data).expect("room");
    theirs.shutdown(Shutdown::Write).expect("an end");
    let mut reader = FrameReader::default();
    while let Ok(Some(frame)) = reader.read(&ours) {
        let _ = frame.message::<Request>();
        let _ = frame.message::<Message>();
    }
});
