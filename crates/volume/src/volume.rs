//! A volume, and its record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_metadata::volumes::VolumeRow;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::local::{self, Backing};

/// The label of volumes that were given no name.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";
/// The only driver.
pub const DRIVER: &str = "local";
/// The part of a volume's directory that containers see.
const DATA: &str = "_data";

type Pairs = BTreeMap<String, String>;

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
    /// What its files are.
    pub backing: Backing,
    /// What containers see, if its backing is its directory.
    pub directory: PathBuf,
}

/// The JSON in a volume's row.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Pairs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Pairs>,
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
            backing,
        })
    }

    /// What a spoilt record says is lost, but not the files.
    pub(crate) fn from_row(root: &Path, row: VolumeRow) -> Self {
        let read = serde_json::from_str(&row.record).map_err(|error| error.to_string());
        let read = read.and_then(|record: Record| {
            let (labels, options) = (record.labels, record.options);
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
                backing: Backing::Directory,
            }
        })
    }

    pub(crate) fn row(&self) -> VolumeRow {
        let record = Record {
            labels: self.labels.clone(),
            options: self.options.clone(),
        };
        VolumeRow {
            name: self.name.clone(),
            driver: DRIVER.to_owned(),
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

    /// Its own directory, with all that belongs to it.
    pub(crate) fn home(&self) -> &Path {
        // `directory` is made of the two.
        self.directory.parent().unwrap_or(&self.directory)
    }

    /// Bytes that it takes on the disk, with its own directories; -1 when its files
    /// are not there.
    pub fn disk(&self) -> i64 {
        if self.backing != Backing::Directory {
            return -1;
        }
        let measured = gantry_archive::disk_usage(self.home());
        measured.map_or(-1, |disk| i64::try_from(disk).unwrap_or(i64::MAX))
    }
}
