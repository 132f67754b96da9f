//! Objects that others stand on, kept for a while.

use std::collections::VecDeque;
use std::rc::Rc;

/// How many bytes are kept; the last object is, whatever its size.
const MOST: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Cache {
    /// The last one is at the end.
    kept: VecDeque<(usize, Rc<Vec<u8>>)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, index: usize) -> Option<Rc<Vec<u8>>> {
        let mut kept = self.kept.iter().rev();
        let found = kept.find(|(at, _)| *at == index);
        found.map(|(_, data)| Rc::clone(data))
    }

    pub(super) fn put(&mut self, index: usize, data: &Rc<Vec<u8>>) {
        // Looking through it must not take longer than reading the object again.
        while self.kept.len() >= 64 || self.bytes + data.len() > MOST {
            match self.kept.pop_front() {
                Some((_, gone)) => self.bytes -= gone.len(),
                None => break,
            }
        }
        self.bytes += data.len();
        self.kept.push_back((index, Rc::clone(data)));
    }
}
