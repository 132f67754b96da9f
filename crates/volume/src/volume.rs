//! A volume, and its record.

use std::path::{Path, PathBuf};

use gantry_metadata::volumes::VolumeRow;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::driver::Pairs;
use crate::local::{self, Backing};

/// The label of volumes that were given no name.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";
/// The driver that is part of the engine.
pub const DRIVER: &str = "local";
/// The part of a volume's directory that containers see.
pub(crate) const DATA: &str = "_data";

/// A volume. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// `None` when there were none given.
    pub labels: Option<Pairs>,
    /// `None` when there were none given.
    pub options: Option<Pairs>,
    /// Whose it is.
    pub driver: String,
    /// What its files are.
    pub backing: Backing,
    /// What containers see, if its backing is its directory. Of a plug-in's volume it is
    /// where that said its files are, if it did.
    pub directory: PathBuf,
}

/// The JSON in a volume's row.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Pairs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Pairs>,
    /// What its directory is called until it is renamed (see `copies`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<String>,
}

/// What a volume's directory may still be called.
pub(crate) fn name_before(row: &VolumeRow) -> Option<String> {
    let record: Record = serde_json::from_str(&row.record).ok()?;
    record.was
}

impl Volume {
    pub(crate) fn new(
        root: &Path,
        name: String,
        created_at: i64,
        labels: Option<Pairs>,
        options: Option<Pairs>,
    ) -> Result<Self> {
        let backing = match &options {
            Some(options) => local::backing(&name, options)?,
            None => Backing::Directory,
        };
        Ok(Self {
            directory: root.join(&name).join(DATA),
            name,
            created_at,
            labels,
            options,
            driver: DRIVER.to_owned(),
            backing,
        })
    }

    /// One of a plug-in.
    pub(crate) fn plugged(
        driver: &str,
        name: String,
        created_at: i64,
        (labels, options): (Option<Pairs>, Option<Pairs>),
        directory: PathBuf,
    ) -> Self {
        Self {
            name,
            created_at,
            labels,
            options,
            driver: driver.to_owned(),
            backing: Backing::Plugin,
            directory,
        }
    }

    /// Whether it is of a plug-in.
    pub fn is_plugged(&self) -> bool {
        self.backing == Backing::Plugin
    }

    /// What a spoilt record says is lost, but not the files.
    pub(crate) fn from_row(root: &Path, row: VolumeRow) -> Self {
        let read = serde_json::from_str(&row.record).map_err(|error| error.to_string());
        let read = read.and_then(|record: Record| {
            let (labels, options) = (record.labels, record.options);
            if row.driver != DRIVER {
                let name = row.name.clone();
                let pairs = (labels, options);
                return Ok(Self::plugged(
                    &row.driver,
                    name,
                    row.created_at,
                    pairs,
                    PathBuf::new(),
                ));
            }
            Self::new(root, row.name.clone(), row.created_at, labels, options)
                .map_err(|error| error.to_string())
        });
        read.unwrap_or_else(|error| {
            tracing::error!(name = row.name, error, "a volume's record cannot be read");
            Self {
                directory: root.join(&row.name).join(DATA),
                name: row.name,
                created_at: row.created_at,
                labels: None,
                options: None,
                backing: match row.driver.as_str() {
                    DRIVER => Backing::Directory,
                    _ => Backing::Plugin,
                },
                driver: row.driver,
            }
        })
    }

    pub(crate) fn row(&self) -> VolumeRow {
        self.row_with(None)
    }

    /// The same while its directory is still called otherwise.
    pub(crate) fn row_after(&self, old: &str) -> VolumeRow {
        self.row_with(Some(old.to_owned()))
    }

    fn row_with(&self, was: Option<String>) -> VolumeRow {
        let record = Record {
            labels: self.labels.clone(),
            options: self.options.clone(),
            was,
        };
        VolumeRow {
            name: self.name.clone(),
            driver: self.driver.clone(),
            created_at: self.created_at,
            // Maps of text are always JSON.
            record: serde_json::to_string(&record).unwrap_or_default(),
        }
    }

    /// Whether it was given no name.
    pub fn is_anonymous(&self) -> bool {
        let labels = self.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }

    /// Whether it has a limit of how much it holds.
    pub(crate) fn is_limited(&self) -> bool {
        let options = self.options.as_ref();
        options.is_some_and(|options| options.contains_key(local::SIZE))
    }

    /// Whether it cannot be written to, since it is as another volume was.
    pub fn is_snapshot(&self) -> bool {
        let labels = self.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(crate::SNAPSHOT_OF))
    }

    /// Its own directory, with all that belongs to it. What a plug-in calls its place
    /// is none.
    pub(crate) fn home(&self) -> Option<&Path> {
        match self.backing {
            Backing::Plugin => None,
            // `directory` is made of the two.
            _ => self.directory.parent(),
        }
    }

    /// Bytes that it takes on the disk, with its own directories; -1 when its files
    /// are not there.
    pub fn disk(&self) -> i64 {
        let Some(home) = self.home().filter(|_| self.backing == Backing::Directory) else {
            return -1;
        };
        let measured = gantry_archive::disk_usage(home);
        measured.map_or(-1, |disk| i64::try_from(disk).unwrap_or(i64::MAX))
    }
}
