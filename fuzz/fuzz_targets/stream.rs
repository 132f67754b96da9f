//! The multiplexed stream, in pieces of any size: as in one piece.
#![no_main]

use gantry_api::Demultiplexer;
use libfuzzer_sys::fuzz_target;

fn read(pieces: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let mut demultiplexer = Demultiplexer::new();
    let mut found: Vec<(u8, Vec<u8>)> = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match demultiplexer.next(&mut rest) {
                Ok(Some((kind, bytes))) => match found.last_mut() {
                    Some((last, all)) if *last == kind as u8 => all.extend(bytes),
                    _ => found.push((kind as u8, bytes.to_vec())),
                },
                Ok(None) => break,
                // Nothing after it means anything.
                Err(_) => return found,
            }
        }
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(size).max(1)).collect();
    assert_eq!(read(&pieces), read(&[bytes]));
});
