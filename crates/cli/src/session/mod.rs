//! A command's surroundings, and the attached session of a container: streams,
//! terminal, signals.

pub(crate) mod attach;
pub(crate) mod detach;
pub(crate) mod prompt;
pub(crate) mod signals;
pub(crate) mod terminal;

use std::sync::Arc;

use crate::invocation::Checker;
use crate::output::printer::Printer;
use crate::settings::Settings;
use crate::transport::Client;

/// What every command gets.
pub(crate) struct Session {
    /// The name that this program was called by.
    pub(crate) program: String,
    pub(crate) settings: Arc<Settings>,
    pub(crate) client: Client,
    pub(crate) printer: Printer,
    pub(crate) checker: Option<Checker>,
}
