//! What every driver of volumes can do. One is in this crate (`local`), others are
//! programs of their own (`plugin`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Result;

/// Keys and values.
pub type Pairs = BTreeMap<String, String>;

/// What a driver says of one of its volumes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// As users name it.
    pub name: String,
    /// Where its files are on the host; empty while they are nowhere.
    pub mountpoint: PathBuf,
    /// RFC 3339; empty when the driver does not say.
    pub created_at: String,
    /// Whatever the driver wants to be shown.
    pub status: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A driver of volumes. Every call ends in bounded time.
///
/// A volume is made, mounted for each of its users, unmounted for each of them, and
/// removed. Who uses it, and that nobody removes it meanwhile, is the store's matter.
pub trait VolumeDriver: Send + Sync {
    /// What users call it.
    fn name(&self) -> &str;

    /// `local`, or `global` for volumes that are the same on all hosts.
    fn scope(&self) -> &str;

    /// Makes a volume.
    ///
    /// # Errors
    /// `Driver`, in the driver's words; `Disk`.
    fn create(&self, name: &str, options: &Pairs) -> Result<()>;

    /// Looks for a volume.
    ///
    /// # Errors
    /// `Driver` when it cannot be told whether there is one.
    fn get(&self, name: &str) -> Result<Option<Found>>;

    /// All its volumes.
    ///
    /// # Errors
    /// `Driver`, `Disk`.
    fn list(&self) -> Result<Vec<Found>>;

    /// Removes a volume with all that is in it.
    ///
    /// # Errors
    /// `Driver`, `Disk`.
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes a volume's files be somewhere on the host, for the use that `id` stands
    /// for; answers where.
    ///
    /// # Errors
    /// `Mount`.
    fn mount(&self, name: &str, id: &str) -> Result<PathBuf>;

    /// That use is over.
    ///
    /// # Errors
    /// `Driver`.
    fn unmount(&self, name: &str, id: &str) -> Result<()>;
}
