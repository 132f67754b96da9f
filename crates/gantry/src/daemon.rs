//! `gantry daemon`: from flags and `daemon.json` to a running engine, and back
//! to nothing, in order.
//!
//! ```text
//! options (the table) → command_line, config_file → settings
//! start: preflight → lock → sockets (_ping answers) → engine → ready
//! run:   signals, idle
//! end:   sockets → engine → lock
//! ```

mod builder;
mod cgroup_driver;
mod command_line;
mod config_file;
mod descriptors;
mod help;
mod image_gc;
mod init_program;
mod life;
mod lock;
mod logging;
mod network_settings;
mod notify;
mod option;
mod options;
mod preflight;
mod quantity;
mod rest;
mod settings;
mod values;

use crate::complain;
use command_line::Request;
use settings::Settings;

pub(crate) use settings::{DEFAULT_EXEC_ROOT, DEFAULT_SOCKET};

/// Takes the lock of a data root, as a daemon does; the kernel releases it with the
/// process.
pub(crate) fn lock_data_root(data_root: &std::path::Path) -> Result<impl Sized + use<>, String> {
    lock::take("data root", data_root)
}

/// Why the daemon did not start; printed once, here.
type Failure = String;

/// Runs a daemon to its exit code.
pub(crate) fn main(args: Vec<String>) -> i32 {
    match start(args) {
        Ok(()) => 0,
        Err(failure) => {
            complain(&format!("gantry daemon: {failure}"));
            1
        }
    }
}

fn start(args: Vec<String>) -> Result<(), Failure> {
    let request = command_line::parse(args)?;
    let flags = match request {
        Request::Help => return help::print(),
        Request::Version => return help::print_version(),
        Request::Run(flags) => flags,
    };
    let settings = Settings::load(&flags)?;
    if settings.validate {
        complain("configuration OK");
        return Ok(());
    }
    if settings.detach {
        // Fails for the leader of a process group, which is away already.
        let _ = rustix::process::setsid();
    }
    let logging = logging::start(&settings)?;
    life::run(settings, flags, logging)
}
