//! Any order of writes, rotations, restarts and reads: within what is kept,
//! nothing is lost, doubled or torn.
#![allow(clippy::unwrap_used, reason = "a failed test says so")]

use std::thread;

use gantry_logs::{Driver, FollowControl, Query, Reader, Settings, Stream, Writer};
use proptest::prelude::*;

/// A line tells its number and is as long as its number says.
fn line(number: usize) -> String {
    format!("{number} {}\n", "x".repeat(number * 7919 % 120))
}

fn number_of(text: &[u8]) -> usize {
    let text = std::str::from_utf8(text).unwrap();
    let number = text.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(text, line(number), "torn");
    number
}

fn numbers(settings: &Settings, tail: Option<usize>) -> Vec<usize> {
    let query = Query {
        tail,
        ..Query::default()
    };
    Reader::open(settings, query)
        .unwrap()
        .map(|entry| number_of(&entry.unwrap().line))
        .collect()
}

fn settings(dir: &std::path::Path, driver: Driver, compress: bool, max_file: u32) -> Settings {
    Settings {
        max_size: Some(1500),
        max_file,
        compress,
        ..Settings::new(driver, dir, "id")
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Restart,
    Close,
    Follow(usize),
    Tail(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..60).prop_map(Step::Write),
        1 => Just(Step::Restart),
        1 => Just(Step::Close),
        3 => (1usize..80).prop_map(Step::Follow),
        2 => (0usize..100).prop_map(Step::Tail),
    ]
}

struct World {
    settings: Settings,
    writer: Option<Writer>,
    written: usize,
    follower: Reader,
    /// The next line that the follower has not seen.
    seen: usize,
}

impl World {
    fn new(settings: Settings) -> Self {
        let query = Query {
            follow: Some(FollowControl::new().unwrap()),
            ..Query::default()
        };
        Self {
            writer: Some(Writer::open(settings.clone()).unwrap()),
            follower: Reader::open(&settings, query).unwrap(),
            settings,
            written: 0,
            seen: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(count) => {
                let text: String = (self.written..self.written + count).map(line).collect();
                let writer = self.writer.as_mut().unwrap();
                writer.write(Stream::Stdout, text.as_bytes()).unwrap();
                self.written += count;
            }
            // A crash: what is being compressed is left half done.
            Step::Restart => {
                self.writer = None;
                self.writer = Some(Writer::open(self.settings.clone()).unwrap());
            }
            Step::Close => {
                self.writer.take().unwrap().close();
                self.writer = Some(Writer::open(self.settings.clone()).unwrap());
            }
            Step::Follow(count) => self.follow(count),
            Step::Tail(count) => {
                let all = self.kept();
                let tail = numbers(&self.settings, Some(count));
                assert_eq!(tail, all[all.len().saturating_sub(count)..]);
            }
        }
    }

    /// All that is kept: without a gap up to what was written last.
    fn kept(&self) -> Vec<usize> {
        let all = numbers(&self.settings, None);
        let expected: Vec<usize> = (self.written - all.len()..self.written).collect();
        assert_eq!(all, expected);
        all
    }

    fn follow(&mut self, count: usize) {
        for _ in 0..count {
            if self.seen == self.written {
                return;
            }
            let kept = self.kept();
            let number = number_of(&self.follower.next().unwrap().unwrap().line);
            // What is passed over is not there any more.
            let oldest = kept.first().copied().unwrap_or(self.written);
            assert!(
                number == self.seen || (number > self.seen && number == oldest),
                "{number} after {}, kept from {oldest}",
                self.seen
            );
            self.seen = number + 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn nothing_is_lost(
        steps in prop::collection::vec(step(), 1..40),
        local: bool,
        compress: bool,
        max_file in 1u32..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let driver = if local { Driver::Local } else { Driver::JsonFile };
        let mut world = World::new(settings(dir.path(), driver, compress, max_file));
        for step in &steps {
            world.step(step);
        }
        world.follow(usize::MAX);
        prop_assert_eq!(world.seen, world.written);
        // Never more files than asked for, in one form each.
        world.writer.take().unwrap().close();
        let directory = world.settings.path.parent().unwrap();
        let names = std::fs::read_dir(directory).unwrap();
        let names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        prop_assert!(names.len() <= max_file as usize, "{:?}", names);
    }
}

#[test]
fn readers_beside_a_fast_writer_see_whole_lines_in_order() {
    for (driver, compress) in [
        (Driver::JsonFile, true),
        (Driver::Local, true),
        (Driver::JsonFile, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path(), driver, compress, 4);
        let control = FollowControl::new().unwrap();
        let query = Query {
            follow: Some(control.clone()),
            ..Query::default()
        };
        let follower = Reader::open(&settings, query).unwrap();
        thread::scope(|scope| {
            let following = scope.spawn(move || {
                let mut last = None;
                for entry in follower {
                    let number = number_of(&entry.unwrap().line);
                    assert!(
                        last.is_none_or(|last| number > last),
                        "{number} after {last:?}"
                    );
                    last = Some(number);
                    if number.is_multiple_of(500) {
                        // Slower than the rotation.
                        thread::sleep(std::time::Duration::from_millis(2));
                    }
                }
                last
            });
            let (reading, done) = (settings.clone(), control.clone());
            scope.spawn(move || {
                while !done.is_finished() {
                    let read = numbers(&reading, Some(50));
                    assert!(read.is_sorted(), "{read:?}");
                }
            });
            let mut writer = Writer::open(settings.clone()).unwrap();
            for first in (0..20_000).step_by(10) {
                let text: String = (first..first + 10).map(line).collect();
                writer.write(Stream::Stdout, text.as_bytes()).unwrap();
            }
            writer.close();
            control.finish();
            assert_eq!(following.join().unwrap(), Some(19_999));
        });
    }
}
