//! The driver against a systemd that is played by this test, on a socket of its
//! own: it takes every message apart by the D-Bus specification, byte for byte.
//! The cgroups are this machine's. Needs root.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]
#![allow(clippy::print_stderr, reason = "skips are seen")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use gantry_cgroup::{Cgroup, Hierarchy, Memory, Resources, Scope};

/// A call as it came.
#[derive(Debug)]
struct Call {
    serial: u32,
    destination: String,
    path: String,
    interface: String,
    member: String,
    signature: String,
    body: Vec<u8>,
}

/// Bytes that are read strictly: what lies between values must be zero.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn align(&mut self, to: usize) {
        while !self.at.is_multiple_of(to) {
            assert_eq!(self.bytes[self.at], 0, "padding at {}", self.at);
            self.at += 1;
        }
    }

    fn u8(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    fn u32(&mut self) -> u32 {
        self.align(4);
        self.at += 4;
        u32::from_le_bytes(self.bytes[self.at - 4..self.at].try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        self.align(8);
        self.at += 8;
        u64::from_le_bytes(self.bytes[self.at - 8..self.at].try_into().unwrap())
    }

    fn sized(&mut self, length: usize) -> String {
        let text = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap();
        self.at += length;
        assert_eq!(self.u8(), 0, "a text ends with a zero");
        assert!(!text.contains('\0'));
        text.to_owned()
    }

    fn text(&mut self) -> String {
        let length = self.u32() as usize;
        self.sized(length)
    }

    fn signature(&mut self) -> String {
        let length = self.u8() as usize;
        self.sized(length)
    }

    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An array `a(sv)`, each value as text.
    fn properties(&mut self) -> Vec<(String, String)> {
        let length = self.u32() as usize;
        self.align(8);
        let end = self.at + length;
        let mut found = Vec::new();
        while self.at < end {
            self.align(8);
            let name = self.text();
            let value = match self.signature().as_str() {
                "s" => self.text(),
                "b" => match self.u32() {
                    0 => "false".to_owned(),
                    1 => "true".to_owned(),
                    other => panic!("{other} is no boolean"),
                },
                "t" => self.u64().to_string(),
                "au" => {
                    let count = self.u32() / 4;
                    let pids: Vec<String> = (0..count).map(|_| self.u32().to_string()).collect();
                    pids.join(",")
                }
                other => panic!("a property of type {other}"),
            };
            found.push((name, value));
        }
        assert_eq!(self.at, end, "the length of an array");
        found
    }
}

fn read_call(stream: &mut impl Read) -> Option<Call> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).ok()?;
    assert_eq!(
        (head[0], head[1], head[2], head[3]),
        (b'l', 1, 0, 1),
        "a call that wants an answer"
    );
    let mut numbers = Bytes::new(&head);
    numbers.at = 4;
    let (length, serial, fields) = (numbers.u32(), numbers.u32(), numbers.u32());
    assert_ne!(serial, 0);
    let mut rest = vec![0; fields.next_multiple_of(8) as usize + length as usize];
    stream.read_exact(&mut rest).unwrap();
    let mut bytes = Bytes::new(&rest);
    let mut call = Call {
        serial,
        destination: String::new(),
        path: String::new(),
        interface: String::new(),
        member: String::new(),
        signature: String::new(),
        body: Vec::new(),
    };
    while bytes.at < fields as usize {
        bytes.align(8);
        match (bytes.u8(), bytes.signature().as_str()) {
            (1, "o") => call.path = bytes.text(),
            (2, "s") => call.interface = bytes.text(),
            (3, "s") => call.member = bytes.text(),
            (6, "s") => call.destination = bytes.text(),
            (8, "g") => call.signature = bytes.signature(),
            other => panic!("a field {other:?}"),
        }
    }
    assert_eq!(bytes.at, fields as usize);
    bytes.align(8);
    call.body = rest[bytes.at..].to_vec();
    assert_eq!(call.body.len(), length as usize);
    Some(call)
}

/// A message of systemd's, with fields that a client need not know.
fn message(kind: u8, serial: u32, fields: &[(u8, &str, &str)], body: &[u8]) -> Vec<u8> {
    fn align(bytes: &mut Vec<u8>, to: usize) {
        bytes.resize(bytes.len().next_multiple_of(to), 0);
    }
    let mut bytes = vec![b'l', kind, 1, 1];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    bytes.extend([0; 4]);
    for (code, signature, text) in fields {
        align(&mut bytes, 8);
        bytes.extend([*code, 1]);
        bytes.extend(signature.as_bytes());
        bytes.push(0);
        match *signature {
            "u" => {
                align(&mut bytes, 4);
                bytes.extend(text.parse::<u32>().unwrap().to_le_bytes());
            }
            "g" => {
                bytes.push(text.len() as u8);
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
            _ => {
                align(&mut bytes, 4);
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
        }
    }
    let length = (bytes.len() - 16) as u32;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    align(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

fn body(number: Option<u32>, texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(number.into_iter().flat_map(u32::to_le_bytes));
    for text in texts {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

const JOB: &str = "/org/freedesktop/systemd1/job/77";

/// What the played systemd does with a wish for a unit.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Willing,
    /// The end of the job is told before the answer to the call.
    Hasty,
    Failing,
    Refusing,
}

fn serve(stream: UnixStream, mood: Mood, told: &std::sync::mpsc::Sender<Call>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).unwrap();
    let uid = rustix::process::geteuid().as_raw().to_string();
    let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(line, format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes());
    stream
        .get_mut()
        .write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")
        .unwrap();
    line.clear();
    stream.read_until(b'\n', &mut line).unwrap();
    assert_eq!(line, b"BEGIN\r\n");
    while let Some(call) = read_call(&mut stream) {
        let to = call.serial.to_string();
        let reply = |fields: &[(u8, &str, &str)], body: &[u8]| {
            let mut all = vec![(5, "u", to.as_str()), (7, "s", ":1.1")];
            all.extend(fields);
            message(2, 9, &all, body)
        };
        let signal = |job: &str, result: &str| {
            let fields = [
                (1, "o", "/org/freedesktop/systemd1"),
                (2, "s", "org.freedesktop.systemd1.Manager"),
                (3, "s", "JobRemoved"),
                (8, "g", "uoss"),
            ];
            message(4, 10, &fields, &body(Some(77), &[job, "x.scope", result]))
        };
        let bytes = match (call.member.as_str(), mood) {
            ("Hello", _) => reply(&[(8, "g", "s")], &body(None, &[":1.5"])),
            ("StartTransientUnit", Mood::Refusing) => {
                let fields = [
                    (4, "s", "org.freedesktop.DBus.Error.AccessDenied"),
                    (5, "u", to.as_str()),
                    (8, "g", "s"),
                ];
                message(3, 9, &fields, &body(None, &["Access denied by the test"]))
            }
            ("StartTransientUnit", mood) => {
                let answer = reply(&[(8, "g", "o")], &body(None, &[JOB]));
                let other = signal("/org/freedesktop/systemd1/job/1", "failed");
                let end = signal(
                    JOB,
                    if mood == Mood::Failing {
                        "failed"
                    } else {
                        "done"
                    },
                );
                match mood {
                    Mood::Hasty => [other, end, answer].concat(),
                    _ => [answer, other, end].concat(),
                }
            }
            _ => reply(&[], &[]),
        };
        // In two pieces, as a socket may deliver them.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        stream.get_mut().write_all(first).unwrap();
        stream.get_mut().write_all(second).unwrap();
        let _ = told.send(call);
    }
}

struct Played {
    dir: PathBuf,
    calls: Receiver<Call>,
}

impl Played {
    fn new(name: &str, mood: Mood) -> Self {
        let dir =
            std::env::temp_dir().join(format!("gantry-systemd-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let listener = UnixListener::bind(dir.join("bus")).unwrap();
        let (sender, calls) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), mood, &sender);
            }
        });
        Self { dir, calls }
    }

    fn scope(&self, slice: &str) -> Scope {
        let scope = Scope::new(slice, "test", "0123").unwrap();
        scope.on_bus(self.dir.join("bus"))
    }

    fn next(&self, member: &str) -> Call {
        let call = self.calls.recv().unwrap();
        assert_eq!(call.member, member, "{call:?}");
        call
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn sleeper() -> Child {
    Command::new("/bin/sleep").arg("100").spawn().unwrap()
}

fn possible() -> bool {
    let possible = rustix::process::geteuid().is_root() && Hierarchy::current().is_ok();
    if !possible {
        eprintln!("SKIPPED: needs root and a cgroup file system");
    }
    possible
}

fn remove_slice(slice: &str) {
    if let Ok(group) = Cgroup::open(&format!("/{slice}")) {
        group.remove().unwrap();
    }
}

fn resources(limit: i64) -> Resources {
    Resources {
        memory: Memory {
            limit: Some(limit),
            ..Memory::default()
        },
        pids: Some(10),
        ..Resources::default()
    }
}

#[test]
fn a_scope_lives_and_ends() {
    if !possible() {
        return;
    }
    for (name, mood) in [("willing", Mood::Willing), ("hasty", Mood::Hasty)] {
        let played = Played::new(name, mood);
        let slice = format!("gantrytest{}{name}.slice", std::process::id());
        let scope = played.scope(&slice);
        let mut child = sleeper();
        let group = scope.start(child.id(), &resources(64 << 20)).unwrap();
        for member in ["Hello", "AddMatch", "Subscribe"] {
            played.next(member);
        }
        check_start(&played.next("StartTransientUnit"), &slice, child.id());
        assert_eq!(group.path(), format!("/{slice}/test-0123.scope"));
        assert_eq!(group.pids().unwrap(), [child.id()]);
        let stats = group.stats();
        assert_eq!((stats.memory.limit, stats.pids.limit), (64 << 20, 10));

        let again = Cgroup::open_scope(scope.clone()).unwrap();
        again.update(&resources(32 << 20)).unwrap();
        for member in ["Hello", "AddMatch", "Subscribe"] {
            played.next(member);
        }
        let update = played.next("SetUnitProperties");
        assert_eq!(update.signature, "sba(sv)");
        let mut bytes = Bytes::new(&update.body);
        assert_eq!((bytes.text().as_str(), bytes.u32()), ("test-0123.scope", 1));
        assert_eq!(bytes.properties()[0].1, (32 << 20).to_string());
        assert!(bytes.is_at_end());
        assert_eq!(group.stats().memory.limit, 32 << 20);

        group.kill_all().unwrap();
        child.wait().unwrap();
        group.remove().unwrap();
        for member in ["Hello", "AddMatch", "Subscribe"] {
            played.next(member);
        }
        let stop = played.next("StopUnit");
        assert_eq!(stop.signature, "ss");
        let mut bytes = Bytes::new(&stop.body);
        let words = (bytes.text(), bytes.text());
        assert_eq!(
            (words.0.as_str(), words.1.as_str()),
            ("test-0123.scope", "replace")
        );
        assert!(group.is_gone());
        remove_slice(&slice);
    }
}

fn check_start(call: &Call, slice: &str, pid: u32) {
    assert_eq!(call.destination, "org.freedesktop.systemd1");
    assert_eq!(call.path, "/org/freedesktop/systemd1");
    assert_eq!(call.interface, "org.freedesktop.systemd1.Manager");
    assert_eq!(call.signature, "ssa(sv)a(sa(sv))");
    let mut bytes = Bytes::new(&call.body);
    assert_eq!(bytes.text(), "test-0123.scope");
    assert_eq!(bytes.text(), "replace");
    let properties = bytes.properties();
    let value = |name: &str| {
        let mut found = properties.iter().filter(|(property, _)| property == name);
        let value = found.next().map(|(_, value)| value.clone());
        assert!(found.next().is_none(), "{name} twice");
        value.unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(value("Slice"), slice);
    assert_eq!(value("PIDs"), pid.to_string());
    for on in [
        "Delegate",
        "MemoryAccounting",
        "CPUAccounting",
        "TasksAccounting",
    ] {
        assert_eq!(value(on), "true");
    }
    assert_eq!(value("DefaultDependencies"), "false");
    assert_eq!(value("TasksMax"), "10");
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let memory = if unified { "MemoryMax" } else { "MemoryLimit" };
    assert_eq!(value(memory), (64 << 20).to_string());
    // No further units.
    assert_eq!(bytes.u32(), 0);
    bytes.align(8);
    assert!(bytes.is_at_end());
}

#[test]
fn refusals_are_told_and_nothing_is_made() {
    if !possible() {
        return;
    }
    for (name, mood, words) in [
        ("refusing", Mood::Refusing, "Access denied by the test"),
        ("failing", Mood::Failing, "failed"),
    ] {
        let played = Played::new(name, mood);
        let slice = format!("gantrytest{}{name}.slice", std::process::id());
        let scope = played.scope(&slice);
        let mut child = sleeper();
        let error = scope.start(child.id(), &resources(64 << 20)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("systemd: StartTransientUnit test-0123.scope: {words}")
        );
        assert!(Cgroup::open(&format!("/{slice}")).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_bus_that_is_not_there_is_said() {
    let scope = Scope::new("a.slice", "b", "c").unwrap();
    let scope = scope.on_bus(PathBuf::from("/nonexistent/bus"));
    let error = scope.start(1, &Resources::default());
    if Hierarchy::current().is_ok() {
        assert!(error.unwrap_err().to_string().contains("No such file"));
    }
}
