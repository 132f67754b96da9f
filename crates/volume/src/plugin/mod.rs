//! Volume plug-ins: programs of others that drive volumes, spoken to by Docker's
//! protocol. Nothing they say is believed beyond what it is for, and no call waits
//! for them without an end.

mod address;
mod driver;
mod exchange;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use address::PluginFolders;
#[cfg(fuzzing)]
pub use driver::read_answer;
pub use driver::{Patience, Plugin};

use crate::driver::VolumeDriver;

/// The plug-ins of a host.
pub(crate) struct Plugins {
    folders: PluginFolders,
    patience: Patience,
    /// Those that were asked who they are.
    known: Mutex<BTreeMap<String, Arc<Plugin>>>,
}

/// Why there is no plug-in of a name.
pub(crate) enum Missing {
    /// There is none.
    NotFound,
    /// There is one, and it does not do.
    Unusable(String),
}

impl Plugins {
    pub(crate) fn new(folders: PluginFolders, patience: Patience) -> Self {
        Self {
            folders,
            patience,
            known: Mutex::default(),
        }
    }

    /// A plug-in that drives volumes. One that has moved is asked anew who it is.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Plugin>, Missing> {
        let address = match address::find(&self.folders, name) {
            Ok(Some(address)) => address,
            Ok(None) => return self.lock().get(name).cloned().ok_or(Missing::NotFound),
            Err(why) => return Err(Missing::Unusable(why)),
        };
        let known = self.lock().get(name).cloned();
        if let Some(known) = known.filter(|known| known.address == address) {
            return Ok(known);
        }
        // Not under the lock: it may take its time.
        match Plugin::activate(name, address, self.patience) {
            Ok(Some(plugin)) => {
                let plugin = Arc::new(plugin);
                self.lock().insert(name.to_owned(), Arc::clone(&plugin));
                Ok(plugin)
            }
            Ok(None) => Err(Missing::Unusable(format!(
                "legacy plugin: Plugin does not implement the requested driver: plugin={name:?}, \
                 requested implementation=\"VolumeDriver\""
            ))),
            Err(refusal) => Err(Missing::Unusable(refusal.text)),
        }
    }

    /// All that drive volumes, and what is wrong with others.
    pub(crate) fn all(&self) -> (Vec<Arc<Plugin>>, Vec<String>) {
        let mut names = address::names(&self.folders);
        names.extend(self.lock().keys().cloned());
        let (mut plugins, mut warnings) = (Vec::new(), Vec::new());
        for name in names {
            match self.find(&name) {
                Ok(plugin) => plugins.push(plugin),
                Err(Missing::Unusable(why)) if !why.starts_with("legacy plugin: ") => {
                    warnings.push(format!("plug-in {name:?}: {why}"));
                }
                Err(_) => {}
            }
        }
        (plugins, warnings)
    }

    /// Those that were used, by name.
    pub(crate) fn used(&self) -> Vec<String> {
        let known = self.lock();
        known
            .values()
            .map(|plugin| plugin.name().to_owned())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Plugin>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
