//! What a writer, a reader and a speaker need to know. How it comes from a
//! container's options: [`crate::options`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::speak::Service;

/// A file of a log that says nothing else is rotated away at this size…
const DEFAULT_SIZE: u64 = 20 << 20;
/// … and so many are kept.
const DEFAULT_FILES: u32 = 5;

/// The log drivers, as users choose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Docker's JSON lines.
    JsonFile,
    /// Our own binary records.
    Local,
    /// Nothing is kept.
    None,
    /// systemd's journal on this machine.
    Journald,
    /// A syslog service, here or elsewhere.
    Syslog,
    /// A service that speaks Fluentd's forward protocol.
    Fluentd,
    /// A service that takes Graylog's extended format.
    Gelf,
}

/// Drivers of Docker's that we do not have: each is one vendor's service.
const FOREIGN: [&str; 4] = ["awslogs", "etwlogs", "gcplogs", "splunk"];

impl Driver {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fluentd,
        Self::Gelf,
        Self::Journald,
        Self::JsonFile,
        Self::Local,
        Self::None,
        Self::Syslog,
    ];

    /// The driver of this name; the empty name is the default, `json-file`.
    /// Others are refused by name.
    ///
    /// # Errors
    /// `UnsupportedDriver`, `UnknownDriver`.
    pub fn from_name(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Self::JsonFile);
        }
        let found = Self::ALL.into_iter().find(|driver| driver.name() == name);
        found.ok_or_else(|| match FOREIGN.contains(&name) {
            true => Error::UnsupportedDriver(name.to_owned()),
            false => Error::UnknownDriver(name.to_owned()),
        })
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
            Self::Fluentd => "fluentd",
            Self::Gelf => "gelf",
        }
    }

    /// Whether output goes to a service, and to files only for `docker logs`.
    pub fn is_spoken(self) -> bool {
        matches!(
            self,
            Self::Journald | Self::Syslog | Self::Fluentd | Self::Gelf
        )
    }
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Docker's JSON lines.
    JsonFile,
    /// Our own binary records.
    Local,
    /// There are no files.
    None,
}

/// Where and how one container's output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What its files hold.
    pub format: Format,
    /// The newest file; empty without files.
    pub path: PathBuf,
    /// A file that reaches this size is rotated away. `None`: never.
    pub max_size: Option<u64>,
    /// How many files are kept, the newest included; at least one.
    pub max_file: u32,
    /// Whether files that were rotated away are compressed.
    pub compress: bool,
    /// Pairs that every `json-file` record carries.
    pub attributes: BTreeMap<String, String>,
    /// The process that is told every line, if there is one.
    pub speaking: Option<Speaking>,
}

/// A process of its own beside the shim, for what may take long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaking {
    /// What it does with each line.
    pub to: Service,
    /// `mode=non-blocking`: so many bytes may wait, and what comes when they do
    /// is dropped. `None`: the container waits.
    pub buffer: Option<u64>,
}

impl Settings {
    /// The defaults of a driver: five files of 20 MiB; `local` and the copies of
    /// what goes to services compress all but the newest.
    pub fn new(driver: Driver, dir: &Path, id: &str) -> Self {
        let (format, path) = match driver {
            Driver::JsonFile => (Format::JsonFile, dir.join(format!("{id}-json.log"))),
            Driver::None => (Format::None, PathBuf::new()),
            Driver::Local => (Format::Local, dir.join("local-logs/container.log")),
            _ => (Format::Local, dir.join("container-cached.log")),
        };
        Self {
            format,
            path,
            max_size: (format != Format::None).then_some(DEFAULT_SIZE),
            max_file: DEFAULT_FILES,
            compress: format == Format::Local,
            attributes: BTreeMap::new(),
            speaking: None,
        }
    }

    /// The same without files.
    pub(crate) fn without_files(&mut self) {
        self.format = Format::None;
        self.path = PathBuf::new();
        self.max_size = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        assert_eq!(
            Driver::from_name("splunk").unwrap_err().kind(),
            gantry_types::ErrorKind::Unsupported
        );
        assert!(
            Driver::from_name("x")
                .unwrap_err()
                .to_string()
                .contains("no log driver named 'x'")
        );
        for driver in Driver::ALL {
            assert_eq!(Driver::from_name(driver.name()).unwrap(), driver);
        }
    }
}
