//! Writer and reader together: what goes in comes out, through rotation, from
//! the end, and while it is being written.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use gantry_logs::{Driver, FollowControl, Query, Reader, Settings, Stream, Timestamp, Writer};

struct Log {
    _dir: tempfile::TempDir,
    settings: Settings,
}

fn log(driver: Driver, max_size: Option<u64>, max_file: u32) -> Log {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_size,
        max_file,
        ..Settings::new(driver, dir.path(), "id")
    };
    Log {
        _dir: dir,
        settings,
    }
}

fn lines(settings: &Settings, query: Query) -> Vec<String> {
    let text = |entry: gantry_logs::Entry| String::from_utf8(entry.line).unwrap();
    Reader::open(settings, query)
        .unwrap()
        .map(|entry| text(entry.unwrap()))
        .collect()
}

const DRIVERS: [Driver; 2] = [Driver::JsonFile, Driver::Local];

#[test]
fn what_is_written_is_read() {
    for driver in DRIVERS {
        let log = log(driver, None, 1);
        assert!(lines(&log.settings, Query::default()).is_empty());
        let mut writer = Writer::open(log.settings.clone()).unwrap();
        writer.write(Stream::Stdout, b"one\ntw").unwrap();
        writer.write(Stream::Stderr, b"err\n").unwrap();
        writer.write(Stream::Stdout, b"o\nrest").unwrap();
        writer.finish(Stream::Stdout).unwrap();
        assert_eq!(
            lines(&log.settings, Query::default()),
            ["one\n", "err\n", "two\n", "rest"]
        );
        let stderr = Query {
            stdout: false,
            ..Query::default()
        };
        assert_eq!(lines(&log.settings, stderr), ["err\n"]);
        for (tail, wanted) in [(0, &[][..]), (1, &["rest"]), (2, &["two\n", "rest"])] {
            let query = Query {
                tail: Some(tail),
                ..Query::default()
            };
            assert_eq!(lines(&log.settings, query), wanted);
        }
    }
}

#[test]
fn since_and_until_are_exact() {
    for driver in DRIVERS {
        let log = log(driver, None, 1);
        let mut writer = Writer::open(log.settings.clone()).unwrap();
        for line in ["a\n", "b\n", "c\n"] {
            writer.write(Stream::Stdout, line.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        let all: Vec<_> = Reader::open(&log.settings, Query::default())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let second = all[1].time;
        let since = Query {
            since: Some(second),
            ..Query::default()
        };
        assert_eq!(lines(&log.settings, since), ["b\n", "c\n"]);
        let until = Query {
            until: Some(second),
            ..Query::default()
        };
        assert_eq!(lines(&log.settings, until), ["a\n", "b\n"]);
        let after = Timestamp {
            nanoseconds: second.nanoseconds + 1,
            ..second
        };
        let since = Query {
            since: Some(after),
            ..Query::default()
        };
        assert_eq!(lines(&log.settings, since), ["c\n"]);
    }
}

#[test]
fn rotation_keeps_the_newest_files() {
    for driver in DRIVERS {
        let log = log(driver, Some(2000), 3);
        let mut writer = Writer::open(log.settings.clone()).unwrap();
        for number in 0..400 {
            writer
                .write(Stream::Stdout, format!("line {number}\n").as_bytes())
                .unwrap();
        }
        let read = lines(&log.settings, Query::default());
        let expected: Vec<_> = (400 - read.len()..400)
            .map(|n| format!("line {n}\n"))
            .collect();
        assert_eq!(read, expected, "the last ones without a gap");
        assert!((40..400).contains(&read.len()), "{}", read.len());
        let query = Query {
            tail: Some(40),
            ..Query::default()
        };
        assert_eq!(lines(&log.settings, query), expected[expected.len() - 40..]);
        let files = std::fs::read_dir(log.settings.path.parent().unwrap())
            .unwrap()
            .count();
        assert_eq!(files, 3);
    }
}

#[test]
fn followers_see_every_line_through_rotations() {
    for (driver, max_file) in [(Driver::JsonFile, 20), (Driver::Local, 20)] {
        let log = log(driver, Some(100_000), max_file);
        let control = FollowControl::new().unwrap();
        let query = Query {
            follow: Some(control.clone()),
            ..Query::default()
        };
        let reader = Reader::open(&log.settings, query).unwrap();
        let settings = log.settings.clone();
        let writing = thread::spawn(move || {
            let mut writer = Writer::open(settings).unwrap();
            for chunk in 0..500 {
                let text: String = (0..20)
                    .map(|n| format!("line {}\n", chunk * 20 + n))
                    .collect();
                writer.write(Stream::Stdout, text.as_bytes()).unwrap();
                thread::sleep(Duration::from_micros(200));
            }
            control.finish();
        });
        let mut count = 0;
        for entry in reader {
            assert_eq!(entry.unwrap().line, format!("line {count}\n").into_bytes());
            count += 1;
        }
        writing.join().unwrap();
        assert_eq!(count, 10_000);
    }
}

#[test]
fn a_single_file_that_rotates_is_followed_too() {
    let log = log(Driver::JsonFile, Some(10_000), 1);
    let control = FollowControl::new().unwrap();
    let query = Query {
        follow: Some(control.clone()),
        ..Query::default()
    };
    let mut reader = Reader::open(&log.settings, query).unwrap();
    let mut writer = Writer::open(log.settings.clone()).unwrap();
    for number in 0..500 {
        writer
            .write(Stream::Stdout, format!("line {number}\n").as_bytes())
            .unwrap();
        let entry = reader.next().unwrap().unwrap();
        assert_eq!(entry.line, format!("line {number}\n").into_bytes());
    }
    control.finish();
    assert!(reader.next().is_none());
}

#[test]
fn a_follow_can_be_cancelled() {
    let log = log(Driver::JsonFile, None, 1);
    let control = FollowControl::new().unwrap();
    let query = Query {
        tail: Some(0),
        follow: Some(control.clone()),
        ..Query::default()
    };
    let mut reader = Reader::open(&log.settings, query).unwrap();
    let start = Instant::now();
    let cancel = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        control.cancel();
    });
    assert!(reader.next().is_none());
    assert!(start.elapsed() < Duration::from_secs(2));
    cancel.join().unwrap();
}

#[test]
fn torn_files_are_mended_and_the_rest_is_read() {
    for driver in DRIVERS {
        let log = log(driver, None, 1);
        Writer::open(log.settings.clone())
            .unwrap()
            .write(Stream::Stdout, b"good\n")
            .unwrap();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&log.settings.path)
            .unwrap();
        file.write_all(b"{\"log\":\"torn").unwrap();
        assert_eq!(
            lines(
                &log.settings,
                Query {
                    tail: Some(5),
                    ..Query::default()
                }
            ),
            ["good\n"]
        );
        Writer::open(log.settings.clone())
            .unwrap()
            .write(Stream::Stdout, b"after\n")
            .unwrap();
        assert_eq!(
            lines(&log.settings, Query::default()),
            ["good\n", "after\n"]
        );
    }
}

#[test]
fn attributes_are_kept() {
    let mut log = log(Driver::JsonFile, None, 1);
    log.settings.attributes = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    Writer::open(log.settings.clone())
        .unwrap()
        .write(Stream::Stdout, b"x\n")
        .unwrap();
    let entry = Reader::open(&log.settings, Query::default())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(entry.attributes, log.settings.attributes);
}
