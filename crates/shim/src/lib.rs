//! The shim: one small process for each container, which starts it, keeps its
//! output, waits for it, and outlives the daemon. This library is the protocol
//! and the daemon's side of it; the program is `src/main.rs` and [`run`].
//!
//! ```text
//! daemon                          shim (own process)                 container
//!   ShimPool ── stdin: socket ──▶ waits for Start
//!            ── Start + fds ────▶ cgroup, stdio, clone3 ───────────▶ execve
//!            ◀── Started ──────── <exec-root>/<id>/shim.sock
//!   (crash)                       output → log, attached clients ◀── stdout, stderr
//!   new daemon ── shim.sock ────▶
//!            ◀── Exit ─────────── exit.json, cgroup removed ◀─────── exit
//! ```
//!
//! On disk, `<exec-root>/<id>/` (0700): `shim.sock`; `state.json` while the
//! container runs; `exit.json` when it is over.

pub mod client;
pub mod protocol;

mod files;
mod program;

pub use program::run;
