//! Volumes of plug-ins. Which there are, the plug-ins know; a row says who has one that
//! was made or used here, with its labels, and that name is no other driver's.

use std::sync::Arc;

use gantry_metadata::volumes;

use crate::driver::{Found, VolumeDriver};
use crate::plugin::{Missing, Plugin};
use crate::store::{Entry, VolumeStore, Wanted};
use crate::volume::DRIVER;
use crate::{Error, Listed, Result, Volume};

/// A volume, with what its driver says of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The volume, and who uses it.
    pub listed: Listed,
    /// What its plug-in says.
    pub found: Found,
    /// `local` or `global`.
    pub scope: String,
}

impl VolumeStore {
    /// The plug-in of a name.
    pub(crate) fn plugin(
        &self,
        operation: &'static str,
        volume: &str,
        driver: &str,
    ) -> Result<Arc<Plugin>> {
        self.plugins
            .find(driver)
            .map_err(|missing| match (missing, operation) {
                (Missing::NotFound, "create") => Error::NoDriver {
                    name: volume.to_owned(),
                    driver: driver.to_owned(),
                },
                (Missing::Unusable(why), "create") => Error::BadDriver {
                    name: volume.to_owned(),
                    driver: driver.to_owned(),
                    why,
                },
                (missing, _) => Error::Driver {
                    operation,
                    name: volume.to_owned(),
                    why: match missing {
                        Missing::NotFound => format!(
                            "error looking up volume plugin {driver}: plugin {driver:?} not found"
                        ),
                        Missing::Unusable(why) => {
                            format!("error looking up volume plugin {driver}: {why}")
                        }
                    },
                },
            })
    }

    /// The plug-ins that were used, for those who look.
    pub fn plugin_names(&self) -> Vec<String> {
        self.plugins.used()
    }

    /// Who has, or is to have, the volume that is wanted; `None` for `local`.
    ///
    /// # Errors
    /// `NoDriver`, `BadDriver`, `Taken`.
    pub(crate) fn plugin_for(&self, wanted: &Wanted<'_>) -> Result<Option<Arc<Plugin>>> {
        let of_driver = match wanted.driver {
            "" | DRIVER => None,
            driver => Some(self.plugin("create", wanted.name, driver)?),
        };
        let recorded = self.entry_driver(wanted.name);
        match recorded {
            Some(driver) if !wanted.driver.is_empty() && driver != wanted.driver => {
                Err(Error::Taken {
                    name: wanted.name.to_owned(),
                    driver,
                })
            }
            Some(driver) if driver != DRIVER => {
                self.plugin("create", wanted.name, &driver).map(Some)
            }
            Some(_) => Ok(None),
            None if wanted.driver.is_empty() && !wanted.name.is_empty() => {
                // It may be one that was made elsewhere.
                Ok(self.owner(wanted.name).map(|(plugin, _)| plugin))
            }
            None => Ok(of_driver),
        }
    }

    /// The plug-in that has a volume of this name.
    fn owner(&self, name: &str) -> Option<(Arc<Plugin>, Found)> {
        let (plugins, _) = self.plugins.all();
        plugins.into_iter().find_map(|plugin| {
            let found = plugin.get(name).ok().flatten()?;
            Some((plugin, found))
        })
    }

    /// Lets the plug-in have a volume as it is wanted, which has an entry afterwards.
    /// The turn is the caller's.
    pub(crate) fn make_plugged(
        &self,
        plugin: &Plugin,
        wanted: &Wanted<'_>,
        name: &str,
    ) -> Result<()> {
        let told = plugin
            .get(name)
            .map_err(|error| self.unsure(plugin, name, error))?;
        let mut made = false;
        let found = match told {
            Some(found) => found,
            None => {
                let none = crate::Pairs::new();
                plugin.create(name, wanted.options.unwrap_or(&none))?;
                made = true;
                plugin.get(name).ok().flatten().unwrap_or_default()
            }
        };
        let mut entries = self.lock();
        if entries.contains_key(name) {
            return Ok(());
        }
        let pairs = (self.labels_of(wanted), wanted.options.cloned());
        let now = gantry_metadata::now();
        let volume = Volume::plugged(plugin.name(), name.to_owned(), now, pairs, found.mountpoint);
        let mut entry = Entry::of(volume, false);
        entry.made = made;
        entries.insert(name.to_owned(), entry);
        Ok(())
    }

    fn unsure(&self, plugin: &Plugin, name: &str, error: Error) -> Error {
        let Error::Driver { why, .. } = error else {
            return error;
        };
        let driver = plugin.name();
        let recorded = self.entry_driver(name).is_some();
        Error::Driver {
            operation: "create",
            name: name.to_owned(),
            why: match recorded {
                true => format!(
                    "found reference to volume '{name}' in driver '{driver}', but got an error \
                     while checking the driver: {why}: volume name must be unique"
                ),
                false => why,
            },
        }
    }

    /// Takes plug-ins' volumes away that nobody wants, and says what stays.
    pub(crate) fn drop_plugged(&self, volumes: &[Arc<Volume>]) {
        for volume in volumes.iter().filter(|volume| volume.is_plugged()) {
            let _turn = self.turns.take(&volume.name);
            let plugin = self.plugin("remove", &volume.name, &volume.driver);
            if let Err(error) = plugin.and_then(|plugin| plugin.remove(&volume.name)) {
                tracing::warn!(volume = volume.name, %error, "a plug-in keeps a volume that nobody uses");
            }
        }
    }

    /// Removes a plug-in's volume that nobody uses; `None` when it is none.
    pub(crate) fn remove_plugged(&self, name: &str) -> Result<Option<Arc<Volume>>> {
        let recorded = self.entry_driver(name);
        let plugin = match recorded.as_deref() {
            Some(DRIVER) => return Ok(None),
            Some(driver) => self.plugin("remove", name, driver)?,
            None => match self.owner(name) {
                Some((plugin, _)) => plugin,
                None => return Ok(None),
            },
        };
        let _turn = self.turns.take(name);
        let users = self.lock().get(name).map(|entry| entry.listed().users);
        if let Some(users) = users.filter(|users| !users.is_empty()) {
            return Err(Error::InUse {
                name: name.to_owned(),
                users,
            });
        }
        let gone = plugin.get(name)?.is_none();
        if !gone {
            plugin.remove(name)?;
        }
        self.database
            .write_freeing(|tx| volumes::delete(tx, name).map(drop))?;
        let entry = self.lock().remove(name);
        if gone {
            return Err(Error::NotFound(name.to_owned()));
        }
        let unknown = || {
            let pairs = (None, None);
            Arc::new(Volume::plugged(
                plugin.name(),
                name.to_owned(),
                0,
                pairs,
                "".into(),
            ))
        };
        Ok(Some(entry.map_or_else(unknown, |entry| entry.volume)))
    }

    /// A volume with what its driver says of it.
    ///
    /// # Errors
    /// `NotFound`; `Driver` when its plug-in does not answer.
    pub fn look(&self, name: &str) -> Result<Seen> {
        match self.get(name) {
            Ok(listed) if !listed.volume.is_plugged() => Ok(of_local(listed)),
            Ok(listed) => {
                let plugin = self.plugin("get", name, &listed.volume.driver)?;
                let found = plugin.get(name)?;
                let found = found.ok_or_else(|| Error::NotFound(name.to_owned()))?;
                Ok(seen(listed, found, &plugin))
            }
            Err(error) => {
                let (plugin, found) = self.owner(name).ok_or(error)?;
                Ok(seen(unrecorded(&plugin, &found), found, &plugin))
            }
        }
    }

    /// All volumes, by name, with what plug-ins say; and what is wrong with plug-ins.
    pub fn look_at_all(&self) -> (Vec<Seen>, Vec<String>) {
        let (plugins, mut warnings) = self.plugins.all();
        let told: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = plugins
                .iter()
                .map(|plugin| (plugin, scope.spawn(|| plugin.list())))
                .collect();
            let answers = asked
                .into_iter()
                .filter_map(|(p, thread)| Some((p, thread.join().ok()?)));
            answers.collect()
        });
        let mut all = Vec::new();
        for listed in self.list() {
            let driver = &listed.volume.driver;
            let answer = told.iter().find(|(plugin, _)| plugin.name() == driver);
            match answer {
                Some((plugin, Ok(volumes))) => {
                    let found = volumes
                        .iter()
                        .find(|found| found.name == listed.volume.name);
                    if let Some(found) = found {
                        all.push(seen(listed, found.clone(), plugin));
                    }
                }
                _ => all.push(of_local(listed)),
            }
        }
        for (plugin, answer) in told {
            match answer {
                Ok(volumes) => all.extend(volumes.into_iter().filter_map(|found| {
                    let new = self.entry_driver(&found.name).is_none();
                    new.then(|| seen(unrecorded(plugin, &found), found, plugin))
                })),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        gantry_types::sort::by(&mut all, |a, b| {
            a.listed.volume.name.cmp(&b.listed.volume.name)
        });
        (all, warnings)
    }
}

fn of_local(listed: Listed) -> Seen {
    Seen {
        found: Found {
            name: listed.volume.name.clone(),
            mountpoint: listed.volume.directory.clone(),
            ..Found::default()
        },
        listed,
        scope: "local".to_owned(),
    }
}

fn seen(listed: Listed, found: Found, plugin: &Plugin) -> Seen {
    Seen {
        listed,
        found,
        scope: plugin.scope().to_owned(),
    }
}

/// One that a plug-in has and nobody here has used.
fn unrecorded(plugin: &Plugin, found: &Found) -> Listed {
    let name = found.name.clone();
    let mountpoint = found.mountpoint.clone();
    Listed {
        volume: Arc::new(Volume::plugged(
            plugin.name(),
            name,
            0,
            (None, None),
            mountpoint,
        )),
        users: Vec::new(),
    }
}
