//! Giving a container another name.

use super::{Containers, names};
use crate::error::{Error, Result};

impl Containers {
    /// Renames a container, whether it runs or not.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Invalid` when the new name is none, or the old one;
    /// `NameInUse`.
    pub fn rename(&self, idref: &str, new_name: &str) -> Result<()> {
        let inner = &self.inner;
        if idref.is_empty() || new_name.is_empty() {
            return Err(Error::Invalid(
                "Neither old nor new names may be empty".to_owned(),
            ));
        }
        let container = inner.find(idref)?;
        if new_name.strip_prefix('/').unwrap_or(new_name) == container.name() {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        let claimed = names::check(new_name)
            .map_err(|_| Error::InvalidName(with_slash(new_name)))
            .and_then(|name| inner.table.claim(name, container.id()).map(|()| name));
        let name = claimed.map_err(|error| Error::NewName(Box::new(error)))?;
        let id = container.id().as_str();
        let written = inner
            .database
            .write(|tx| gantry_metadata::containers::rename(tx, id, name).map_err(Error::Metadata));
        match written {
            Ok(true) => {}
            Ok(false) => {
                inner.table.unclaim(name);
                return Err(Error::NoSuchContainer(idref.to_owned()));
            }
            Err(error) => {
                inner.table.unclaim(name);
                return Err(error);
            }
        }
        let old = inner.table.rename(&container, name);
        inner.network.rename(container.id(), name);
        if let Some(attachment) = inner.network.attachment(container.id()) {
            inner.settle_fact(&container, |state| {
                state.attachment = Some(attachment.clone());
            });
        }
        inner.publish(&container, "rename", &[("oldName", with_slash(&old))]);
        Ok(())
    }
}

/// As Docker writes names in such places.
fn with_slash(name: &str) -> String {
    format!("/{}", name.strip_prefix('/').unwrap_or(name))
}
