//! The options of the copy that `docker logs` reads where the output itself
//! goes to a service: a `local` log.

use super::{Options, files, invalid, number};
use crate::error::Result;
use crate::settings::Settings;
use gantry_types::sort::IntoMap;

/// Their names. Drivers that need no copy take them too, as in Docker.
pub(super) const OPTIONS: [&str; 4] = [
    "cache-disabled",
    "cache-max-size",
    "cache-max-file",
    "cache-compress",
];

/// What they say.
pub(super) struct Cache {
    disabled: bool,
    /// Those of a `local` log.
    options: Options,
}

impl Cache {
    pub(super) fn of(options: &Options) -> Result<Self> {
        let disabled = options.get("cache-disabled").map_or("", String::as_str);
        let disabled = match disabled {
            "" => false,
            text => number::boolean(text)
                .map_err(|_| invalid(format!("invalid value for option cache-disabled: {text}")))?,
        };
        let local = |(key, value): (&String, &String)| {
            let key = key.strip_prefix("cache-")?;
            files::OPTIONS
                .contains(&key)
                .then(|| (key.to_owned(), value.clone()))
        };
        Ok(Self {
            disabled,
            options: options.iter().filter_map(local).into_map(),
        })
    }

    /// Whether the values make sense; Docker goes on without a cache when they
    /// do not.
    pub(super) fn check(&self) -> Result<()> {
        let mut settings = Settings::new(crate::Driver::Local, std::path::Path::new("/"), "");
        files::local(&mut settings, &self.options)
            .map_err(|error| invalid(format!("invalid cache option: {error}")))
    }

    pub(super) fn apply(&self, settings: &mut Settings) -> Result<()> {
        if self.disabled {
            settings.without_files();
            return Ok(());
        }
        files::local(settings, &self.options)
    }
}
