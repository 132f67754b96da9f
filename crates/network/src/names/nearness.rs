//! Where the thread of the resolvers runs: on the processor of whoever asks one
//! question after the other, for as long as that lasts. To wake a thread elsewhere
//! takes longer than the answer, and the one that asks does nothing else meanwhile.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// So many questions in a row from a processor bring the thread there.
const ROW: u8 = 3;
/// It may run anywhere again when nobody has asked for as long.
pub(super) const REST: Duration = Duration::from_millis(20);

/// The calling thread's nearness to those who ask.
#[derive(Debug)]
pub(super) struct Nearness {
    /// Where it may run.
    home: Option<CpuSet>,
    last: Option<u32>,
    row: u8,
    moved: bool,
}

impl Nearness {
    /// Of a thread that may run where it may now.
    pub(super) fn new() -> Self {
        Self {
            home: sched_getaffinity(None).ok(),
            last: None,
            row: 0,
            moved: false,
        }
    }

    /// A question was asked there.
    pub(super) fn asked(&mut self, processor: Option<u32>) {
        if processor != self.last {
            (self.last, self.row) = (processor, 0);
        }
        if self.row > ROW {
            return;
        }
        self.row += 1;
        if self.row == ROW {
            self.follow();
        }
    }

    fn follow(&mut self) {
        let (Some(home), Some(processor)) = (&self.home, self.last) else {
            return;
        };
        let processor = processor as usize;
        if processor < CpuSet::MAX_CPU && home.is_set(processor) {
            let mut there = CpuSet::new();
            there.set(processor);
            self.moved = sched_setaffinity(None, &there).is_ok();
        }
    }

    /// How long to wait at most before [`Self::rest`].
    pub(super) fn patience(&self) -> Option<Duration> {
        self.moved.then_some(REST)
    }

    /// Nobody asks at the moment.
    pub(super) fn rest(&mut self) {
        if let Some(home) = self.home.as_ref().filter(|_| self.moved) {
            let _ = sched_setaffinity(None, home);
        }
        (self.last, self.row, self.moved) = (None, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_where_it_is_asked_and_comes_back() {
        std::thread::spawn(|| {
            let before = sched_getaffinity(None).unwrap();
            let mut nearness = Nearness::new();
            let here = (0..CpuSet::MAX_CPU)
                .find(|cpu| before.is_set(*cpu))
                .unwrap();
            nearness.asked(Some(here as u32));
            assert_eq!(nearness.patience(), None);
            nearness.asked(Some(here as u32));
            nearness.asked(Some(here as u32));
            assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
            assert_eq!(nearness.patience(), Some(REST));
            nearness.rest();
            assert_eq!(sched_getaffinity(None).unwrap(), before);
            for _ in 0..2 * ROW {
                nearness.asked(None);
                nearness.asked(Some(u32::MAX));
            }
            assert_eq!(nearness.patience(), None);
        })
        .join()
        .unwrap();
    }
}
