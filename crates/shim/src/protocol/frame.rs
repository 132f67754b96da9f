//! Frames: JSON with some bytes and some descriptors, on a stream socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

const HEADER: usize = 8;
/// A spec with thousands of mounts and variables stays far below.
const MAX_JSON: usize = 16 << 20;
const MAX_BYTES: usize = 1 << 20;
const MAX_FDS: usize = 32;
/// The most that is read at once.
const CHUNK: usize = 64 << 10;

/// Why a frame was not sent or received.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side is gone.
    #[error("connection closed")]
    Closed,
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[source] io::Error),
    /// A frame that is too large, or carries too many descriptors.
    #[error("frame too large")]
    TooLarge,
    /// Not the JSON that was expected.
    #[error("malformed message: {0}")]
    Malformed(#[source] serde_json::Error),
}

impl From<Errno> for FrameError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::Socket(other.into()),
        }
    }
}

/// A frame as received.
#[derive(Debug, Default)]
pub struct Frame {
    json: Vec<u8>,
    /// The bytes beside the JSON.
    pub bytes: Vec<u8>,
    /// The descriptors.
    pub fds: Vec<OwnedFd>,
}

impl Frame {
    /// The message.
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.json).map_err(FrameError::Malformed)
    }
}

/// A message as the bytes of a frame.
pub(crate) fn encode(message: &impl Serialize, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Malformed)?;
    let json = frame.len() - HEADER;
    if json > MAX_JSON || bytes.len() > MAX_BYTES {
        return Err(FrameError::TooLarge);
    }
    frame[..4].copy_from_slice(&(json as u32).to_le_bytes());
    frame[4..HEADER].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    frame.extend_from_slice(bytes);
    Ok(frame)
}

/// Sends a whole frame over a blocking socket.
pub fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    if fds.len() > MAX_FDS {
        return Err(FrameError::TooLarge);
    }
    let frame = encode(message, bytes)?;
    let mut sent = gantry_sys::send_with_fds(&socket, &frame, fds)?;
    while sent < frame.len() {
        sent += gantry_sys::send_with_fds(&socket, &frame[sent..], &[])?;
    }
    Ok(())
}

/// Receives a whole frame from a blocking socket.
pub fn receive(socket: impl AsFd) -> Result<Frame, FrameError> {
    let mut reader = FrameReader::default();
    loop {
        if let Some(frame) = reader.read(&socket)? {
            return Ok(frame);
        }
    }
}

/// Collects a frame from what arrives, without waiting for the rest. It never
/// reads beyond the frame's end.
#[derive(Debug, Default)]
pub struct FrameReader {
    header: Vec<u8>,
    body: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl FrameReader {
    /// Reads once (which waits if the socket does). `None`: there is more to
    /// come, or nothing was there (`EAGAIN`).
    pub fn read(&mut self, socket: impl AsFd) -> Result<Option<Frame>, FrameError> {
        let (filled, wanted) = match self.body_length()? {
            None => (self.header.len(), HEADER),
            Some(length) => (self.body.len(), length),
        };
        let in_header = self.header.len() < HEADER;
        let target = if in_header {
            &mut self.header
        } else {
            &mut self.body
        };
        // Grow with what comes, not with what is announced.
        let room = CHUNK.min(wanted - filled);
        if room > 0 {
            target.resize(filled + room, 0);
            let received = gantry_sys::recv_with_fds(&socket, &mut target[filled..]);
            target.truncate(filled + received.as_ref().map_or(0, |(count, _)| *count));
            let (count, fds) = match received {
                Err(Errno::AGAIN) => return Ok(None),
                other => other?,
            };
            if count == 0 {
                return Err(FrameError::Closed);
            }
            self.fds.extend(fds);
            if self.fds.len() > MAX_FDS {
                return Err(FrameError::TooLarge);
            }
        }
        self.take_complete()
    }

    fn body_length(&self) -> Result<Option<usize>, FrameError> {
        let Ok(header) = <[u8; HEADER]>::try_from(self.header.as_slice()) else {
            return Ok(None);
        };
        let (json, bytes) = lengths(header);
        if json > MAX_JSON || bytes > MAX_BYTES {
            return Err(FrameError::TooLarge);
        }
        Ok(Some(json + bytes))
    }

    fn take_complete(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.body_length()? {
            Some(length) if self.body.len() == length => {}
            _ => return Ok(None),
        }
        let Self { header, body, fds } = std::mem::take(self);
        let mut json = body;
        let json_length = header.try_into().map_or(0, |header| lengths(header).0);
        let bytes = json.split_off(json_length);
        Ok(Some(Frame { json, bytes, fds }))
    }
}

fn lengths(header: [u8; HEADER]) -> (usize, usize) {
    let [a, b, c, d, e, f, g, h] = header;
    let json = u32::from_le_bytes([a, b, c, d]);
    let bytes = u32::from_le_bytes([e, f, g, h]);
    (json as usize, bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn frames_carry_bytes_and_descriptors() {
        let (a, b) = UnixStream::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let long = "x".repeat(10_000);
        send(&a, &long, b"blob", &[null.as_fd()]).unwrap();
        send(&a, &"second", b"", &[]).unwrap();
        let frame = receive(&b).unwrap();
        assert_eq!(frame.message::<String>().unwrap(), long);
        assert_eq!((frame.bytes.as_slice(), frame.fds.len()), (&b"blob"[..], 1));
        assert_eq!(receive(&b).unwrap().message::<String>().unwrap(), "second");
        drop(a);
        assert!(matches!(receive(&b), Err(FrameError::Closed)));
    }

    #[test]
    fn hostile_lengths_are_refused_before_memory_is_taken() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[0xff; 8]).unwrap();
        assert!(matches!(receive(&b), Err(FrameError::TooLarge)));
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let (mut a, b) = UnixStream::pair().unwrap();
        b.set_nonblocking(true).unwrap();
        let frame = encode(&42, b"z").unwrap();
        let mut reader = FrameReader::default();
        for (at, byte) in frame.iter().enumerate() {
            assert!(reader.read(&b).unwrap().is_none());
            a.write_all(&[*byte]).unwrap();
            let done = reader.read(&b).unwrap();
            assert_eq!(done.is_some(), at + 1 == frame.len());
        }
    }
}
