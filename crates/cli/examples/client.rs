//! The command line alone, to try it against any daemon.

fn main() {
    let mut args = std::env::args();
    args.next();
    let code = gantry_cli::main(gantry_cli::Invocation {
        args: args.collect(),
        program: "gantry".to_owned(),
        bootstrap: None,
        checker: None,
    });
    std::process::exit(code);
}
