//! `[source:]target[:mode]`: what `-v` sends.

use super::mode::{Mode, PRIVATE};
use super::{Bind, MountPoint, Mounted, Volume, clean, long};
use crate::error::{Error, Result};

/// Reads one. `driver` is that of volumes which do not say.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(super) fn parse(spec: &str, driver: &str) -> Result<MountPoint> {
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] if !target.is_empty() => ("", target, ""),
        // A target and a mode make no volume.
        ["", ..] => return Err(invalid(spec, None)),
        [_, mode] if Mode::parse(mode).is_ok() => return Err(invalid(spec, None)),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(invalid(spec, None)),
    };
    let words = Mode::parse(mode)?;
    let kind = match source.starts_with('/') {
        true => "bind",
        false => "volume",
    };
    check(kind, target, &words).map_err(|error| invalid(spec, Some(&error)))?;
    let what = match kind {
        "bind" => Mounted::Bind(Bind {
            source: clean(source),
            propagation: words.propagation.unwrap_or_else(|| PRIVATE.to_owned()),
            create_source: true,
            owners: words.owners,
            ..Bind::default()
        }),
        _ => Mounted::Volume(Volume {
            name: source.to_owned(),
            driver: driver.to_owned(),
            anonymous: source.is_empty(),
            copy: !words.no_copy,
            ..Volume::default()
        }),
    };
    Ok(MountPoint {
        target: clean(target),
        read_only: words.read_only,
        mode: mode.to_owned(),
        what,
    })
}

fn check(kind: &str, target: &str, words: &Mode) -> Result<()> {
    long::check_target(kind, target)?;
    match kind {
        "bind" if words.no_copy => Err(long::extra(kind, "VolumeOptions")),
        "volume" if words.propagation.is_some() || words.owners.is_some() => {
            Err(long::extra(kind, "BindOptions"))
        }
        _ => Ok(()),
    }
}

fn invalid(spec: &str, why: Option<&Error>) -> Error {
    Error::Invalid(match why {
        None => format!("invalid volume specification: '{spec}'"),
        Some(why) => format!("invalid volume specification: '{spec}': {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_and_volumes_are_told_apart() {
        let point = parse("/a/../b:/c/", "").unwrap();
        assert_eq!((point.source(), point.target.as_str()), ("/b", "/c"));
        assert_eq!((point.propagation(), point.read_only), ("rprivate", false));
        let point = parse("/x:/y:ro,rshared", "").unwrap();
        assert_eq!((point.propagation(), point.read_only), ("rshared", true));
        let point = parse("data:/y:nocopy", "local").unwrap();
        let volume = point.volume().unwrap();
        assert_eq!((volume.name.as_str(), volume.copy), ("data", false));
        assert!(!volume.anonymous);
        assert!(parse("/y", "").unwrap().volume().unwrap().anonymous);
    }

    #[test]
    fn wrong_ones_are_refused_in_dockers_words() {
        let spec = "invalid volume specification";
        let config = "invalid mount config for type";
        for (text, message) in [
            (
                "foo",
                format!(
                    "{spec}: 'foo': {config} \"volume\": invalid mount path: 'foo' mount path must be absolute"
                ),
            ),
            (
                "/a:b",
                format!(
                    "{spec}: '/a:b': {config} \"bind\": invalid mount path: 'b' mount path must be absolute"
                ),
            ),
            (
                "/tmp:/",
                format!(
                    "{spec}: '/tmp:/': {config} \"bind\": invalid specification: destination can't be '/'"
                ),
            ),
            (
                "one:/x:rprivate",
                format!(
                    "{spec}: 'one:/x:rprivate': {config} \"volume\": field BindOptions must not be specified"
                ),
            ),
            (
                "/tmp:/x:nocopy",
                format!(
                    "{spec}: '/tmp:/x:nocopy': {config} \"bind\": field VolumeOptions must not be specified"
                ),
            ),
            ("/a:/b:zz", "invalid mode: zz".to_owned()),
            ("/a:/b:c:d", format!("{spec}: '/a:/b:c:d'")),
            ("one:ro", format!("{spec}: 'one:ro'")),
            (":/b", format!("{spec}: ':/b'")),
            ("", format!("{spec}: ''")),
        ] {
            assert_eq!(parse(text, "").unwrap_err().to_string(), message);
        }
    }
}
