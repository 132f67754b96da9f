//! Driver and options → what a writer and a reader need to know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::size::parse_size;

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
    /// Pairs that every `json-file` record carries.
    pub attributes: BTreeMap<String, String>,
}

impl Settings {
    /// Reads a container's log configuration. `dir` is the container's directory,
    /// `labels` and `env` (`K=V`) are what the options of these names choose from.
    /// Options that the driver has not are refused by name.
    pub fn from_options(
        driver: Driver,
        options: &BTreeMap<String, String>,
        dir: &Path,
        id: &str,
        labels: &BTreeMap<String, String>,
        env: &[String],
    ) -> Result<Self> {
        let mut settings = Self::new(driver, dir, id);
        for (option, value) in options {
            match (driver, option.as_str()) {
                (Driver::None, _) => return Err(unknown(option, driver)),
                (_, "max-size") => settings.max_size = max_size(value)?,
                (_, "max-file") => settings.max_file = max_file(value)?,
                (_, "compress") => refuse_compression(driver, option, value)?,
                (Driver::JsonFile, "labels") => {
                    let chosen = |name: &str| labels.get(name).cloned();
                    settings.choose(value, chosen);
                }
                (Driver::JsonFile, "env") => settings.choose(value, |name| {
                    let mut pairs = env.iter().filter_map(|pair| pair.split_once('='));
                    pairs.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
                }),
                (Driver::JsonFile, "labels-regex" | "env-regex" | "tag") => {
                    let option = option.clone();
                    return Err(Error::UnsupportedOption { option });
                }
                _ => return Err(unknown(option, driver)),
            }
        }
        Ok(settings)
    }

    /// The defaults of a driver: `json-file` grows for ever, `local` keeps five
    /// files of 20 MiB.
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
            attributes: BTreeMap::new(),
        }
    }

    fn choose(&mut self, names: &str, value_of: impl Fn(&str) -> Option<String>) {
        for name in names.split(',') {
            if let Some(value) = value_of(name) {
                self.attributes.insert(name.to_owned(), value);
            }
        }
    }
}

fn unknown(option: &str, driver: Driver) -> Error {
    Error::UnknownOption {
        option: option.to_owned(),
        driver: driver.name(),
    }
}

fn max_size(value: &str) -> Result<Option<u64>> {
    match parse_size(value) {
        // Docker's way to say "never rotate".
        None if value == "-1" => Ok(None),
        Some(bytes) if bytes > 0 => Ok(Some(bytes)),
        _ => Err(Error::InvalidOption {
            option: "max-size",
            value: value.to_owned(),
            reason: "must be a positive number",
        }),
    }
}

fn max_file(value: &str) -> Result<u32> {
    let number = value.parse().ok().filter(|&n| (1..=1000).contains(&n));
    number.ok_or_else(|| Error::InvalidOption {
        option: "max-file",
        value: value.to_owned(),
        reason: "must be between 1 and 1000",
    })
}

/// `local` compresses by default in Docker; ours is not compressed either way,
/// which nobody can see from outside.
fn refuse_compression(driver: Driver, option: &str, value: &str) -> Result<()> {
    match (driver, value) {
        (_, "false" | "0" | "f") | (Driver::Local, "true" | "1" | "t") => Ok(()),
        (_, "true" | "1" | "t") => Err(Error::UnsupportedOption {
            option: option.to_owned(),
        }),
        _ => Err(Error::InvalidOption {
            option: "compress",
            value: value.to_owned(),
            reason: "must be true or false",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: Driver, options: &[(&str, &str)]) -> Result<Settings> {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let options = options.iter().map(pair).collect();
        let labels = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
        let env = ["A=1".to_owned(), "B=x=y".to_owned()];
        Settings::from_options(driver, &options, Path::new("/c"), "id", &labels, &env)
    }

    #[test]
    fn options_are_read() {
        let options = [
            ("max-size", "10m"),
            ("max-file", "3"),
            ("labels", "team,none"),
            ("env", "B"),
        ];
        let settings = read(Driver::JsonFile, &options).unwrap();
        assert_eq!(settings.path, Path::new("/c/id-json.log"));
        assert_eq!(
            (settings.max_size, settings.max_file),
            (Some(10_000_000), 3)
        );
        assert_eq!(settings.attributes["team"], "red");
        assert_eq!(settings.attributes["B"], "x=y");
        assert_eq!(settings.attributes.len(), 2);
        assert_eq!(read(Driver::Local, &[]).unwrap().max_file, 5);
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let refused =
            |driver, option, value| read(driver, &[(option, value)]).unwrap_err().to_string();
        assert!(refused(Driver::JsonFile, "compress", "true").contains("compress"));
        assert!(refused(Driver::JsonFile, "tag", "x").contains("tag"));
        assert_eq!(
            refused(Driver::Local, "nonsense", "x"),
            "unknown log opt 'nonsense' for local log driver"
        );
        assert!(refused(Driver::JsonFile, "max-size", "0").contains("max-size"));
        assert!(refused(Driver::JsonFile, "max-file", "0").contains("max-file"));
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
