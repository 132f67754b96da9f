//! The program `gantry-shim`: see the library.

fn main() {
    std::process::exit(gantry_shim::run(0));
}
