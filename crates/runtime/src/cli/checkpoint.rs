//! `checkpoint` and `restore`: refused, whatever is asked of them.

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::{Context, NAME};

/// What runc takes, so that it is the command which is refused and not an option.
pub(super) const OPTIONS: &[Flag] = &[
    Flag::value("image-path", None, ""),
    Flag::value("work-path", None, ""),
    Flag::value("parent-path", None, ""),
    Flag::switch("leave-running", None, ""),
    Flag::switch("tcp-established", None, ""),
    Flag::switch("tcp-skip-in-flight", None, ""),
    Flag::switch("link-remap", None, ""),
    Flag::switch("ext-unix-sk", None, ""),
    Flag::switch("shell-job", None, ""),
    Flag::switch("lazy-pages", None, ""),
    Flag::value("status-fd", None, ""),
    Flag::value("page-server", None, ""),
    Flag::switch("file-locks", None, ""),
    Flag::switch("pre-dump", None, ""),
    Flag::value("manage-cgroups-mode", None, ""),
    Flag::value("empty-ns", None, ""),
    Flag::switch("auto-dedup", None, ""),
    Flag::value("console-socket", None, ""),
    Flag::value("bundle", Some('b'), ""),
    Flag::switch("detach", Some('d'), ""),
    Flag::value("pid-file", None, ""),
    Flag::switch("no-subreaper", None, ""),
    Flag::switch("no-pivot", None, ""),
    Flag::value("lsm-profile", None, ""),
    Flag::value("lsm-mount-context", None, ""),
];

/// `checkpoint`.
pub(super) fn checkpoint(_: &Context, _: &Arguments) -> Result<i32> {
    Err(refused("checkpoint"))
}

/// `restore`.
pub(super) fn restore(_: &Context, _: &Arguments) -> Result<i32> {
    Err(refused("restore"))
}

fn refused(command: &str) -> Error {
    Error::Usage(format!(
        "{command} is not supported: {NAME} cannot save the state of processes"
    ))
}
