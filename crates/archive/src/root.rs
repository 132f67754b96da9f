//! Paths below a root handle.
