//! The image store over real storage drivers. Unpacking needs root (owners,
//! overlay's attributes): without it each test says so and passes.

mod archives;
mod crash;
mod fixture;
mod hostile;
mod import;
mod load;
mod names;
mod removal;
