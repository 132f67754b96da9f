//! The daemon's own log, on standard error, as text or JSON; how much of it can
//! be changed while it runs.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{Handle, Layer};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use super::settings::{LogFormat, Settings};

/// The way to change how much is logged.
pub(super) struct Logging {
    handle: Handle<LevelFilter, Registry>,
}

/// Starts to log.
///
/// # Errors
/// When something logs already.
pub(super) fn start(settings: &Settings) -> Result<Logging, String> {
    let (filter, handle) = Layer::new(settings.log_level);
    let layer = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match settings.log_format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Text => {
            let colours = !settings.raw_logs && std::io::stderr().is_terminal();
            let layer = layer.with_ansi(colours).with_target(false);
            registry.with(layer).try_init()
        }
    };
    started.map_err(|error| format!("starting the log: {error}"))?;
    Ok(Logging { handle })
}

impl Logging {
    /// From now on, logs this much.
    pub(super) fn set_level(&self, level: LevelFilter) {
        if let Err(error) = self.handle.reload(level) {
            tracing::warn!(%error, "changing the log level failed");
        }
    }
}
