//! What a client sends over a call, as a stream for code that waits.

use std::io::Read;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;

use crate::session::Exchange;
use crate::status::Status;
use crate::wire::fields;

/// The bytes of one field of all messages.
pub(crate) struct Reading {
    exchange: Exchange,
    runtime: Handle,
    field: u32,
    piece: Bytes,
}

impl Reading {
    pub(crate) fn new(exchange: Exchange, runtime: Handle, field: u32) -> Self {
        Self {
            exchange,
            runtime,
            field,
            piece: Bytes::new(),
        }
    }

    /// The next piece that is not empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(message) = self.runtime.block_on(self.exchange.next())? {
            let mut piece = Bytes::new();
            for field in fields(&message) {
                let field = field?;
                if field.number == self.field {
                    piece = message.slice_ref(field.bytes()?);
                }
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            let next = self.next();
            match next.map_err(|status| std::io::Error::other(status.text))? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let len = self.piece.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.piece[..len]);
        self.piece.advance(len);
        Ok(len)
    }
}
