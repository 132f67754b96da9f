//! The program `gantry-shim`: the daemon starts it with a socket as its
//! standard input. All it does is in the library.

use std::os::fd::AsFd;

fn main() {
    // Descriptor 0 stays open, as /dev/null would: the program gets a copy.
    let code = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => gantry_shim::run(control),
        Err(_) => 2,
    };
    std::process::exit(code);
}
