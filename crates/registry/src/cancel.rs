//! Ending what waits for a server, from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often those who wait look.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A switch that is thrown once. Copies are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    thrown: AtomicBool,
    above: Option<Cancel>,
}

impl Cancel {
    /// A switch that is not thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch for a part of what this one is for: thrown by itself, or with this one.
    pub fn below(&self) -> Self {
        Self(Arc::new(Switch {
            thrown: AtomicBool::new(false),
            above: Some(self.clone()),
        }))
    }

    /// Throws it: what waits ends with [`crate::Error::Cancelled`] within a
    /// quarter of a second.
    pub fn cancel(&self) {
        self.0.thrown.store(true, Ordering::Relaxed);
    }

    /// Whether it is thrown.
    pub fn is_cancelled(&self) -> bool {
        let thrown = self.0.thrown.load(Ordering::Relaxed);
        thrown || self.0.above.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Sleeps, unless it is thrown; answers whether it slept to the end.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_cancelled() || left.is_zero() {
                return !self.is_cancelled();
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
