//! Bytes of another connection, carried in messages that have one field.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::message_stream::Outgoing;
use crate::status::Status;
use crate::wire::{Message, fields};

/// How much one message carries at most, in bytes.
const PIECE: usize = 64 << 10;

/// Sends all that a connection says until it ends; `gone` tells what it means that it broke.
///
/// # Errors
/// `gone`, and when the call has ended.
pub async fn send_from(
    connection: &mut (impl AsyncRead + Unpin),
    outgoing: &mut Outgoing,
    gone: impl Fn(std::io::Error) -> Status,
) -> Result<(), Status> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = connection.read(&mut piece).await.map_err(&gone)?;
        if count == 0 {
            return Ok(());
        }
        let message = Message::new().bytes(1, &piece[..count]).into_bytes();
        outgoing.send(&message).await?;
    }
}

/// Says on a connection what a message carries.
///
/// # Errors
/// `gone`, and for a message that is none.
pub async fn write_to(
    connection: &mut (impl AsyncWrite + Unpin),
    message: &[u8],
    gone: impl Fn(std::io::Error) -> Status,
) -> Result<(), Status> {
    for field in fields(message) {
        let field = field?;
        if field.number == 1 {
            connection.write_all(field.bytes()?).await.map_err(&gone)?;
        }
    }
    Ok(())
}
