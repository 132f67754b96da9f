//! Other limits for a container that runs: its shim writes them to the kernel.

use gantry_api::HostConfig;
use gantry_cgroup::Resources;
use gantry_shim::client::Error as ShimError;
use gantry_shim::protocol::Refusal;

use super::container::Container;
use super::{Inner, spec};
use crate::error::{Error, Result};

impl Inner {
    /// Gives a running container what `given` names; `whole` is its configuration
    /// with that. One that does not run gets its limits when it starts.
    ///
    /// # Errors
    /// `Failed` with what the kernel said; then a part may have changed.
    pub(super) fn change_limits(
        &self,
        container: &Container,
        given: &HostConfig,
        whole: &HostConfig,
    ) -> Result<()> {
        let Ok(link) = container.link() else {
            return Ok(());
        };
        if let Some(bound) = spec::too_few_or_many_shares(given, self.settings.host.cgroup_v2) {
            return Err(refused(&format!("the {bound}")));
        }
        let oci = spec::changes(given, whole)?;
        let changed = Resources::from_oci(&oci).map_err(|error| refused(&error.to_string()))?;
        match link.update(changed) {
            // It ends just now.
            Ok(()) | Err(ShimError::Refused(Refusal::NotRunning)) => Ok(()),
            Err(ShimError::Refused(refusal)) => Err(refused(&refusal.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Docker's runtime is a program, which ends with an error.
fn refused(why: &str) -> Error {
    Error::Failed(format!(
        "runc did not terminate successfully: exit status 1: {why}\n"
    ))
}
