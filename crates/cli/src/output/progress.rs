//! The progress messages of pull, load and import, drawn on a terminal and
//! plain elsewhere.

use gantry_api::ProgressMessage;

use super::human;
use super::printer::Printer;
use crate::error::Error;

/// Draws messages as they arrive; one line per id on a terminal.
pub(crate) struct Progress {
    printer: Printer,
    terminal: bool,
    to_stderr: bool,
    quiet: bool,
    ids: Vec<String>,
    pending: Vec<u8>,
}

impl Progress {
    /// Draws on standard output, or on standard error.
    pub(crate) fn new(printer: Printer, to_stderr: bool, quiet: bool) -> Self {
        let terminal = if to_stderr {
            std::io::IsTerminal::is_terminal(&std::io::stderr())
        } else {
            printer.is_terminal()
        };
        Self {
            printer,
            terminal,
            to_stderr,
            quiet,
            ids: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Takes bytes of the stream: whole JSON values are drawn, the rest waits.
    ///
    /// Fails with the message of an error that the daemon put in the stream.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut values =
            serde_json::Deserializer::from_slice(&pending).into_iter::<ProgressMessage>();
        let mut done = 0;
        let mut outcome = Ok(());
        for value in values.by_ref() {
            match value {
                Ok(message) => outcome = self.draw(&message),
                Err(error) if error.is_eof() => break,
                Err(error) => {
                    outcome = Err(Error::message(format!("invalid progress message: {error}")));
                }
            }
            if outcome.is_err() {
                break;
            }
        }
        done += values.byte_offset();
        self.pending.extend_from_slice(&pending[done..]);
        outcome
    }

    fn put(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.to_stderr {
            self.printer.error_bytes(text.as_bytes());
        } else {
            self.printer.out(text);
        }
    }

    fn draw(&mut self, message: &ProgressMessage) -> Result<(), Error> {
        if let Some(detail) = &message.error_detail {
            return Err(Error::message(detail.message.clone()));
        }
        if !message.error.is_empty() {
            return Err(Error::message(message.error.clone()));
        }
        if !message.stream.is_empty() {
            self.put(&message.stream);
            return Ok(());
        }
        if message.status.is_empty() {
            return Ok(());
        }
        let figures = message
            .progress_detail
            .as_ref()
            .filter(|detail| detail.total > 0 || detail.current > 0)
            .map(|detail| (detail.current, detail.total));
        if !self.terminal {
            if figures.is_none() {
                let id = match message.id.as_str() {
                    "" => String::new(),
                    id => format!("{id}: "),
                };
                self.put(&format!("{id}{}\n", message.status));
            }
            return Ok(());
        }
        if message.id.is_empty() {
            self.put(&format!("{}\n", message.status));
            self.ids.clear();
            return Ok(());
        }
        let line = match self.ids.iter().position(|id| *id == message.id) {
            Some(line) => line,
            None => {
                self.ids.push(message.id.clone());
                self.put("\n");
                self.ids.len() - 1
            }
        };
        let up = self.ids.len() - line;
        let head = format!("{}: {} ", message.id, message.status);
        // A line that folds would put every other one in the wrong place.
        let width = columns(self.to_stderr);
        let bar = figures.map_or_else(String::new, |(current, total)| {
            bar(
                current,
                total,
                width.saturating_sub(head.chars().count() + 1),
            )
        });
        let text: String = (head + &bar).chars().take(width).collect();
        self.put(&format!("\x1b[{up}A\r\x1b[2K{text}\r\x1b[{up}B"));
        Ok(())
    }
}

/// The width of the terminal that is drawn on.
fn columns(on_stderr: bool) -> usize {
    let size = match on_stderr {
        true => rustix::termios::tcgetwinsize(std::io::stderr()),
        false => rustix::termios::tcgetwinsize(std::io::stdout()),
    };
    match size {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// `[=====>    ]  1.2MB/3.4MB` in at most `width` columns; without the brackets
/// where they would be too short to tell anything.
fn bar(current: i64, total: i64, width: usize) -> String {
    let shown = human::size(current.max(0), 4);
    if total <= 0 || current > total {
        return shown;
    }
    let numbers = format!("{shown}/{}", human::size(total, 4));
    let room = width.saturating_sub(numbers.len() + 4).min(50);
    if room < 10 {
        return numbers;
    }
    let filled = (current.max(0) as f64 / total as f64 * room as f64) as usize;
    let head = if filled < room { ">" } else { "" };
    let blank = room.saturating_sub(filled + head.len());
    format!(
        "[{}{head}{}]  {numbers}",
        "=".repeat(filled),
        " ".repeat(blank),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(0, 0, 100), "0B");
        assert_eq!(
            bar(50, 100, 100),
            format!("[{}>{}]  50B/100B", "=".repeat(25), " ".repeat(24))
        );
        assert_eq!(
            bar(100, 100, 100),
            format!("[{}]  100B/100B", "=".repeat(50))
        );
    }

    #[test]
    fn bars_fit() {
        assert_eq!(bar(5, 10, 25), "[=======>       ]  5B/10B");
        assert_eq!(bar(5, 10, 15), "5B/10B");
        for width in 20..120 {
            assert!(bar(999_999, 1_000_000_000, width).chars().count() <= width);
        }
    }

    #[test]
    fn errors_end_the_stream() {
        let mut progress = Progress::new(Printer, false, true);
        assert!(progress.feed(b"{\"status\":\"a\"}\r\n{\"sta").is_ok());
        assert!(progress.feed(b"tus\":\"b\"}\n").is_ok());
        let error = progress
            .feed(b"{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\n")
            .unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
