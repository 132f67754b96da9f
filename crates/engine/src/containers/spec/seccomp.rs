//! The seccomp filter of a container, compiled here: the shim only installs it.

use std::sync::Arc;

use gantry_api::HostConfig;
use gantry_runtime::seccomp::{Filter, ProfileError, compile, default_filter, from_profile};

use super::capabilities;
use super::security::{SeccompChoice, Security};
use crate::error::{Error, Result};

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
        _ if host.privileged => return Ok(None),
        (SeccompChoice::Default, Some("unconfined")) => return Ok(None),
        (SeccompChoice::Default, Some(json)) if json != "builtin" => Some(json),
        (SeccompChoice::Default | SeccompChoice::Builtin, _) => None,
    };
    let mask = capabilities::of(host);
    let compiled = match profile {
        None => default_filter(mask),
        Some(json) => from_profile(json, mask).and_then(|profile| {
            compile(&profile)
                .map(Arc::new)
                .map_err(|error| ProfileError::Compile(error.to_string()))
        }),
    };
    compiled.map(Some).map_err(|error| Error::Start {
        message: error.to_string(),
        exit_code: 128,
        kind: error.kind(),
    })
}
