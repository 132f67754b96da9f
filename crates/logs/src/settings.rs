//! What a writer and a reader need to know. How it comes from a container's
//! options: [`crate::options`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// Docker's JSON lines.
    JsonFile,
    /// Our own binary records.
    Local,
    /// Nothing is kept.
    None,
}

/// Drivers of Docker's that we do not have.
const FOREIGN: [&str; 8] = [
    "awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog",
];

impl Driver {
    /// The driver of this name; the empty name is the default, `json-file`.
    /// Others are refused by name.
    ///
    /// # Errors
    /// `UnsupportedDriver`, `UnknownDriver`.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "" | "json-file" => Ok(Self::JsonFile),
            "local" => Ok(Self::Local),
            "none" => Ok(Self::None),
            foreign if FOREIGN.contains(&foreign) => {
                Err(Error::UnsupportedDriver(foreign.to_owned()))
            }
            unknown => Err(Error::UnknownDriver(unknown.to_owned())),
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
        }
    }
}

/// Where and how one container's output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The format.
    pub driver: Driver,
    /// The newest file; empty for `none`.
    pub path: PathBuf,
    /// A file that reaches this size is rotated away. `None`: never.
    pub max_size: Option<u64>,
    /// How many files are kept, the newest included; at least one.
    pub max_file: u32,
    /// Whether files that were rotated away are compressed.
    pub compress: bool,
    /// Pairs that every `json-file` record carries.
    pub attributes: BTreeMap<String, String>,
}

impl Settings {
    /// The defaults of a driver: `json-file` grows for ever, `local` keeps five
    /// files of 20 MiB and compresses all but the newest.
    pub fn new(driver: Driver, dir: &Path, id: &str) -> Self {
        let (path, max_size, max_file) = match driver {
            Driver::JsonFile => (dir.join(format!("{id}-json.log")), None, 1),
            Driver::Local => (dir.join("local-logs/container.log"), Some(20 << 20), 5),
            Driver::None => (PathBuf::new(), None, 1),
        };
        Self {
            driver,
            path,
            max_size,
            max_file,
            compress: driver == Driver::Local,
            attributes: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        assert_eq!(
            Driver::from_name("syslog").unwrap_err().kind(),
            gantry_types::ErrorKind::Unsupported
        );
        assert!(
            Driver::from_name("x")
                .unwrap_err()
                .to_string()
                .contains("no log driver named 'x'")
        );
    }
}
