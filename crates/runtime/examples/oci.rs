//! The runtime's command line as a program of its own, for tests and tools.

fn main() {
    let args = std::env::args_os().skip(1).collect();
    std::process::exit(gantry_runtime::cli::main(args));
}
