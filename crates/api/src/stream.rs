//! The multiplexed stream: frames of an 8-byte header and a payload.
//!
//! ```text
//! ┌────────┬───┬───┬───┬────────────────────────┬─────────┐
//! │ stream │ 0 │ 0 │ 0 │ length, 4 bytes, big endian │ payload │
//! └────────┴───┴───┴───┴────────────────────────┴─────────┘
//! ```

/// The length of a frame's header.
pub const FRAME_HEADER_LEN: usize = 8;

/// Which stream the bytes of a frame belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StreamKind {
    /// Shown on stdout.
    Stdin = 0,
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// A failure of the engine: the reader prints it and stops.
    SystemError = 3,
}

/// Why bytes are not a multiplexed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized input header: {0}")]
pub struct FrameError(u8);

impl TryFrom<u8> for StreamKind {
    type Error = FrameError;

    fn try_from(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0 => Ok(Self::Stdin),
            1 => Ok(Self::Stdout),
            2 => Ok(Self::Stderr),
            3 => Ok(Self::SystemError),
            other => Err(FrameError(other)),
        }
    }
}

/// The header of a frame that carries `len` bytes.
pub fn frame_header(stream: StreamKind, len: u32) -> [u8; FRAME_HEADER_LEN] {
    let size = len.to_be_bytes();
    [stream as u8, 0, 0, 0, size[0], size[1], size[2], size[3]]
}

/// Takes a multiplexed stream apart as its bytes arrive, whatever the pieces
/// they arrive in; payloads are handed on without being collected.
#[derive(Debug, Default)]
pub struct Demultiplexer {
    header: [u8; FRAME_HEADER_LEN],
    header_len: usize,
    open: Option<(StreamKind, u32)>,
}

impl Demultiplexer {
    /// One that expects a frame header next.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no frame is half-way.
    pub fn at_boundary(&self) -> bool {
        self.header_len == 0 && self.open.is_none()
    }

    /// Takes the next payload bytes off the front of `input`: `None` when the
    /// input is used up.
    ///
    /// # Errors
    /// When a header names no known stream.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<(StreamKind, &'a [u8])>, FrameError> {
        loop {
            if let Some((stream, left)) = self.open {
                if input.is_empty() {
                    return Ok(None);
                }
                let take = input.len().min(left as usize);
                let (payload, rest) = input.split_at(take);
                *input = rest;
                let left = left - take as u32;
                self.open = (left > 0).then_some((stream, left));
                return Ok(Some((stream, payload)));
            }
            let missing = FRAME_HEADER_LEN - self.header_len;
            let take = input.len().min(missing);
            self.header[self.header_len..self.header_len + take].copy_from_slice(&input[..take]);
            *input = &input[take..];
            self.header_len += take;
            if self.header_len < FRAME_HEADER_LEN {
                return Ok(None);
            }
            let [stream, _, _, _, a, b, c, d] = self.header;
            let len = u32::from_be_bytes([a, b, c, d]);
            self.header_len = 0;
            let stream = StreamKind::try_from(stream)?;
            self.open = (len > 0).then_some((stream, len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let mut wire = Vec::new();
        for (stream, text) in [
            (StreamKind::Stdout, "hello"),
            (StreamKind::Stderr, ""),
            (StreamKind::Stderr, "oh no"),
        ] {
            wire.extend(frame_header(stream, text.len() as u32));
            wire.extend(text.as_bytes());
        }
        for size in 1..wire.len() {
            let mut demultiplexer = Demultiplexer::new();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for mut piece in wire.chunks(size) {
                while let Some((stream, payload)) = demultiplexer.next(&mut piece).unwrap() {
                    match stream {
                        StreamKind::Stdout => out.extend(payload),
                        _ => err.extend(payload),
                    }
                }
            }
            assert_eq!(
                (out.as_slice(), err.as_slice()),
                (&b"hello"[..], &b"oh no"[..])
            );
            assert!(demultiplexer.at_boundary());
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let mut input = &b"HTTP/1.1 500"[..];
        assert!(Demultiplexer::new().next(&mut input).is_err());
    }
}
