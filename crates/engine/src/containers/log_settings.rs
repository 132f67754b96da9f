//! Where a container's output goes: its log driver and options, looked at when
//! it is made (their names) and when it starts (their values), as Docker does.

use std::collections::BTreeMap;

use gantry_api::rfc3339_nano;
use gantry_logs::{Driver, Subject};
use gantry_types::ErrorKind;

use super::record::Record;
use super::{Container, Settings};
use crate::error::{Error, Result};

/// Refuses drivers and options that there are not.
pub(super) fn check(record: &Record) -> Result<()> {
    Ok(gantry_logs::check(driver(record)?, &options(record))?)
}

/// The settings of a container that starts.
pub(super) fn for_start(
    container: &Container,
    settings: &Settings,
) -> Result<gantry_logs::Settings> {
    of(&container.record(), settings).map_err(|error| Error::Start {
        message: format!(
            "failed to create task for container: failed to initialize logging driver: {error}"
        ),
        exit_code: 128,
        kind: ErrorKind::Internal,
    })
}

/// What a reader needs to know, whatever the options.
pub(super) fn for_reading(record: &Record, settings: &Settings) -> Result<gantry_logs::Settings> {
    Ok(gantry_logs::Settings::for_reading(
        driver(record)?,
        &options(record),
        &record.dir(&settings.data_root),
        record.id.as_str(),
    )?)
}

fn of(record: &Record, settings: &Settings) -> Result<gantry_logs::Settings> {
    let config = &record.config;
    let subject = Subject {
        id: record.id.as_str(),
        name: &format!("/{}", record.name),
        program: &record.path,
        arguments: &record.args,
        image_id: &record.image_id,
        image_name: &config.image,
        created: &rfc3339_nano(record.created),
        labels: config.labels.clone().unwrap_or_default(),
        env: config.env.as_deref().unwrap_or_default(),
        hostname: hostname(),
    };
    Ok(gantry_logs::Settings::from_options(
        driver(record)?,
        &options(record),
        &record.dir(&settings.data_root),
        &subject,
    )?)
}

fn driver(record: &Record) -> Result<Driver> {
    let kind = &record.host_config.log_config.kind;
    Driver::from_name(kind).map_err(|error| match error {
        gantry_logs::Error::UnknownDriver(_) => Error::Invalid(format!(
            "error looking up logging plugin {kind}: plugin \"{kind}\" not found"
        )),
        other => other.into(),
    })
}

fn options(record: &Record) -> BTreeMap<String, String> {
    let log = &record.host_config.log_config;
    log.config.clone().unwrap_or_default()
}

/// This machine's name.
fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
