//! Answers of other servers, kept for as long as they are good, so that the next
//! one who asks has them at once.
//!
//! The key is the whole question but its number, and who is asked: with other
//! servers (the host's have changed, or a container has its own) nothing of before
//! is found. What comes from outside is read with bounds, and what cannot be read is
//! not kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::message::{HEADER, number, skip_name};
use crate::ip_cidr::octets;

/// As many answers are kept at most.
const ENTRIES: usize = 1024;
/// Longer questions and answers are not kept.
const QUESTION: usize = 512;
const ANSWER: usize = 4096;
/// No answer is kept longer.
const LONGEST: u32 = 3600;
/// No answer that there is nothing is kept longer.
const LONGEST_NOTHING: u32 = 30;
const SOA: u16 = 6;
const OPT: u16 = 41;

/// What is asked of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Vec<u8>);

/// The answers that are kept.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    answer: Vec<u8>,
    /// Where in it are times to live.
    lives: Vec<usize>,
    since: Instant,
    until: Instant,
}

impl Key {
    /// The key of a question whose name ends at `end`; none for what is not kept.
    pub(super) fn new(question: &[u8], end: usize, servers: &[IpAddr]) -> Option<Self> {
        if question.len() > QUESTION {
            return None;
        }
        let mut key = question.get(2..)?.to_vec();
        // Large letters in a name make no difference, but others may be data.
        key.get_mut(HEADER - 2..end - 2)?.make_ascii_lowercase();
        for server in servers {
            key.extend(octets(*server));
        }
        Some(Self(key))
    }
}

impl Cache {
    /// A kept answer to the question, aged.
    pub(super) fn get(&self, key: &Key, question: &[u8], now: Instant) -> Option<Vec<u8>> {
        let entry = self.entries.get(key).filter(|entry| entry.until > now)?;
        let mut answer = entry.answer.clone();
        // Its number and its letters are those of the one who asks now.
        answer.get_mut(..2)?.copy_from_slice(question.get(..2)?);
        let end = skip_name(question, HEADER)?;
        let name = question.get(HEADER..end)?;
        answer.get_mut(HEADER..end)?.copy_from_slice(name);
        let age = now.saturating_duration_since(entry.since).as_secs();
        for at in &entry.lives {
            let life = answer.get_mut(*at..at + 4)?;
            let left = u32::from_be_bytes(life.try_into().ok()?);
            let left = left.saturating_sub(u32::try_from(age).unwrap_or(u32::MAX));
            life.copy_from_slice(&left.to_be_bytes());
        }
        Some(answer)
    }

    /// Keeps an answer, if it says for how long.
    pub(super) fn put(&mut self, key: Key, answer: &[u8], now: Instant) {
        let Some((life, lives)) = lifetime(answer).filter(|(life, _)| *life > 0) else {
            return;
        };
        if self.entries.len() >= ENTRIES {
            self.entries.retain(|_, entry| entry.until > now);
        }
        if self.entries.len() >= ENTRIES {
            // All of them are good: half of them go, whichever.
            let mut keep = false;
            self.entries.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        let entry = Entry {
            answer: answer.to_vec(),
            lives,
            since: now,
            until: now + Duration::from_secs(life.into()),
        };
        self.entries.insert(key, entry);
    }
}

/// Keeps an answer and takes it out again.
#[cfg(fuzzing)]
pub(super) fn read_message(bytes: &[u8]) {
    let now = Instant::now();
    let end = skip_name(bytes, HEADER).filter(|end| *end <= bytes.len());
    if let Some(key) = end.and_then(|end| Key::new(bytes, end, &[])) {
        let mut cache = Cache::default();
        cache.put(key.clone(), bytes, now);
        let _ = cache.get(&key, bytes, now + Duration::from_secs(1));
    }
}

/// How many seconds an answer is good for, and where in it are times to live.
fn lifetime(answer: &[u8]) -> Option<(u32, Vec<usize>)> {
    let cut_short = answer.get(2)? & 2 != 0;
    let outcome = answer.get(3)? & 15;
    if answer.len() > ANSWER || cut_short || !matches!(outcome, 0 | 3) || number(answer, 4)? != 1 {
        return None;
    }
    let found = number(answer, 6)?;
    let all = found.checked_add(number(answer, 8)?)?;
    let all = all.checked_add(number(answer, 10)?)?;
    let mut at = skip_name(answer, HEADER)? + 4;
    let (mut life, mut lives) = (None::<u32>, Vec::new());
    for index in 0..all {
        at = skip_name(answer, at)?;
        let kind = number(answer, at)?;
        let data = at + 10;
        let length = usize::from(number(answer, at + 8)?);
        let bytes = answer.get(data..data + length)?;
        if kind != OPT {
            let mut good = u32::from_be_bytes(answer.get(at + 4..at + 8)?.try_into().ok()?);
            lives.push(at + 4);
            if found == 0 && kind == SOA {
                let least = bytes.get(length.checked_sub(4)?..)?.try_into().ok()?;
                good = good.min(u32::from_be_bytes(least)).min(LONGEST_NOTHING);
                life = Some(life.map_or(good, |life| life.min(good)));
            }
            if index < found {
                life = Some(life.map_or(good, |life| life.min(good)));
            }
        }
        at = data + length;
    }
    Some((life?.min(LONGEST), lives))
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::query;
    use super::super::message::{Outcome, Query, Record};
    use super::*;
    use proptest::prelude::*;

    fn key(question: &[u8], server: &str) -> Key {
        let end = skip_name(question, HEADER).unwrap();
        Key::new(question, end, &[server.parse().unwrap()]).unwrap()
    }

    #[test]
    fn answers_are_kept_as_long_as_they_are_good() {
        let question = query("Example.org", 1, true);
        let address = Record::Address([192, 0, 2, 1].into());
        let parsed = Query::parse(&question).unwrap();
        let answer = parsed.answer(Outcome::Fine, &[address], 512);
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put(key(&question, "192.0.2.53"), &answer, now);
        let mut again = query("eXample.org", 1, true);
        again[0] = 7;
        let key_again = key(&again, "192.0.2.53");
        let later = now + Duration::from_secs(599);
        let kept = cache.get(&key_again, &again, later).unwrap();
        assert!(Query::parse(&again).unwrap().is_answered_by(&kept));
        assert_eq!(kept[..2], again[..2]);
        assert_eq!(kept[HEADER..HEADER + 8], again[HEADER..HEADER + 8]);
        assert!(
            kept.windows(6).any(|w| w == [0, 1, 0, 0, 0, 1]),
            "one second is left"
        );
        let too_late = now + Duration::from_secs(600);
        assert_eq!(cache.get(&key_again, &again, too_late), None);
        assert_eq!(cache.get(&key(&again, "192.0.2.54"), &again, later), None);
        let six = query("example.org", 28, true);
        assert_eq!(cache.get(&key(&six, "192.0.2.53"), &six, later), None);
    }

    #[test]
    fn failures_are_not_kept_and_the_cache_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..3 * ENTRIES {
            let question = query(&format!("n{number}.example"), 1, false);
            let parsed = Query::parse(&question).unwrap();
            let address = [Record::Address([192, 0, 2, 1].into())];
            for (outcome, records) in [(Outcome::Failed, &[][..]), (Outcome::Fine, &address)] {
                let answer = parsed.answer(outcome, records, 512);
                cache.put(key(&question, "::1"), &answer, now);
            }
            assert!(cache.entries.len() <= ENTRIES);
        }
        assert!(cache.entries.len() >= ENTRIES / 2);
        let mut cache = Cache::default();
        let question = query("nothing.example", 1, false);
        let failed = Query::parse(&question).unwrap();
        cache.put(
            key(&question, "::1"),
            &failed.answer(Outcome::Failed, &[], 512),
            now,
        );
        assert!(cache.entries.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = lifetime(&bytes);
            let question = query("x", 1, false);
            let mut cache = Cache::default();
            cache.put(key(&question, "::1"), &bytes, Instant::now());
            let _ = cache.get(&key(&question, "::1"), &question, Instant::now());
        }
    }
}
