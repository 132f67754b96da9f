//! What containers use. One collector measures for all who watch:
//!
//! ```text
//! client ─┐
//! client ─┼─ watch ◄── collector, one thread, once a second for each watched container
//! client ─┘              └── sample: cgroup files, /proc/stat, /proc/PID/net/dev
//! ```
//!
//! Without a client there is no thread and nothing is read. Nothing here knows
//! what a container is: it measures what it is told of ([`Subject`]).

mod answer;
mod collector;
mod machine;
mod sample;

pub(crate) use answer::of as answer;
pub(crate) use collector::{Collector, Seen, Watch};
pub(crate) use sample::{Sample, Subject, take};
