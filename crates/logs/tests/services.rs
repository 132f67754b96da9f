//! What services receive: each is played by a listener that reads its protocol
//! by itself, and by nothing of ours.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use flate2::read::{GzDecoder, ZlibDecoder};
use gantry_logs::speak::{Service, Speaker};
use gantry_logs::{Driver, Options, Settings, Stream, Subject, Writer};
use serde_json::Value;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn settings(driver: Driver, dir: &Path, options: &[(&str, &str)]) -> Settings {
    let options: Options = options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let env = ["A=1".to_owned()];
    let subject = Subject {
        id: ID,
        name: "/web",
        program: "sh",
        image_id: "sha256:1",
        image_name: "app",
        created: "2026-01-01T00:00:00Z",
        labels: BTreeMap::from([("com.team".to_owned(), "red\nblue".to_owned())]),
        env: &env,
        hostname: "host".to_owned(),
        ..Subject::default()
    };
    Settings::from_options(driver, &options, dir, &subject).unwrap()
}

/// Tells the service what a container writes.
fn tell(settings: &Settings, speaker: &mut Speaker, output: &[(Stream, &[u8])]) {
    let mut writer = Writer::open(settings.clone()).unwrap();
    for (stream, bytes) in output {
        writer.write(*stream, bytes).unwrap();
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        writer.finish(stream).unwrap();
    }
    let records = writer.untold().unwrap();
    assert_eq!(speaker.tell(records), records.len());
}

fn speak(settings: &Settings, output: &[(Stream, &[u8])]) {
    let mut speaker = Speaker::new(settings).unwrap();
    speaker.connect().unwrap();
    tell(settings, &mut speaker, output);
    speaker.finish();
}

const OUT: Stream = Stream::Stdout;
const ERR: Stream = Stream::Stderr;

fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut space = vec![0; 1 << 16];
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let count = socket.recv(&mut space).unwrap();
    space.truncate(count);
    space
}

/// A message of RFC 5424: priority, header fields and text.
fn rfc5424(message: &str) -> (u8, Vec<&str>, &str) {
    let (priority, rest) = message.strip_prefix('<').unwrap().split_once('>').unwrap();
    let parts: Vec<&str> = rest.splitn(8, ' ').collect();
    assert_eq!(parts[0], "1");
    assert_eq!(parts[6], "-");
    (priority.parse().unwrap(), parts[1..6].to_vec(), parts[7])
}

#[test]
fn syslog_hears_messages_of_rfc_5424_over_udp() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    let settings = settings(
        Driver::Syslog,
        dir.path(),
        &[
            ("syslog-address", &address),
            ("syslog-format", "rfc5424micro"),
            ("syslog-facility", "local3"),
            ("tag", "{{.Name}}"),
        ],
    );
    let output: [(Stream, &[u8]); 2] = [(OUT, b"one\n\ntwo"), (ERR, b"bad\n")];
    speak(&settings, &output);
    for (severity, text) in [(6, "one\n"), (3, "bad\n"), (6, "two\n")] {
        let message = String::from_utf8(received(&socket)).unwrap();
        let (priority, header, content) = rfc5424(&message);
        assert_eq!((priority, content), (19 << 3 | severity, text), "{message}");
        assert_eq!(
            header[0].len(),
            "2026-01-01T00:00:00.000000Z".len().max(header[0].len())
        );
        assert_eq!(header[1..3], ["host", "web"]);
        assert!(header[3].parse::<u32>().is_ok());
        assert_eq!(header[4], "web");
    }
}

#[test]
fn syslog_over_tcp_comes_back_after_the_service_went_away() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let options = [
        ("syslog-address", address.as_str()),
        ("syslog-format", "rfc3164"),
    ];
    let settings = settings(Driver::Syslog, dir.path(), &options);
    let mut speaker = Speaker::new(&settings).unwrap();
    speaker.connect().unwrap();
    let line = |stream: &mut TcpStream| {
        let (mut text, mut byte) = (Vec::new(), [0]);
        while !text.ends_with(b"\n") {
            stream.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    };
    let (mut first, _) = listener.accept().unwrap();
    tell(&settings, &mut speaker, &[(OUT, b"before\n")]);
    let text = line(&mut first);
    assert!(text.starts_with("<30>") && text.contains(" host 0123456789ab["));
    assert!(text.ends_with("]: before\n"), "{text}");
    drop(first);
    tell(&settings, &mut speaker, &[(OUT, b"after\n")]);
    let (mut second, _) = listener.accept().unwrap();
    assert!(line(&mut second).ends_with("]: after\n"));
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refused = format!("dial tcp {address}: connect: connection refused");
    let gelf = format!("gelf: cannot connect to GELF endpoint: {address} {refused}");
    let tcp = format!("tcp://{address}");
    for (driver, options, words) in [
        (
            Driver::Syslog,
            &[("syslog-address", tcp.as_str())][..],
            &refused,
        ),
        (
            Driver::Fluentd,
            &[("fluentd-address", address.as_str())],
            &refused,
        ),
        (Driver::Gelf, &[("gelf-address", tcp.as_str())], &gelf),
    ] {
        let settings = settings(driver, dir.path(), options);
        let error = Speaker::new(&settings).unwrap().connect().unwrap_err();
        assert_eq!(&error.to_string(), words);
    }
}

/// The fields of a journal entry.
fn entry(mut bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let line = &bytes[..end];
        bytes = &bytes[end + 1..];
        let (key, value) = match line.iter().position(|b| *b == b'=') {
            Some(at) => (&line[..at], line[at + 1..].to_vec()),
            None => {
                let (length, rest) = bytes.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                let value = rest[..length].to_vec();
                assert_eq!(rest[length], b'\n');
                bytes = &rest[length + 1..];
                (line, value)
            }
        };
        let key = String::from_utf8(key.to_vec()).unwrap();
        assert!(fields.insert(key, value).is_none());
    }
    fields
}

#[test]
fn the_journal_gets_dockers_fields_and_large_entries_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut settings = settings(Driver::Journald, dir.path(), &[("labels", "com.team")]);
    let Some(Service::Journald(journald)) = settings.speaking.as_mut().map(|s| &mut s.to) else {
        panic!("not the journal");
    };
    journald.socket = path;
    // Together more than a datagram may be.
    let huge = "x".repeat(1 << 20);
    journald.fields.push(("HUGE".to_owned(), huge.clone()));
    speak(&settings, &[(ERR, &[b'y'; 20_000])]);
    for (ordinal, length) in [("1", 16384), ("2", 3616)] {
        let mut file = file_of_entry(&socket);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(file.write_all(b"x").is_err(), "not sealed");
        let fields = entry(&bytes);
        let text = |key: &str| String::from_utf8(fields[key].clone()).unwrap();
        assert_eq!(text("MESSAGE").len(), length);
        assert_eq!(text("PRIORITY"), "3");
        assert_eq!(text("CONTAINER_ID"), &ID[..12]);
        assert_eq!(text("CONTAINER_ID_FULL"), ID);
        assert_eq!(text("CONTAINER_NAME"), "web");
        assert_eq!(text("CONTAINER_TAG"), &ID[..12]);
        assert_eq!(text("SYSLOG_IDENTIFIER"), &ID[..12]);
        assert_eq!(text("IMAGE_NAME"), "app");
        assert_eq!(text("COM_TEAM"), "red\nblue");
        assert_eq!(text("CONTAINER_PARTIAL_MESSAGE"), "true");
        assert_eq!(text("CONTAINER_PARTIAL_ORDINAL"), ordinal);
        assert_eq!(text("CONTAINER_PARTIAL_LAST"), "false");
        assert_eq!(text("CONTAINER_LOG_ORDINAL"), ordinal);
        assert_eq!(text("HUGE"), huge);
    }
}

/// The file that comes with an empty datagram.
fn file_of_entry(socket: &UnixDatagram) -> std::fs::File {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [std::io::IoSliceMut::new(&mut byte)];
    let message = recvmsg(socket, &mut buffers, &mut control, RecvFlags::empty()).unwrap();
    assert_eq!(message.bytes, 0);
    let fd = control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .expect("a descriptor");
    // Its offset is where the sender left it.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    std::fs::File::open(path).unwrap()
}

/// A GELF message from its packets.
fn gelf(socket: &UdpSocket) -> (Vec<u8>, usize) {
    let first = received(socket);
    if !first.starts_with(&[0x1e, 0x0f]) {
        return (first, 1);
    }
    let count = usize::from(first[11]);
    let mut chunks: Vec<Vec<u8>> = vec![first];
    while chunks.len() < count {
        chunks.push(received(socket));
    }
    for (number, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk[2..10], chunks[0][2..10], "another message");
        assert_eq!(usize::from(chunk[10]), number);
        assert!(chunk.len() <= 1420);
    }
    (
        chunks.iter().flat_map(|c| c[12..].to_vec()).collect(),
        count,
    )
}

#[test]
fn gelf_is_compressed_and_cut() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    let numbers: String = (0..3000).map(|n| format!("{n} ")).collect();
    for kind in ["gzip", "zlib", "none"] {
        let options = [
            ("gelf-address", address.as_str()),
            ("gelf-compression-type", kind),
            ("env", "A"),
        ];
        let settings = settings(Driver::Gelf, dir.path(), &options);
        speak(&settings, &[(ERR, format!("{numbers}\n").as_bytes())]);
        let (bytes, count) = gelf(&socket);
        assert!(count > 1);
        let mut text = String::new();
        match kind {
            "gzip" => GzDecoder::new(&bytes[..]).read_to_string(&mut text),
            "zlib" => ZlibDecoder::new(&bytes[..]).read_to_string(&mut text),
            _ => (&bytes[..]).read_to_string(&mut text),
        }
        .unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(message["version"], "1.1");
        assert_eq!(message["host"], "host");
        assert_eq!(message["short_message"], numbers.as_str());
        assert_eq!(message["level"], 3);
        assert!(message["timestamp"].as_f64().unwrap() > 1.7e9);
        assert_eq!(message["_container_id"], ID);
        assert_eq!(message["_container_name"], "web");
        assert_eq!(message["_image_name"], "app");
        assert_eq!(message["_image_id"], "sha256:1");
        assert_eq!(message["_command"], "sh");
        assert_eq!(message["_tag"], &ID[..12]);
        assert_eq!(message["_created"], "2026-01-01T00:00:00Z");
        assert_eq!(message["_A"], "1");
    }
}

#[test]
fn gelf_over_tcp_ends_with_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let settings = settings(Driver::Gelf, dir.path(), &[("gelf-address", &address)]);
    speak(&settings, &[(OUT, b"one\n\"two\"\n")]);
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let messages: Vec<Value> = bytes
        .strip_suffix(b"\0")
        .unwrap()
        .split(|b| *b == 0)
        .map(|text| serde_json::from_slice(text).unwrap())
        .collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1]["short_message"], "\"two\"");
}

/// A MessagePack value as JSON; times become `[seconds, nanoseconds]`.
fn unpack(bytes: &mut &[u8]) -> Value {
    let take = |bytes: &mut &[u8], count: usize| {
        let (head, rest) = bytes.split_at(count);
        *bytes = rest;
        head.to_vec()
    };
    let number = |bytes: &mut &[u8], count: usize| {
        take(bytes, count)
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let text = |bytes: &mut &[u8], count: usize| {
        Value::from(String::from_utf8(take(bytes, count)).unwrap())
    };
    match take(bytes, 1)[0] {
        head @ 0x90..=0x9f => (0..head & 15).map(|_| unpack(bytes)).collect(),
        head @ 0x80..=0x8f => {
            let pairs = (0..head & 15).map(|_| {
                let key = unpack(bytes).as_str().unwrap().to_owned();
                (key, unpack(bytes))
            });
            Value::Object(pairs.collect())
        }
        head @ 0xa0..=0xbf => text(bytes, usize::from(head & 31)),
        0xd9 => {
            let length = number(bytes, 1);
            text(bytes, length as usize)
        }
        0xda => {
            let length = number(bytes, 2);
            text(bytes, length as usize)
        }
        0xd2 => Value::from(number(bytes, 4)),
        0xd7 => {
            assert_eq!(take(bytes, 1), [0]);
            let both = [number(bytes, 4), number(bytes, 4)];
            both.into_iter().collect()
        }
        head => panic!("unexpected {head:#x}"),
    }
}

#[test]
fn fluentd_gets_records_and_pieces_of_long_lines() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = [
        ("fluentd-address", address.as_str()),
        ("fluentd-sub-second-precision", "true"),
        ("env", "A"),
        ("tag", "docker.{{.Name}}"),
    ];
    let settings = settings(Driver::Fluentd, dir.path(), &options);
    let long = [&[b'x'; 17_000][..], b"\nshort\n"].concat();
    speak(&settings, &[(OUT, &long)]);
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    let messages: [Value; 3] = std::array::from_fn(|_| unpack(&mut rest));
    assert!(rest.is_empty());
    for message in &messages {
        assert_eq!(message[0], "docker.web");
        assert!(message[1][0].as_u64().unwrap() > 1_700_000_000);
        assert_eq!(message[3], serde_json::json!({}));
        let record = &message[2];
        assert_eq!(record["container_id"], ID);
        assert_eq!(record["container_name"], "/web");
        assert_eq!(record["source"], "stdout");
        assert_eq!(record["A"], "1");
    }
    let log = |at: usize| messages[at][2]["log"].as_str().unwrap().len();
    assert_eq!([log(0), log(1), log(2)], [16384, 616, 5]);
    let part = |at: usize, key: &str| messages[at][2][format!("partial_{key}")].clone();
    assert_eq!(part(0, "id"), part(1, "id"));
    assert_eq!([part(0, "ordinal"), part(1, "ordinal")], ["1", "2"]);
    assert_eq!([part(0, "last"), part(1, "last")], ["false", "true"]);
    assert_eq!(part(0, "message"), "true");
    assert_eq!(part(2, "message"), Value::Null);
}

#[test]
fn fluentd_is_told_again_what_it_does_not_acknowledge() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = [
        ("fluentd-address", address.as_str()),
        ("fluentd-request-ack", "true"),
        ("fluentd-retry-wait", "10ms"),
    ];
    let settings = settings(Driver::Fluentd, dir.path(), &options);
    let service = std::thread::spawn(move || {
        let mut space = [0; 4096];
        // The first one says nothing, the second the wrong thing.
        let (mut first, _) = listener.accept().unwrap();
        assert!(first.read(&mut space).unwrap() > 0);
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        assert!(second.read(&mut space).unwrap() > 0);
        second.write_all(b"\x81\xa3ack\xa1x").unwrap();
        let (mut third, _) = listener.accept().unwrap();
        let count = third.read(&mut space).unwrap();
        let message = unpack(&mut &space[..count]);
        let chunk = message[3]["chunk"].as_str().unwrap().to_owned();
        let answer = [
            b"\x81\xa3ack\xd9",
            &[chunk.len() as u8][..],
            chunk.as_bytes(),
        ]
        .concat();
        // In two parts.
        third.write_all(&answer[..7]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        third.write_all(&answer[7..]).unwrap();
        message[2]["log"].clone()
    });
    speak(&settings, &[(OUT, b"hello\n")]);
    assert_eq!(service.join().unwrap(), "hello");
}

#[test]
fn a_speaker_can_write_the_log_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = [("mode", "non-blocking")];
    let settings = settings(Driver::JsonFile, dir.path(), &options);
    speak(&settings, &[(OUT, b"one\ntwo"), (ERR, b"three\n")]);
    let text = std::fs::read_to_string(&settings.path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let logs: Vec<&str> = lines.iter().map(|l| l["log"].as_str().unwrap()).collect();
    assert_eq!(logs, ["one\n", "three\n", "two"]);
}
