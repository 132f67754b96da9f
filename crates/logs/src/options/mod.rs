//! A container's log options → [`Settings`], in Docker's two steps: names and
//! the values of addresses are checked when the container is made, the other
//! values when it starts.

mod address;
mod attributes;
mod cache;
mod files;
mod fluentd;
mod gelf;
mod number;
mod syslog;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::settings::{Driver, Settings, Speaking};
use crate::size::parse_size;
use crate::speak::{self, Service};

/// `--log-opt`s.
pub type Options = BTreeMap<String, String>;

/// What waits in memory with `mode=non-blocking` when no size is given.
const BUFFER: u64 = 1_000_000;

/// Options that choose what is said of a container beside its output.
const CHOOSING: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// What options may choose from, and `tag` may name.
#[derive(Debug, Clone, Default)]
pub struct Subject<'s> {
    /// The container's id.
    pub id: &'s str,
    /// Its name, with a slash before it.
    pub name: &'s str,
    /// Its program.
    pub program: &'s str,
    /// The program's arguments.
    pub arguments: &'s [String],
    /// The image's id.
    pub image_id: &'s str,
    /// The image as it was named when the container was made.
    pub image_name: &'s str,
    /// When the container was made, as in inspect.
    pub created: &'s str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment, `K=V`.
    pub env: &'s [String],
    /// This machine's name.
    pub hostname: String,
}

impl Subject<'_> {
    /// The name alone.
    fn plain_name(&self) -> &str {
        self.name.strip_prefix('/').unwrap_or(self.name)
    }

    /// The id as people write it.
    fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(self.id)
    }

    /// Program and arguments.
    fn command(&self) -> String {
        let words = std::iter::once(self.program).chain(self.arguments.iter().map(String::as_str));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether the driver has all these options, and their values make sense as far
/// as Docker looks at them when a container is made.
///
/// # Errors
/// `UnknownOption`; `UnsupportedOption` for what Docker has and we have not;
/// `InvalidOption`.
pub fn check(driver: Driver, options: &Options) -> Result<()> {
    buffer(options)?;
    let cache = cache::Cache::of(options)?;
    // Docker looks for the address first.
    if driver == Driver::Gelf {
        gelf::address(options)?;
    }
    for option in options.keys().map(String::as_str) {
        let known = match (driver, option) {
            (Driver::None, "mode" | "max-buffer-size") => true,
            (Driver::None, _) => false,
            (_, "mode" | "max-buffer-size") => true,
            (_, option) if cache::OPTIONS.contains(&option) => true,
            (Driver::JsonFile, option) => files::OPTIONS.contains(&option) || chooses(option),
            (Driver::Local, option) => files::OPTIONS.contains(&option),
            (Driver::Journald, option) => chooses(option),
            (Driver::Syslog, option) => syslog::OPTIONS.contains(&option) || chooses(option),
            (Driver::Fluentd, option) => fluentd::OPTIONS.contains(&option) || chooses(option),
            (Driver::Gelf, option) => gelf::OPTIONS.contains(&option) || chooses(option),
        };
        if !known {
            return Err(Error::UnknownOption {
                option: option.to_owned(),
                driver,
            });
        }
    }
    match driver {
        Driver::Syslog => syslog::check(options)?,
        Driver::Fluentd => fluentd::check(options)?,
        Driver::Gelf => gelf::check(options)?,
        Driver::JsonFile | Driver::Local | Driver::None | Driver::Journald => return Ok(()),
    }
    // Only where there is something to be cached.
    cache.check()
}

/// How logs of a driver rotate by these options, in words; empty where none does.
pub fn rotation(driver: &str, options: &Options) -> String {
    let settings = Driver::from_name(driver).and_then(|driver| {
        let mut settings = Settings::for_reading(driver, options, Path::new("/"), "")?;
        match driver {
            Driver::JsonFile => files::json_file(&mut settings, options)?,
            Driver::Local => files::local(&mut settings, options)?,
            _ => {}
        }
        Ok(settings)
    });
    let Ok((Some(size), files)) = settings.map(|settings| (settings.max_size, settings.max_file))
    else {
        return String::new();
    };
    let size = match size >> 20 {
        mib if mib << 20 == size => format!("{mib} MiB"),
        _ => format!("{size} bytes"),
    };
    match files {
        1 => format!("1 file of {size}"),
        files => format!("{files} files of {size}"),
    }
}

fn chooses(option: &str) -> bool {
    CHOOSING.contains(&option)
}

/// The mode of delivery: how much may wait, or `None` if the container waits.
fn buffer(options: &Options) -> Result<Option<u64>> {
    let non_blocking = match options.get("mode").map(String::as_str) {
        None | Some("" | "blocking") => false,
        Some("non-blocking") => true,
        Some(mode) => {
            return Err(invalid(format!(
                "logger: logging mode not supported: {mode}"
            )));
        }
    };
    let Some(size) = options.get("max-buffer-size") else {
        return Ok(non_blocking.then_some(BUFFER));
    };
    if !non_blocking {
        return Err(invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    // Binary here, as memory is.
    let size = number::memory(size)
        .map_err(|error| invalid(format!("error parsing option max-buffer-size: {error}")))?;
    Ok(Some(if size == 0 { BUFFER } else { size }))
}

impl Settings {
    /// Reads a container's log configuration; `dir` is the container's directory.
    /// Names in addresses are looked up.
    ///
    /// # Errors
    /// Those of [`check`], `InvalidOption`, and `Dial` for a name that is unknown.
    pub fn from_options(
        driver: Driver,
        options: &Options,
        dir: &Path,
        subject: &Subject<'_>,
    ) -> Result<Self> {
        check(driver, options)?;
        let mut settings = Self::new(driver, dir, subject.id);
        let buffer = buffer(options)?;
        let to = match driver {
            Driver::JsonFile => {
                files::json_file(&mut settings, options)?;
                let tag = attributes::tag(options, "", subject)?;
                settings.attributes = attributes::chosen(options, subject)?;
                if !tag.is_empty() {
                    settings.attributes.insert("tag".to_owned(), tag);
                }
                buffer.is_some().then_some(Service::File)
            }
            Driver::Local => {
                files::local(&mut settings, options)?;
                buffer.is_some().then_some(Service::File)
            }
            Driver::None => None,
            Driver::Journald => Some(Service::Journald(journald(options, subject)?)),
            Driver::Syslog => Some(Service::Syslog(syslog::settings(options, subject)?)),
            Driver::Fluentd => Some(Service::Fluentd(fluentd::settings(options, subject)?)),
            Driver::Gelf => Some(Service::Gelf(gelf::settings(options, subject)?)),
        };
        if driver.is_spoken() {
            settings.attributes = attributes::chosen(options, subject)?;
            cache::Cache::of(options)?.apply(&mut settings)?;
        }
        settings.speaking = to.map(|to| Speaking {
            buffer: buffer.or(match &to {
                Service::Fluentd(fluentd) if fluentd.asynchronous => Some(fluentd.buffer_limit),
                _ => None,
            }),
            to,
        });
        Ok(settings)
    }

    /// What a reader of the container's log needs to know.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn for_reading(driver: Driver, options: &Options, dir: &Path, id: &str) -> Result<Self> {
        let mut settings = Self::new(driver, dir, id);
        if driver.is_spoken() {
            cache::Cache::of(options)?.apply(&mut settings)?;
        }
        Ok(settings)
    }
}

/// The default of `tag` for all services.
const TAG: &str = "{{.ID}}";

fn journald(options: &Options, subject: &Subject<'_>) -> Result<speak::journald::Settings> {
    let tag = attributes::tag(options, TAG, subject)?;
    let mut fields = vec![
        ("CONTAINER_ID".to_owned(), subject.short_id().to_owned()),
        ("CONTAINER_ID_FULL".to_owned(), subject.id.to_owned()),
        ("CONTAINER_NAME".to_owned(), subject.plain_name().to_owned()),
        ("CONTAINER_TAG".to_owned(), tag.clone()),
        ("IMAGE_NAME".to_owned(), subject.image_name.to_owned()),
        ("SYSLOG_IDENTIFIER".to_owned(), tag),
    ];
    for (key, value) in attributes::chosen(options, subject)? {
        let key = speak::journald::field_name(&key);
        fields.retain(|(other, _)| *other != key);
        fields.push((key, value));
    }
    Ok(speak::journald::Settings {
        socket: speak::journald::SOCKET.into(),
        fields,
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidOption(message.into())
}

fn size(text: &str) -> Result<u64> {
    parse_size(text).map_err(invalid)
}
