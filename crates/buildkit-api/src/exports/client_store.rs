//! Content that a client keeps or has, blob by blob: containerd's content service, over
//! the session. A client has several such stores, by their names.

use std::io::Read;
use std::sync::Arc;

use gantry_image::{File, ImageStore};
use gantry_types::Digest;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;

use super::pieces::PIECE;
use crate::reading::Reading;
use crate::session::{Exchange, Session};
use crate::status::{Code, Status};
use crate::wire::Message;

const WRITE: &str = "/containerd.services.content.v1.Content/Write";
const READ: &str = "/containerd.services.content.v1.Content/Read";

/// What a message of a writer is to do.
const STAT: u64 = 0;
const APPEND: u64 = 1;
const COMMIT: u64 = 2;

/// One of a client's stores. Its calls are made on threads that wait.
pub(crate) struct Content<'c> {
    session: &'c Arc<Session>,
    runtime: &'c Handle,
    name: &'c str,
}

impl<'c> Content<'c> {
    pub(crate) fn new(session: &'c Arc<Session>, runtime: &'c Handle, name: &'c str) -> Self {
        Self {
            session,
            runtime,
            name,
        }
    }

    fn call(&self, method: &str) -> Result<Exchange, Status> {
        if !self.session.offers(method) {
            let text = format!("method {method} not supported by the client");
            return Err(Status::invalid(text));
        }
        let mut metadata = HeaderMap::new();
        let name = HeaderValue::try_from(self.name);
        let name = name.map_err(|_| Status::invalid("a store whose name is none"))?;
        metadata.insert("buildkit-attachable-store-id", name);
        self.runtime.block_on(self.session.call(method, metadata))
    }

    /// Gives the client a file, unless it has it.
    ///
    /// # Errors
    /// Those of the session, and when the file is gone.
    pub(crate) fn put(&self, store: &ImageStore, file: &File<'_>) -> Result<(), Status> {
        let gone = |error: gantry_image::Error| Status::of(error.kind(), error.to_string());
        match file {
            File::Document(digest, bytes) => self.write(*digest, bytes.len() as u64, &mut &**bytes),
            File::Layer(digest, size) => {
                let mut blob = store.open_blob(*digest).map_err(gone)?;
                self.write(*digest, *size, &mut blob)
            }
        }
    }

    /// Gives the client a blob, unless it has it.
    ///
    /// # Errors
    /// Those of the session, and when the blob cannot be read.
    pub(crate) fn write(
        &self,
        digest: Digest,
        size: u64,
        from: &mut dyn Read,
    ) -> Result<(), Status> {
        let written = self.write_anew(digest, size, from);
        match written {
            Err(status) if status.code == Code::AlreadyExists => Ok(()),
            written => written,
        }
    }

    fn write_anew(&self, digest: Digest, size: u64, from: &mut dyn Read) -> Result<(), Status> {
        let mut exchange = self.call(WRITE)?;
        let digest = digest.to_string();
        let head = |action: u64| {
            Message::new()
                .number(1, action)
                .text(2, &digest)
                .number(3, size)
                .text(4, &digest)
        };
        let mut say = |message: Message| -> Result<(), Status> {
            self.runtime.block_on(async {
                exchange.outgoing.send(&message.into_bytes()).await?;
                match exchange.next().await? {
                    Some(_) => Ok(()),
                    None => Err(Status::unknown("the client ended early")),
                }
            })
        };
        say(head(STAT))?;
        let (mut offset, mut buffer) = (0, vec![0; PIECE]);
        loop {
            let count = from.read(&mut buffer);
            let count = count.map_err(|error| Status::unknown(format!("{digest}: {error}")))?;
            if count == 0 {
                break;
            }
            let message = Message::new()
                .number(1, APPEND)
                .text(2, &digest)
                .number(5, offset)
                .bytes(6, &buffer[..count]);
            say(message)?;
            offset += count as u64;
        }
        say(head(COMMIT).number(5, offset))?;
        exchange.outgoing.end();
        self.runtime.block_on(async {
            while exchange.next().await?.is_some() {}
            Ok(())
        })
    }

    /// A blob of the client. What comes is not checked here.
    ///
    /// # Errors
    /// When the session is gone.
    pub(crate) fn read(&self, digest: Digest) -> Result<impl Read + Send + use<>, Status> {
        let mut exchange = self.call(READ)?;
        let question = Message::new().text(1, &digest.to_string()).into_bytes();
        self.runtime.block_on(exchange.outgoing.send(&question))?;
        exchange.outgoing.end();
        Ok(Reading::new(exchange, self.runtime.clone(), 2))
    }
}
