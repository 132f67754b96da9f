//! A container's log options → [`Settings`], in Docker's two steps: names are
//! checked when the container is made, values when it starts.

use std::collections::BTreeMap;
use std::path::Path;

use regex_lite::Regex;

use crate::error::{Error, Result};
use crate::settings::{Driver, Settings};
use crate::size::parse_size;
use crate::tag;

/// More files are not kept: readers look at each name.
const MOST_FILES: u32 = 1000;

/// `--log-opt`s.
pub type Options = BTreeMap<String, String>;

/// What options may choose from, and `tag` may name.
#[derive(Debug, Clone, Default)]
pub struct Subject<'s> {
    /// The container's id.
    pub id: &'s str,
    /// Its name.
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

/// Whether the driver has all these options.
///
/// # Errors
/// `UnknownOption`; `UnsupportedOption` for what Docker has and we have not;
/// `InvalidOption` where Docker looks at the value as early.
pub fn check(driver: Driver, options: &Options) -> Result<()> {
    check_mode(options)?;
    for option in options.keys() {
        let known = match (driver, option.as_str()) {
            (_, "mode" | "max-buffer-size") => true,
            (Driver::None, _) => false,
            (_, "max-size" | "max-file" | "compress") => true,
            (Driver::JsonFile, "labels" | "labels-regex" | "env" | "env-regex" | "tag") => true,
            _ => false,
        };
        if !known {
            return Err(Error::UnknownOption {
                option: option.to_owned(),
                driver,
            });
        }
    }
    Ok(())
}

/// The mode of delivery. Ours writes to a file at once, so there is nothing
/// that "non-blocking" could mean; it is refused rather than ignored.
fn check_mode(options: &Options) -> Result<()> {
    match options.get("mode").map(String::as_str) {
        None | Some("" | "blocking") => {}
        Some("non-blocking") => {
            return Err(Error::UnsupportedOption {
                option: "mode=non-blocking".to_owned(),
            });
        }
        Some(mode) => {
            return Err(invalid(format!(
                "logger: logging mode not supported: {mode}"
            )));
        }
    }
    if options.contains_key("max-buffer-size") {
        return Err(invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    Ok(())
}

impl Settings {
    /// Reads a container's log configuration; `dir` is the container's directory.
    ///
    /// # Errors
    /// Those of [`check`], and `InvalidOption`.
    pub fn from_options(
        driver: Driver,
        options: &Options,
        dir: &Path,
        subject: &Subject<'_>,
    ) -> Result<Self> {
        check(driver, options)?;
        let mut settings = Self::new(driver, dir, subject.id);
        match driver {
            Driver::JsonFile => json_file(&mut settings, options)?,
            Driver::Local => local(&mut settings, options)?,
            Driver::None => {}
        }
        settings.attributes = attributes(options, subject)?;
        Ok(settings)
    }
}

fn json_file(settings: &mut Settings, options: &Options) -> Result<()> {
    if let Some(text) = options.get("max-size") {
        let size = parse_size(text).map_err(invalid)?;
        if size == 0 {
            return Err(invalid("max-size must be a positive number"));
        }
        settings.max_size = Some(size);
    }
    if let Some(text) = options.get("max-file") {
        let count = number(text)?;
        if count < 1 {
            return Err(invalid("max-file cannot be less than 1"));
        }
        settings.max_file = files(count);
    }
    if let Some(text) = options.get("compress") {
        settings.compress = boolean(text)?;
        if settings.compress && (settings.max_file == 1 || settings.max_size.is_none()) {
            return Err(invalid(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ));
        }
    }
    Ok(())
}

fn local(settings: &mut Settings, options: &Options) -> Result<()> {
    if let Some(text) = options.get("max-size") {
        let size = parse_size(text)
            .map_err(|error| invalid(format!("invalid value for max-size: {text}: {error}")))?;
        settings.max_size = Some(size);
    }
    if let Some(text) = options.get("max-file") {
        let count = number(text)
            .map_err(|error| invalid(format!("invalid value for max-file: {text}: {error}")))?;
        if count < 0 {
            return Err(invalid("max file count cannot be less than 0"));
        }
        settings.max_file = files(count);
    }
    if let Some(text) = options.get("compress") {
        settings.compress = boolean(text)
            .map_err(|error| invalid(format!("error reading compress log option: {error}")))?;
    }
    if settings.compress && settings.max_file <= 1 {
        return Err(invalid(
            "compression cannot be enabled when max file count is 1",
        ));
    }
    Ok(())
}

/// The pairs that every record carries.
fn attributes(options: &Options, subject: &Subject<'_>) -> Result<BTreeMap<String, String>> {
    let env: BTreeMap<String, String> = subject
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut chosen = BTreeMap::new();
    for (names, pattern, pairs) in [
        ("labels", "labels-regex", &subject.labels),
        ("env", "env-regex", &env),
    ] {
        // As Docker: a wrong pattern is not looked at where there is no variable.
        if pairs.is_empty() && names == "env" {
            continue;
        }
        let mut choose = |wanted: &dyn Fn(&str) -> bool| {
            let found = pairs.iter().filter(|(key, _)| wanted(key));
            chosen.extend(found.map(|(key, value)| (key.clone(), value.clone())));
        };
        if let Some(names) = options.get(names) {
            choose(&|key| names.split(',').any(|name| name == key));
        }
        if let Some(pattern) = options.get(pattern).filter(|pattern| !pattern.is_empty()) {
            let pattern = Regex::new(pattern)
                .map_err(|error| invalid(format!("error parsing regexp: {error}")))?;
            choose(&|key| pattern.is_match(key));
        }
    }
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        let tag = tag::render(template, subject).map_err(invalid)?;
        if !tag.is_empty() {
            chosen.insert("tag".to_owned(), tag);
        }
    }
    Ok(chosen)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidOption(message.into())
}

fn files(count: i64) -> u32 {
    u32::try_from(count)
        .unwrap_or(MOST_FILES)
        .clamp(1, MOST_FILES)
}

/// A number as Go reads it.
fn number(text: &str) -> Result<i64> {
    let syntax = || invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax());
    }
    text.parse().map_err(|_| {
        invalid(format!(
            "strconv.Atoi: parsing {text:?}: value out of range"
        ))
    })
}

/// A boolean as Go reads it.
fn boolean(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(invalid(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: Driver, options: &[(&str, &str)]) -> Result<Settings> {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let options = options.iter().map(pair).collect();
        let env = ["A=1".to_owned(), "B=x=y".to_owned(), "NONE".to_owned()];
        let subject = Subject {
            id: "0123456789abcdef",
            name: "/web",
            labels: BTreeMap::from([("team".to_owned(), "red".to_owned())]),
            env: &env,
            ..Subject::default()
        };
        Settings::from_options(driver, &options, Path::new("/c"), &subject)
    }

    #[test]
    fn options_are_read() {
        let options = [
            ("max-size", "10m"),
            ("max-file", "3"),
            ("compress", "true"),
            ("mode", "blocking"),
        ];
        let settings = read(Driver::JsonFile, &options).unwrap();
        assert_eq!(settings.path, Path::new("/c/0123456789abcdef-json.log"));
        assert_eq!(settings.max_size, Some(10_000_000));
        assert_eq!((settings.max_file, settings.compress), (3, true));
        let local = read(Driver::Local, &[]).unwrap();
        assert_eq!((local.max_file, local.compress), (5, true));
        assert_eq!(local.max_size, Some(20 << 20));
        let local = read(Driver::Local, &[("compress", "0"), ("max-file", "0")]).unwrap();
        assert_eq!((local.max_file, local.compress), (1, false));
    }

    #[test]
    fn attributes_are_chosen() {
        let attributes = |options: &[(&str, &str)]| {
            let settings = read(Driver::JsonFile, options).unwrap();
            let pairs: Vec<String> = settings
                .attributes
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            pairs.join(",")
        };
        assert_eq!(attributes(&[("labels", "team,none")]), "team=red");
        assert_eq!(attributes(&[("labels-regex", "^t")]), "team=red");
        assert_eq!(attributes(&[("env", "B,NONE")]), "B=x=y");
        assert_eq!(attributes(&[("env-regex", "^[AB]$")]), "A=1,B=x=y");
        let tagged = attributes(&[("tag", "{{.Name}}/{{.ID}}"), ("env", "A")]);
        assert_eq!(tagged, "A=1,tag=web/0123456789ab");
        assert_eq!(attributes(&[("tag", ""), ("env", ""), ("labels", "")]), "");
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        use Driver::{JsonFile, Local, None};
        for (driver, options, words) in [
            (
                JsonFile,
                &[("max-size", "0")][..],
                "max-size must be a positive number",
            ),
            (JsonFile, &[("max-size", "x")], "invalid size: 'x'"),
            (
                JsonFile,
                &[("max-file", "0")],
                "max-file cannot be less than 1",
            ),
            (
                JsonFile,
                &[("max-file", "x")],
                "strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                JsonFile,
                &[("compress", "x")],
                "strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            (
                JsonFile,
                &[("compress", "true")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            (
                Local,
                &[("max-size", "x")],
                "invalid value for max-size: x: invalid size: 'x'",
            ),
            (
                Local,
                &[("max-file", "-1")],
                "max file count cannot be less than 0",
            ),
            (
                Local,
                &[("max-file", "1")],
                "compression cannot be enabled when max file count is 1",
            ),
            (
                Local,
                &[("labels", "a")],
                "unknown log opt 'labels' for log driver local",
            ),
            (
                JsonFile,
                &[("x", "1")],
                "unknown log opt 'x' for json-file log driver",
            ),
            (
                JsonFile,
                &[("mode", "x")],
                "logger: logging mode not supported: x",
            ),
            (
                JsonFile,
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                None,
                &[("max-size", "1")],
                "unknown log opt 'max-size' for none log driver",
            ),
        ] {
            assert_eq!(read(driver, options).unwrap_err().to_string(), words);
        }
        assert!(read(JsonFile, &[("labels-regex", "(")]).is_err());
        assert!(read(JsonFile, &[("tag", "{{.Nope}}")]).is_err());
        assert!(read(JsonFile, &[("mode", "non-blocking")]).is_err());
    }
}
