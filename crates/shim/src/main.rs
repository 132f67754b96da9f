//! The program `gantry-shim`: the daemon starts it with a socket as its
//! standard input. All it does is in the library.
//!
//! It has C's `main`: what Rust does before its own (handlers for a stack
//! overflow, reading `/proc/self/maps`) takes as long as the rest of this
//! program's way to its first message.
#![no_main]
#![allow(unsafe_code, reason = "main has a name that the linker knows")]

use std::ffi::{c_char, c_int};
use std::os::fd::AsFd;

// SAFETY: no other function of this program has this name.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    // Descriptor 0 stays open, as /dev/null would: the program gets a copy.
    match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => gantry_shim::run(control),
        Err(_) => 2,
    }
}
