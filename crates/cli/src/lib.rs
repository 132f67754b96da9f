//! The docker-compatible command line: arguments in, HTTP to a daemon out,
//! Docker's words, tables and exit codes back.
//!
//! A command line passes four stations: `args` (text to typed flags, one table
//! entry per flag), `settings` (environment, contexts and config.json to an
//! endpoint), one file per command under `commands`, and `output` with the one
//! printer. `invocation` leads through them. Nothing here has heard of the
//! engine: it only speaks HTTP, so it drives any Docker-compatible daemon. To
//! registries it speaks itself only where Docker's does: `manifest` and `trust`.

mod args;
mod commands;
mod container_options;
mod credentials;
mod error;
mod exit_code;
mod help;
mod hints;
mod invocation;
mod output;
mod plugins;
mod random_id;
mod registry;
mod session;
mod settings;
mod transport;

pub use error::Error;
pub use invocation::{Bootstrap, Checker, Invocation, main};

/// The door of the fuzz target: whether these are options of `create` that a
/// body can be made of.
#[cfg(any(fuzzing, test))]
pub fn read_options(args: &[String]) -> bool {
    use container_options::flags;
    let tables = [
        flags::CONFIG,
        flags::CLIENT,
        flags::UPDATABLE,
        flags::RESOURCES,
        flags::RESTART,
        flags::HOST,
        flags::NETWORK,
    ];
    let Ok(args::Parsed::Matches(matches)) = args::parse(&tables, false, args) else {
        return false;
    };
    container_options::build(&matches, &settings::ConfigFile::default(), "").is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_door_of_the_fuzz_target_opens() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(super::read_options(&words(&["--memory", "64m", "image"])));
        assert!(!super::read_options(&words(&["--memory", "much", "image"])));
    }
}
