//! The way back: what has been done so far, to be undone in reverse order
//! unless all of it succeeds.

/// A stack of steps that take something back. Dropped without
/// [`disarm`](Undo::disarm), it runs them, last first; each must cope with
/// failure by itself, so that the others run in any case.
#[derive(Default)]
pub(crate) struct Undo<'a> {
    steps: Vec<Box<dyn FnOnce() + Send + 'a>>,
}

impl<'a> Undo<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds how to take back what was just done.
    pub(crate) fn push(&mut self, step: impl FnOnce() + Send + 'a) {
        self.steps.push(Box::new(step));
    }

    /// All went well: nothing is taken back.
    pub(crate) fn disarm(mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            step();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn steps_run_backwards_unless_disarmed() {
        let done = Mutex::new(Vec::new());
        for disarm in [false, true] {
            let mut undo = Undo::new();
            undo.push(|| done.lock().unwrap().push(1));
            undo.push(|| done.lock().unwrap().push(2));
            if disarm {
                undo.disarm();
            }
        }
        assert_eq!(*done.lock().unwrap(), [2, 1]);
    }
}
