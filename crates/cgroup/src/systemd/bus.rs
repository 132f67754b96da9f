//! A connection to systemd: its own socket, which root can use, or the system
//! bus. Blocking, with a limit of time; one call after the other.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::wire::{Call, FIXED, Kind, Message, Writer};

/// systemd's own socket.
const PRIVATE: &str = "/run/systemd/private";
/// The system bus.
const SYSTEM: &str = "/run/dbus/system_bus_socket";
/// Where else the bus may be, as all its clients have it.
const ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// How long systemd may take to answer, and for a job.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest line while a connection is made.
const LONGEST_LINE: usize = 1024;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const OBJECT: &str = "/org/freedesktop/systemd1";

/// Where systemd is reached: the bus that the environment names, else `None`,
/// the usual places.
pub(super) fn from_environment() -> Option<PathBuf> {
    let address = std::env::var(ADDRESS).ok()?;
    let paths = address.split(';').filter_map(|one| {
        let options = one.strip_prefix("unix:")?.split(',');
        options
            .filter_map(|option| option.strip_prefix("path="))
            .next()
    });
    paths.map(PathBuf::from).next()
}

/// What systemd answered instead of success.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection, or the other side's manners.
    Io(io::Error),
    /// A name such as `org.freedesktop.systemd1.UnitExists`, and words.
    Refused(String, String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection.
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Jobs that have ended while something else was waited for: path and result.
    ended: Vec<(String, String)>,
    deadline: Instant,
}

impl Bus {
    /// Connects to the bus at `path`, or else where systemd is.
    pub(super) fn connect(path: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = path {
            return Self::on_bus(UnixStream::connect(path)?);
        }
        match UnixStream::connect(PRIVATE) {
            Ok(stream) => Self::authenticated(stream),
            Err(_) => Self::on_bus(UnixStream::connect(SYSTEM)?),
        }
    }

    /// Introduces itself to a bus, which has others on it, and asks to be told
    /// when jobs end; on systemd's own socket everybody is.
    fn on_bus(stream: UnixStream) -> Result<Self, Failure> {
        let mut bus = Self::authenticated(stream)?;
        let daemon = |member, signature, body| Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
            signature,
            body,
        };
        bus.call(&daemon("Hello", "", Vec::new()))?;
        let mut rule = Writer::default();
        rule.text(&format!(
            "type='signal',interface='{MANAGER}',member='JobRemoved'"
        ));
        bus.call(&daemon("AddMatch", "s", rule.into_bytes()))?;
        bus.manager("Subscribe", "", Vec::new())?;
        Ok(bus)
    }

    fn authenticated(mut stream: UnixStream) -> Result<Self, Failure> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let answer = line(&mut stream)?;
        if !answer.starts_with("OK ") {
            let text = format!("D-Bus refuses this user: {answer}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text).into());
        }
        stream.write_all(b"BEGIN\r\n")?;
        Ok(Self {
            stream,
            serial: 0,
            ended: Vec::new(),
            deadline: Instant::now() + PATIENCE,
        })
    }

    /// Calls a method of systemd's manager.
    pub(super) fn manager(
        &mut self,
        member: &str,
        signature: &str,
        body: Vec<u8>,
    ) -> Result<Message, Failure> {
        self.call(&Call {
            destination: SYSTEMD,
            path: OBJECT,
            interface: MANAGER,
            member,
            signature,
            body,
        })
    }

    /// Waits until a job has ended; the answer is its result, `done` if all went well.
    pub(super) fn wait_for(&mut self, job: &str) -> Result<String, Failure> {
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(path, _)| path == job) {
                return Ok(result.clone());
            }
            let message = self.receive()?;
            self.note(&message)?;
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Result<Message, Failure> {
        self.serial += 1;
        self.stream.write_all(&call.message(self.serial))?;
        loop {
            let message = self.receive()?;
            self.note(&message)?;
            match message.kind {
                Kind::Return if message.reply_to == self.serial => return Ok(message),
                Kind::Error if message.reply_to == self.serial => {
                    let words = match message.signature.starts_with('s') {
                        true => message.body().text()?,
                        false => String::new(),
                    };
                    return Err(Failure::Refused(message.error, words));
                }
                _ => {}
            }
        }
    }

    /// Remembers the end of a job.
    fn note(&mut self, message: &Message) -> io::Result<()> {
        if (message.kind, message.member.as_str()) != (Kind::Signal, "JobRemoved")
            || message.signature != "uoss"
        {
            return Ok(());
        }
        let mut body = message.body();
        body.u32()?;
        let (job, _unit, result) = (body.text()?, body.text()?, body.text()?);
        self.ended.push((job, result));
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Message> {
        // A busy bus tells of others' jobs all the time.
        if Instant::now() > self.deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "systemd does not answer",
            ));
        }
        let mut start = [0; FIXED];
        self.stream.read_exact(&mut start)?;
        let mut message = vec![0; Message::length(&start)?.max(FIXED)];
        message[..FIXED].copy_from_slice(&start);
        self.stream.read_exact(&mut message[FIXED..])?;
        Message::parse(&message)
    }
}

/// A line without its end.
fn line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") && line.len() < LONGEST_LINE {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
