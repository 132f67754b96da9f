//! The seccomp filter of a container, compiled here: the shim only installs it.

use std::sync::Arc;

use gantry_api::HostConfig;
use gantry_runtime::CapabilityMask;
use gantry_runtime::seccomp::{Filter, ProfileError, compile, default_filter, from_profile};

use super::capabilities;
use super::security::{SeccompChoice, Security};
use crate::error::{Error, Result};

/// What Docker says before what its runtime says.
const CREATING: &str = "failed to create task for container: failed to create shim task: OCI \
                        runtime create failed: runc create failed: ";

/// The filter, or `None` where nothing is forbidden. `configured` is the
/// engine's own profile.
///
/// # Errors
/// `Invalid` for a profile that is none.
pub(crate) fn filter(
    host: &HostConfig,
    security: &Security,
    configured: Option<&str>,
) -> Result<Option<Arc<Filter>>> {
    let profile = match (&security.seccomp, configured) {
        (SeccompChoice::Unconfined, _) => return Ok(None),
        (SeccompChoice::Profile(json), _) => Some(json.as_str()),
        (SeccompChoice::Builtin, _) => None,
        _ if host.privileged => return Ok(None),
        (SeccompChoice::Default, Some("unconfined")) => return Ok(None),
        (SeccompChoice::Default, Some(json)) if json != "builtin" => Some(json),
        (SeccompChoice::Default, _) => None,
    };
    let mask = capabilities::of(host);
    let compiled = match profile {
        None => default_filter(mask).map(Some),
        Some(json) => of_json(json, mask),
    };
    compiled.map_err(|error| Error::Start {
        message: match &error {
            ProfileError::Rejected(text) => format!("{CREATING}{text}"),
            other => other.to_string(),
        },
        exit_code: 128,
        kind: error.kind(),
    })
}

fn of_json(
    json: &str,
    mask: CapabilityMask,
) -> std::result::Result<Option<Arc<Filter>>, ProfileError> {
    let Some(profile) = from_profile(json, mask)? else {
        return Ok(None);
    };
    let filter = compile(&profile).map_err(|error| ProfileError::Compile(error.to_string()))?;
    Ok(Some(Arc::new(filter)))
}
