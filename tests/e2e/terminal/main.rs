//! `gantry-e2e-terminal ROWSxCOLS [STEP…] -- COMMAND…`: runs COMMAND on a
//! terminal of that size, does the steps in order, and prints all that the
//! terminal showed. Its exit code is the command's, or 99 when a step failed.
//!
//! Steps: `expect:TEXT` waits for TEXT in what came after the last one,
//! `send:TEXT` types (`\r`, `\n`, `\xHH` are understood), `size:RxC` resizes,
//! `until:SHELL` waits until a shell command succeeds, and `do:SHELL` runs one.
//!
//! It knows nothing of containers.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing better can be done when standard error is closed.
            let _ = writeln!(std::io::stderr(), "terminal: {error}");
            ExitCode::from(99)
        }
    }
}

fn run() -> Result<u8> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let end = args
        .iter()
        .position(|arg| arg == "--")
        .ok_or("no -- before the command")?;
    let (steps, command) = (&args[..end], &args[end + 1..]);
    let (size, steps) = steps.split_first().ok_or("no size of the terminal")?;
    let mut terminal = Terminal::open(parse_size(size)?)?;
    let mut child = terminal.spawn(command)?;
    for step in steps {
        if let Err(error) = terminal.step(step) {
            // The command may be gone already: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            terminal.print()?;
            return Err(format!("{step}: {error}").into());
        }
    }
    let code = terminal.finish(&mut child);
    terminal.print()?;
    code
}

fn parse_size(text: &str) -> Result<Winsize> {
    let (rows, columns) = text.split_once('x').ok_or("a size is ROWSxCOLS")?;
    Ok(Winsize {
        ws_row: rows.parse()?,
        ws_col: columns.parse()?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}

/// The master side of a pseudo terminal, and what it showed.
struct Terminal {
    master: std::fs::File,
    chunks: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// Up to where `expect` has looked.
    seen: usize,
    slave: Option<OwnedFd>,
}

impl Terminal {
    fn open(size: Winsize) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        tcsetwinsize(&master, size)?;
        let master = std::fs::File::from(master);
        let mut reader = master.try_clone()?;
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails with EIO when the last slave is closed.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            master,
            chunks,
            shown: Vec::new(),
            seen: 0,
            slave: Some(slave),
        })
    }

    /// Starts `command` in a session of its own, whose controlling terminal this is.
    fn spawn(&mut self, command: &[String]) -> Result<Child> {
        let slave = self.slave.take().ok_or("one command for each terminal")?;
        Ok(Command::new("setsid")
            .arg("--ctty")
            .args(command)
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave))
            .spawn()?)
    }

    fn step(&mut self, step: &str) -> Result<()> {
        let (verb, rest) = step.split_once(':').ok_or("a step is VERB:TEXT")?;
        match verb {
            "expect" => self.expect(rest.as_bytes()),
            "send" => Ok(self.master.write_all(&unescape(rest)?)?),
            "size" => Ok(tcsetwinsize(&self.master, parse_size(rest)?)?),
            "until" => until(rest),
            "do" => shell(rest)?.then_some(()).ok_or_else(|| "failed".into()),
            _ => Err("unknown step".into()),
        }
    }

    fn expect(&mut self, text: &[u8]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fresh = &self.shown[self.seen..];
            if let Some(at) = fresh.windows(text.len()).position(|window| window == text) {
                self.seen += at + text.len();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.shown.extend(chunk),
                Err(RecvTimeoutError::Timeout) => return Err("it does not come".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("the terminal is closed".into()),
            }
        }
    }

    /// Reads to the end, and gives the command's exit code.
    fn finish(&mut self, child: &mut Child) -> Result<u8> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.shown.extend(chunk),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    child.kill()?;
                    child.wait()?;
                    return Err("the command does not end".into());
                }
            }
        }
        let status = child.wait()?;
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        Ok(u8::try_from(code.unwrap_or(99))?)
    }

    fn print(&self) -> Result<()> {
        Ok(std::io::stdout().write_all(&self.shown)?)
    }
}

fn until(text: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !shell(text)? {
        if Instant::now() > deadline {
            return Err("it never succeeds".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether a shell command succeeds; its output is not shown.
fn shell(text: &str) -> Result<bool> {
    let mut command = Command::new("sh");
    command.args(["-c", text]).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status?.success())
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        let (byte, used) = match after.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => {
                let digits = after.get(1..3).ok_or("two digits after \\x")?;
                (u8::from_str_radix(digits, 16)?, 3)
            }
            _ => return Err("an escape is \\r, \\n, \\\\ or \\xHH".into()),
        };
        bytes.push(byte);
        rest = &after[used..];
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}
