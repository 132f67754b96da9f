//! The websocket protocol (RFC 6455), as far as a stream of bytes needs it: the
//! server's handshake, messages of any size in both directions, ping and close.
//! Payloads are handed on as they arrive; no message is ever collected.
//!
//! A crate for this would bring a second way to read HTTP, random numbers and
//! extensions that are not wanted; the protocol itself is this file.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, StatusCode, header};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex;

use crate::error::{Failure, Result};

/// What the protocol appends to a client's key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How much is carried at a time.
const PIECE: usize = 32 << 10;
/// The longest payload of a ping, a pong or a close.
const CONTROL: u64 = 125;

const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The end that is expected.
const NORMAL: u16 = 1000;
/// The other side breaks the rules.
const PROTOCOL_ERROR: u16 = 1002;

/// What messages to the client are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text = 1,
    Binary = 2,
}

/// The head of the answer to a client's handshake.
///
/// # Errors
/// When it is none.
pub(crate) fn handshake(headers: &HeaderMap) -> Result<String> {
    const PROTOCOL: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("").trim()
    };
    let has_word = |name: HeaderName, word: &str| {
        let words = text(name).split(',').map(str::trim);
        words
            .into_iter()
            .any(|have| have.eq_ignore_ascii_case(word))
    };
    let key = text(header::SEC_WEBSOCKET_KEY);
    let valid = has_word(header::UPGRADE, "websocket")
        && has_word(header::CONNECTION, "upgrade")
        && text(header::SEC_WEBSOCKET_VERSION) == "13"
        && STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if !valid {
        return Err(Failure::plain(
            StatusCode::BAD_REQUEST,
            "not websocket protocol",
        ));
    }
    let protocol = text(PROTOCOL).split(',').next().unwrap_or("").trim();
    let protocol = match protocol {
        "" => String::new(),
        named => format!("Sec-WebSocket-Protocol: {named}\r\n"),
    };
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{protocol}\r\n",
        accepted(key)
    ))
}

fn accepted(key: &str) -> String {
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{MAGIC}").as_bytes(),
    );
    STANDARD.encode(hash)
}

/// Carries what comes out of `plain` to the client as messages, and the contents
/// of the client's messages into it, until `plain` or the client has ended. The
/// client's close ends its direction.
pub(crate) async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    plain: impl AsyncRead + AsyncWrite + Unpin,
    kind: Kind,
) {
    let (from_client, to_client) = split(client);
    let to_client = Mutex::new(to_client);
    let (from_plain, to_plain) = split(plain);
    let input = async {
        let ended = receive(from_client, to_plain, &to_client).await;
        // Whatever it was, the client will hear no more about it.
        ended
            .err()
            .filter(|error| error.kind() == io::ErrorKind::InvalidData)
    };
    let output = send(from_plain, &to_client, kind);
    tokio::pin!(input, output);
    let mut input_open = true;
    let code = loop {
        tokio::select! {
            _ = &mut output => break NORMAL,
            broken = &mut input, if input_open => match broken {
                Some(_) => break PROTOCOL_ERROR,
                None => input_open = false,
            },
        }
    };
    let mut to_client = to_client.lock().await;
    // The client may be gone already.
    let _ = write_frame(&mut *to_client, CLOSE, &code.to_be_bytes()).await;
    let _ = to_client.shutdown().await;
}

async fn send<P: AsyncRead, C: AsyncWrite>(
    mut from: ReadHalf<P>,
    to: &Mutex<WriteHalf<C>>,
    kind: Kind,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let len = from.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        write_frame(&mut *to.lock().await, kind as u8, &buffer[..len]).await?;
    }
}

async fn write_frame(
    to: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = vec![0x80 | kind];
    match payload.len() {
        len @ ..126 => frame.push(len as u8),
        len @ ..0x1_0000 => {
            frame.push(126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    to.write_all(&frame).await?;
    to.flush().await
}

/// The head of a client's frame.
struct Head {
    kind: u8,
    last: bool,
    len: u64,
    mask: [u8; 4],
}

/// Reads messages until the client closes or is gone; either way `to` ends.
async fn receive<P: AsyncWrite, C: AsyncRead + AsyncWrite>(
    mut from: ReadHalf<C>,
    mut to: WriteHalf<P>,
    to_client: &Mutex<WriteHalf<C>>,
) -> io::Result<()> {
    let ended = receive_all(&mut from, &mut to, to_client).await;
    // The container may have ended first.
    let _ = to.shutdown().await;
    ended
}

async fn receive_all<P: AsyncWrite, C: AsyncRead + AsyncWrite>(
    from: &mut ReadHalf<C>,
    to: &mut WriteHalf<P>,
    to_client: &Mutex<WriteHalf<C>>,
) -> io::Result<()> {
    let mut open = false;
    loop {
        let head = read_head(from).await?;
        match head.kind {
            CLOSE => return Ok(()),
            PING | PONG => {
                let mut payload = vec![0; head.len as usize];
                from.read_exact(&mut payload).await?;
                unmask(&mut payload, head.mask, 0);
                if head.kind == PING {
                    write_frame(&mut *to_client.lock().await, PONG, &payload).await?;
                }
            }
            kind if (kind == CONTINUATION) == open => {
                open = !head.last;
                hand_on(from, to, &head).await?;
            }
            _ => return Err(broken("a message inside another")),
        }
    }
}

async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    let [first, second] = [from.read_u8().await?, from.read_u8().await?];
    let kind = first & 0x0f;
    let len = match second & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    let head = Head {
        kind,
        last: first & 0x80 != 0,
        len,
        mask: from.read_u32().await?.to_be_bytes(),
    };
    let control = kind >= CLOSE;
    match kind {
        _ if first & 0x70 != 0 => Err(broken("an extension that was not agreed on")),
        _ if second & 0x80 == 0 => Err(broken("a frame without a mask")),
        3..=7 | 11.. => Err(broken("a frame of no known kind")),
        _ if control && (len > CONTROL || !head.last) => Err(broken("a long control frame")),
        _ => Ok(head),
    }
}

async fn hand_on(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    head: &Head,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE.min(usize::try_from(head.len).unwrap_or(PIECE))];
    let mut done = 0;
    while done < head.len {
        let want = buffer
            .len()
            .min(usize::try_from(head.len - done).unwrap_or(PIECE));
        let len = from.read(&mut buffer[..want]).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        unmask(&mut buffer[..len], head.mask, done);
        to.write_all(&buffer[..len]).await?;
        done += len as u64;
    }
    to.flush().await
}

/// Takes the mask off bytes that begin at `offset` of their frame.
fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: u64) {
    for (byte, at) in bytes.iter_mut().zip(offset..) {
        *byte ^= mask[(at % 4) as usize];
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            len @ ..126 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(len as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&mask);
        let mut payload = payload.to_vec();
        unmask(&mut payload, mask, 0);
        frame.extend_from_slice(&payload);
        frame
    }

    /// A client's end and a container's end with a websocket in between.
    fn connected() -> (DuplexStream, DuplexStream) {
        let (client, server) = duplex(1 << 20);
        let (container, plain) = duplex(1 << 20);
        tokio::spawn(carry(server, plain, Kind::Binary));
        (client, container)
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        let accepted = accepted("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn handshakes_are_checked() {
        let headers = |version: &'static str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("upgrade", "WebSocket"),
                ("connection", "keep-alive, Upgrade"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", version),
                ("sec-websocket-protocol", "chat"),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            headers
        };
        let head = handshake(&headers("13")).unwrap();
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(head.ends_with("Sec-WebSocket-Protocol: chat\r\n\r\n"));
        assert_eq!(handshake(&headers("8")).unwrap_err().status, 400);
        assert!(handshake(&HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn messages_become_bytes() {
        let (mut client, mut container) = connected();
        let long = vec![b'x'; 300];
        let sent = [
            frame(0x01, b"a"),
            frame(0x89, b"ping"),
            frame(0x80, b"b"),
            frame(0x82, &long),
            frame(0x88, b""),
        ];
        client.write_all(&sent.concat()).await.unwrap();
        let mut received = Vec::new();
        container.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, [b"ab".as_slice(), &long].concat());
        let mut pong = [0; 6];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\x8a\x04ping");
    }

    #[tokio::test]
    async fn bytes_become_messages() {
        let (mut client, mut container) = connected();
        container.write_all(b"out").await.unwrap();
        drop(container);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"\x82\x03out\x88\x02\x03\xe8");
    }

    #[tokio::test]
    async fn who_breaks_the_rules_is_told_and_left() {
        for bytes in [
            b"\x82\x03abcabc".to_vec(),
            frame(0x80, b"nothing to go on with"),
            frame(0xc2, b"compressed"),
            frame(0x83, b"unknown"),
            frame(0x89, &[0; 126]),
        ] {
            let (mut client, _container) = connected();
            client.write_all(&bytes).await.unwrap();
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, b"\x88\x02\x03\xea", "{bytes:?}");
        }
    }
}
