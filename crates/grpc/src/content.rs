//! Reading from containerd's content service (`containerd.services.content.v1`): what is
//! asked for, and how it is sent.

use std::io::Read;

use gantry_types::Digest;

use crate::message_stream::Outgoing;
use crate::serve::Call;
use crate::status::Status;
use crate::wire::{Message, fields};

/// How much is sent at a time, in bytes.
const PIECE: u64 = 256 << 10;

/// What is asked for.
pub struct Question {
    /// Whose bytes.
    pub digest: Digest,
    /// Where they begin.
    pub offset: u64,
    /// How many; all that follow when it is 0.
    pub size: u64,
}

impl Question {
    /// The only message of a call.
    ///
    /// # Errors
    /// For what is no question.
    pub async fn of(call: &mut Call) -> Result<Self, Status> {
        let (mut digest, mut offset, mut size) = (String::new(), 0, 0);
        for field in fields(&call.incoming.only().await?) {
            let field = field?;
            match field.number {
                1 => digest = field.text()?,
                2 => offset = field.number()?,
                3 => size = field.number()?,
                _ => {}
            }
        }
        Ok(Self {
            digest: digest_of(&digest)?,
            offset,
            size,
        })
    }

    /// Sends what was asked for of bytes that begin at the offset already; `failed` tells
    /// what it means that they cannot be read.
    ///
    /// # Errors
    /// `failed`, and when the call has ended.
    pub async fn answer(
        &self,
        from: impl Read + Send,
        outgoing: &mut Outgoing,
        failed: impl Fn(std::io::Error) -> Status,
    ) -> Result<(), Status> {
        let mut rest = from.take(if self.size == 0 { u64::MAX } else { self.size });
        let mut offset = self.offset;
        loop {
            let mut piece = Vec::new();
            let mut part = (&mut rest).take(PIECE);
            part.read_to_end(&mut piece).map_err(&failed)?;
            if piece.is_empty() {
                return Ok(());
            }
            let message = Message::new().number(1, offset).bytes(2, &piece);
            outgoing.send(&message.into_bytes()).await?;
            offset += piece.len() as u64;
        }
    }
}

/// A digest, as the content service tells of one that is none.
///
/// # Errors
/// For what is none.
pub fn digest_of(text: &str) -> Result<Digest, Status> {
    let digest = text.parse();
    digest.map_err(|_| Status::invalid("invalid checksum digest format"))
}
