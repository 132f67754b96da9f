//! Long work that tells how it goes: blocking code on a thread of its own, and
//! the answer that carries its messages, one JSON object a line.

use std::thread;

use gantry_api::{ProgressError, ProgressMessage};
use gantry_registry::Cancel;
use gantry_types::ErrorKind;
use http::StatusCode;
use tokio::sync::mpsc;

use crate::body::{Answer, Content, json_line, with_type};
use crate::error::{Failure, Result};

/// Such work needs little more than buffers, which are on the heap.
const STACK: usize = 1 << 20;
/// How many messages may wait for a slow client.
const MESSAGES_IN_FLIGHT: usize = 64;

/// Where work tells how it goes.
pub(crate) struct Progress {
    messages: mpsc::Sender<Result<ProgressMessage>>,
    gone: Cancel,
}

/// Throws its switch when the client's request or answer goes.
struct Listening(Cancel);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Progress {
    /// Tells the client; answers whether it is still there.
    pub(crate) fn tell(&self, message: ProgressMessage) -> bool {
        self.messages.blocking_send(Ok(message)).is_ok()
    }

    /// The switch that is thrown when the client goes.
    pub(crate) fn gone(&self) -> &Cancel {
        &self.gone
    }

    /// Tells the client of a failure with a message, even when it is the first.
    pub(crate) fn fail(&self, error: gantry_engine::Error) -> bool {
        self.tell(in_band(&error.into()))
    }
}

/// Starts `work`, and answers as soon as it has something to say. A failure
/// before the first message has a status code; a later one is one more message.
///
/// # Errors
/// Those of the work before its first message.
pub(crate) async fn answer(
    name: &'static str,
    work: impl FnOnce(&Progress) -> gantry_engine::Result<()> + Send + 'static,
) -> Result<Answer> {
    let (sender, mut messages) = mpsc::channel(MESSAGES_IN_FLIGHT);
    let listening = Listening(Cancel::new());
    let progress = Progress {
        messages: sender,
        gone: listening.0.clone(),
    };
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || {
            if let Err(error) = work(&progress) {
                // The client is gone: the work was for nobody.
                let _ = progress.messages.blocking_send(Err(error.into()));
            }
        })
        .map_err(|error| Failure::new(ErrorKind::Unavailable, format!("{name}: {error}")))?;
    let first = messages.recv().await.transpose()?;
    let (pieces, content) = Content::pieces();
    tokio::spawn(async move {
        let _listening = listening;
        let mut next = first.map(Ok);
        while let Some(message) = next {
            let line = match message {
                Ok(message) => json_line(&message),
                Err(failure) => json_line(&in_band(&failure)),
            };
            let Ok(mut line) = line else {
                return;
            };
            // Docker ends these lines as a network protocol would.
            line.insert(line.len() - 1, b'\r');
            if pieces.send(line.into()).await.is_err() {
                return;
            }
            next = tokio::select! {
                next = messages.recv() => next,
                () = pieces.closed() => return,
            };
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", content))
}

/// A failure as a message.
fn in_band(failure: &Failure) -> ProgressMessage {
    ProgressMessage {
        error: failure.message.clone(),
        error_detail: Some(ProgressError {
            code: 0,
            message: failure.message.clone(),
        }),
        ..ProgressMessage::default()
    }
}
