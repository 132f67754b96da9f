//! The options of logs that are files: `json-file` and `local`.

use super::{Options, invalid, number, size};
use crate::error::Result;
use crate::settings::Settings;

/// Their names.
pub(super) const OPTIONS: [&str; 3] = ["max-size", "max-file", "compress"];

/// More files are not kept: readers look at each name.
const MOST_FILES: u32 = 1000;

pub(super) fn json_file(settings: &mut Settings, options: &Options) -> Result<()> {
    let sized = options.get("max-size");
    if let Some(text) = sized {
        let size = size(text)?;
        if size == 0 {
            return Err(invalid("max-size must be a positive number"));
        }
        settings.max_size = Some(size);
        // Who says one of the two without the other means what Docker does.
        settings.max_file = 1;
    }
    if let Some(text) = options.get("max-file") {
        let count = number::integer(text)?;
        if count < 1 {
            return Err(invalid("max-file cannot be less than 1"));
        }
        settings.max_file = files(count);
    }
    if let Some(text) = options.get("compress") {
        settings.compress = number::boolean(text)?;
        if settings.compress && (settings.max_file == 1 || sized.is_none()) {
            return Err(invalid(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ));
        }
    }
    Ok(())
}

pub(super) fn local(settings: &mut Settings, options: &Options) -> Result<()> {
    if let Some(text) = options.get("max-size") {
        let size = size(text)
            .map_err(|error| invalid(format!("invalid value for max-size: {text}: {error}")))?;
        settings.max_size = Some(size);
    }
    if let Some(text) = options.get("max-file") {
        let count = number::integer(text)
            .map_err(|error| invalid(format!("invalid value for max-file: {text}: {error}")))?;
        if count < 0 {
            return Err(invalid("max file count cannot be less than 0"));
        }
        settings.max_file = files(count);
    }
    if let Some(text) = options.get("compress") {
        settings.compress = number::boolean(text)
            .map_err(|error| invalid(format!("error reading compress log option: {error}")))?;
    }
    if settings.compress && settings.max_file <= 1 {
        return Err(invalid(
            "compression cannot be enabled when max file count is 1",
        ));
    }
    Ok(())
}

fn files(count: i64) -> u32 {
    u32::try_from(count)
        .unwrap_or(MOST_FILES)
        .clamp(1, MOST_FILES)
}
