//! The image store over real storage drivers. Unpacking needs root (owners,
//! overlay's attributes): without it each test says so and passes.

#![allow(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

mod ahead;
mod archives;
mod check;
mod crash;
mod failed_disk;
mod fixture;
mod full_disk;
mod hostile;
mod import;
mod load;
mod made;
mod names;
mod policy;
mod pull;
mod removal;
mod save;
mod stress;
mod together;
