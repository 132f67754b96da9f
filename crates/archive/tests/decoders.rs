//! The decoders against streams that are damaged, cut off or no streams.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use gantry_archive::Error;
use gantry_archive::compression::{Compression, Decoder, Encoder, Limits};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    ..Limits::UNLIMITED
};

fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Decoder::new(bytes, LIMITS)
        .map_err(io::Error::other)?
        .read_to_end(&mut out)?;
    Ok(out)
}

fn text() -> Vec<u8> {
    (0..20_000u32)
        .flat_map(|number| {
            (number.wrapping_mul(2_654_435_761) >> 20)
                .to_string()
                .into_bytes()
        })
        .collect()
}

/// One stream in each format that can be made here.
fn samples() -> &'static [(Compression, Vec<u8>)] {
    static SAMPLES: OnceLock<Vec<(Compression, Vec<u8>)>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Vec::new();
        for format in [Compression::Gzip, Compression::Zstd] {
            let mut encoder = Encoder::new(Vec::new(), format).unwrap();
            encoder.write_all(&text()).unwrap();
            samples.push((format, encoder.finish().unwrap()));
        }
        for (format, program) in [(Compression::Bzip2, "bzip2"), (Compression::Xz, "xz")] {
            if let Ok(bytes) = piped_through(program, "-c") {
                samples.push((format, bytes));
            }
        }
        samples
    })
}

fn piped_through(program: &str, option: &str) -> io::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .arg(option)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text()));
    let output = child.wait_with_output()?;
    writer.join().unwrap()?;
    Ok(output.stdout)
}

#[test]
fn samples_decode() {
    for (format, bytes) in samples() {
        assert_eq!(Compression::detect(bytes), *format);
        assert_eq!(decode(bytes).unwrap(), text(), "{format:?}");
        let cut = decode(&bytes[..bytes.len() - 5]);
        assert!(cut.is_err(), "{format:?} cut off");
    }
}

#[test]
fn a_stream_that_asks_for_too_much_memory_is_refused() {
    // Small in itself; its header asks for a dictionary of 1 GiB.
    let Ok(bytes) = piped_through("xz", "--lzma2=dict=1GiB") else {
        return;
    };
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.ends_with("bytes of an xz dictionary"), "{error}");
}

/// Gives some bytes and then fails.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::from_raw_os_error(5)),
            count => Ok(count),
        }
    }
}

#[test]
fn a_failing_source_is_no_damaged_stream() {
    for (format, bytes) in samples() {
        let mut decoder = Decoder::new(Failing(&bytes[..bytes.len() / 2]), LIMITS).unwrap();
        let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
        let own = error.downcast::<Error>().unwrap();
        let Error::Read { source } = own else {
            panic!("{format:?}: {own:?}");
        };
        assert_eq!(source.raw_os_error(), Some(5));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damage_never_panics(
        sample in any::<prop::sample::Index>(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        early in any::<bool>(),
    ) {
        let samples = samples();
        let mut bytes = samples[sample.index(samples.len())].1.clone();
        let reach = if early { 40 } else { bytes.len() };
        for (place, byte) in places {
            bytes[place.index(reach)] = byte;
        }
        let _ = decode(&bytes);
    }

    #[test]
    fn noise_never_panics(
        sample in any::<prop::sample::Index>(),
        keep in 6usize..40,
        noise in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let samples = samples();
        let mut bytes = samples[sample.index(samples.len())].1[..keep].to_vec();
        bytes.extend_from_slice(&noise);
        let _ = decode(&bytes);
    }
}

/// A frame of zstd that holds `x` and has a window of two to that power.
fn with_window(log: u8) -> Vec<u8> {
    let mut frame = b"\x28\xb5\x2f\xfd\0".to_vec();
    frame.push((log - 10) << 3);
    // The last block, raw, of one byte.
    frame.extend([9, 0, 0, b'x']);
    frame
}

#[test]
fn a_window_is_as_large_as_the_limit_at_most() {
    let limits = Limits {
        window: Limits::LAYER_WINDOW,
        ..LIMITS
    };
    let decode = |bytes: &[u8]| {
        let mut out = Vec::new();
        let decoder = Decoder::new(bytes, limits).map(|mut it| it.read_to_end(&mut out));
        match decoder.unwrap() {
            Ok(_) => Ok(out),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(decode(&with_window(23)).unwrap(), b"x");
    for log in [24, 27, 31] {
        let text = decode(&with_window(log)).unwrap_err();
        let wanted = "archive exceeds the limit of 8388608 bytes of a zstd window";
        assert_eq!(text, wanted, "{log}");
    }
    if let Ok(bytes) = piped_through("xz", "-9") {
        let error = decode(&bytes).unwrap_err();
        assert!(
            error.ends_with("8388608 bytes of an xz dictionary"),
            "{error}"
        );
        assert_eq!(decode(&piped_through("xz", "-6").unwrap()).unwrap(), text());
    }
}
