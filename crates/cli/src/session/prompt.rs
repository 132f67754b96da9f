//! Questions to the user, answered by a line on the terminal.

use std::io::{BufRead, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::output::printer::Printer;

/// What Ctrl-C at a question ends with, as in a shell.
const INTERRUPTED: i32 = 130;

/// The terminal without echo; dropping it restores what was.
struct Silent {
    before: Termios,
}

impl Silent {
    fn enter() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent).ok()?;
        Some(Self { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// Asks for a line.
///
/// # Errors
/// When the user would rather not answer.
pub(crate) async fn line(printer: Printer, question: &str) -> Result<String, Error> {
    printer.out(question);
    read(printer).await
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// When the user would rather not answer, or the terminal cannot be kept silent.
pub(crate) async fn secret(printer: Printer, question: &str) -> Result<String, Error> {
    let Some(silent) = Silent::enter() else {
        return Err(Error::message("cannot switch off the terminal's echo"));
    };
    printer.out(question);
    let answer = read(printer).await;
    drop(silent);
    if answer.is_ok() {
        printer.out("\n");
    }
    answer
}

/// Reads a line on a thread of its own, so that Ctrl-C is noticed meanwhile and
/// the terminal gets its echo back.
async fn read(printer: Printer) -> Result<String, Error> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdin().lock().read_line(&mut text);
        // Nobody waits any more after Ctrl-C.
        let _ = sender.send(read.map(|_| text));
    });
    tokio::select! {
        answer = receiver => match answer {
            Ok(Ok(text)) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Ok(Err(error)) => Err(Error::message(format!("reading the answer: {error}"))),
            Err(_) => Err(Error::message("reading the answer failed")),
        },
        _ = tokio::signal::ctrl_c() => {
            printer.error_line("");
            Err(Error::Status { message: String::new(), code: INTERRUPTED })
        }
    }
}
