//! Networks that are mere configurations (`--config-only`), and those that are made
//! from one (`--config-from`).

use std::sync::Arc;

use crate::definition::Definition;
use crate::error::Error;

/// Checks what a configuration may say, and what may be said beside one.
///
/// Fails with `Forbidden` in Docker's words.
pub(crate) fn check(definition: &mut Definition) -> Result<(), Error> {
    let forbidden = |text: &str| Err(Error::Forbidden(text.to_owned()));
    if definition.config_only {
        if definition.internal || definition.attachable {
            return forbidden(
                "configuration network can only contain network specific fields. Network \
                 operator fields like [ ingress | internal | attachable | scope ] are not \
                 supported.",
            );
        }
        if !definition.config_from.is_empty() {
            return forbidden(
                "a configuration network cannot depend on another configuration network",
            );
        }
        // Whoever is made from it names the driver.
        "null".clone_into(&mut definition.driver);
    }
    Ok(())
}

/// Takes over what the named configuration says.
///
/// Fails with `Forbidden` and `NotFound` in Docker's words.
pub(crate) fn apply(definition: &mut Definition, all: &[Arc<Definition>]) -> Result<(), Error> {
    let name = &definition.config_from;
    if name.is_empty() {
        return Ok(());
    }
    let named = |other: &&Arc<Definition>| other.config_only && other.name == *name;
    let Some(from) = all.iter().find(named) else {
        return Err(Error::Forbidden(format!(
            "configuration network {name:?} does not exist"
        )));
    };
    let own_options = definition.ipam_options.as_ref();
    let configured = definition.ipv6
        || !definition.labels.is_empty()
        || !definition.subnets.is_empty()
        || own_options.is_some_and(|options| !options.is_empty());
    if configured {
        return Err(Error::Forbidden(
            "user specified configurations are not supported if the network depends on a \
             configuration network"
                .to_owned(),
        ));
    }
    if !definition.options.is_empty() {
        return Err(Error::Forbidden(
            "network driver options are not supported if the network depends on a configuration \
             network"
                .to_owned(),
        ));
    }
    definition.ipv4 = from.ipv4;
    definition.ipv6 = from.ipv6;
    definition.labels.clone_from(&from.labels);
    definition.options.clone_from(&from.options);
    definition.subnets.clone_from(&from.subnets);
    definition.ipam_driver.clone_from(&from.ipam_driver);
    definition.ipam_options.clone_from(&from.ipam_options);
    Ok(())
}

/// A configuration stays as long as there are networks from it.
///
/// Fails with `Forbidden` in Docker's words.
pub(crate) fn check_unused(definition: &Definition, all: &[Arc<Definition>]) -> Result<(), Error> {
    let from_it = |other: &Arc<Definition>| other.config_from == definition.name;
    if definition.config_only && all.iter().any(from_it) {
        return Err(Error::Forbidden(format!(
            "error while removing network: configuration network {:?} is in use",
            definition.name
        )));
    }
    Ok(())
}
