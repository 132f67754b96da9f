//! `--mount`: one JSON object, checked as Docker does.

use std::path::{Component, Path};

use gantry_api::{Mount, MountBindOptions, MountTmpfsOptions};

use super::mode::{PRIVATE, is_propagation};
use super::{Below, Bind, Image, MountPoint, Mounted, Owners, Tmpfs, Volume, clean};
use crate::containers::spec;
use crate::error::{Error, Result};

/// Reads one.
///
/// # Errors
/// `Invalid`, in Docker's words; also for a bind whose source is missing.
pub(super) fn parse(mount: &Mount) -> Result<MountPoint> {
    let kind = mount.kind.as_str();
    check_target(kind, &mount.target)?;
    let what = match kind {
        "bind" => Mounted::Bind(bind(mount)?),
        "volume" => Mounted::Volume(volume(mount)?),
        "tmpfs" => Mounted::Tmpfs(tmpfs(mount)?),
        "image" => Mounted::Image(image(mount)?),
        _ => return Err(config(kind, "mount type unknown")),
    };
    Ok(MountPoint {
        target: clean(&mount.target),
        read_only: mount.read_only || kind == "image",
        mode: String::new(),
        what,
    })
}

/// Checks where something is to be mounted.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_target(kind: &str, target: &str) -> Result<()> {
    if target.is_empty() {
        return Err(config(kind, "field Target must not be empty"));
    }
    if clean(target) == "/" && target.starts_with('/') {
        let why = "invalid specification: destination can't be '/'";
        return Err(config(kind, why));
    }
    check_absolute(kind, target)
}

fn check_absolute(kind: &str, path: &str) -> Result<()> {
    match path.starts_with('/') {
        true => Ok(()),
        false => {
            let why = format!("invalid mount path: '{path}' mount path must be absolute");
            Err(config(kind, &why))
        }
    }
}

fn config(kind: &str, why: &str) -> Error {
    Error::Invalid(format!("invalid mount config for type \"{kind}\": {why}"))
}

/// What is said of options of another kind of mount.
pub(super) fn extra(kind: &str, field: &str) -> Error {
    config(kind, &format!("field {field} must not be specified"))
}

/// Refuses options of other kinds of mounts; `own` is the one that may be there.
fn only(mount: &Mount, own: &str) -> Result<()> {
    let given = [
        ("BindOptions", mount.bind_options.is_some()),
        ("VolumeOptions", mount.volume_options.is_some()),
        ("ImageOptions", mount.image_options.is_some()),
    ];
    match given.iter().find(|(name, given)| *given && *name != own) {
        Some((name, _)) => Err(extra(&mount.kind, name)),
        None => Ok(()),
    }
}

fn bind(mount: &Mount) -> Result<Bind> {
    let invalid = |why: &str| config("bind", why);
    if mount.source.is_empty() {
        return Err(invalid("field Source must not be empty"));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    if !options.propagation.is_empty() && !is_propagation(&options.propagation) {
        let why = format!("invalid propagation mode: {}", options.propagation);
        return Err(invalid(&why));
    }
    only(mount, "BindOptions")?;
    check_absolute("bind", &mount.source)?;
    if !options.create_mountpoint && Path::new(&mount.source).symlink_metadata().is_err() {
        let why = format!("bind source path does not exist: {}", mount.source);
        return Err(invalid(&why));
    }
    Ok(Bind {
        source: clean(&mount.source),
        below: below(mount.read_only, &options)?,
        propagation: match options.propagation.as_str() {
            "" => PRIVATE.to_owned(),
            given => given.to_owned(),
        },
        non_recursive: options.non_recursive,
        owners: owners(&options)?,
        create_source: options.create_mountpoint,
    })
}

fn owners(options: &MountBindOptions) -> Result<Option<Owners>> {
    let word = match (options.owner.as_str(), options.id_map.as_str()) {
        ("", "") => return Ok(None),
        (owner, "") => format!("owner={owner}"),
        ("", map) => format!("idmap={map}"),
        _ => {
            return Err(config(
                "bind",
                "field Owner must not be specified with IDMap",
            ));
        }
    };
    Owners::of_word(&word).transpose()
}

fn below(read_only: bool, options: &MountBindOptions) -> Result<Below> {
    let conflict = |why: &str| Err(Error::Invalid(format!("mount options conflict: {why}")));
    match (
        options.read_only_non_recursive,
        options.read_only_force_recursive,
    ) {
        (false, false) => Ok(Below::ReadOnly),
        (true, true) => conflict("ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive"),
        (true, false) if !read_only => conflict("!ReadOnly && BindOptions.ReadOnlyNonRecursive"),
        (false, true) if !read_only => conflict("!ReadOnly && BindOptions.ReadOnlyForceRecursive"),
        (true, false) => Ok(Below::Writable),
        (false, true) => Ok(Below::Forced),
    }
}

fn volume(mount: &Mount) -> Result<Volume> {
    only(mount, "VolumeOptions")?;
    let anonymous = mount.source.is_empty();
    let options = mount.volume_options.clone().unwrap_or_default();
    if !options.subpath.is_empty() {
        if anonymous {
            let why = "must not set Subpath when using anonymous volumes";
            return Err(config("volume", why));
        }
        check_subpath("volume", &options.subpath)?;
    }
    if mount.read_only && anonymous {
        let why = "must not set ReadOnly mode when using anonymous volumes";
        return Err(config("volume", why));
    }
    let driver = options.driver_config.unwrap_or_default();
    Ok(Volume {
        name: mount.source.clone(),
        driver: driver.name,
        anonymous,
        subpath: options.subpath,
        copy: !options.no_copy,
        options: driver.options.unwrap_or_default(),
        labels: options.labels.unwrap_or_default(),
        ..Volume::default()
    })
}

fn image(mount: &Mount) -> Result<Image> {
    if mount.bind_options.is_some() {
        return Err(extra("image", "BindOptions"));
    }
    if mount.source.is_empty() {
        return Err(config("image", "field Source must not be empty"));
    }
    let subpath = mount.image_options.clone().unwrap_or_default().subpath;
    if !subpath.is_empty() {
        check_subpath("image", &subpath)?;
    }
    only(mount, "ImageOptions")?;
    Ok(Image {
        reference: mount.source.clone(),
        subpath,
        propagation: PRIVATE.to_owned(),
        ..Image::default()
    })
}

/// A subpath is relative, and its words lead nowhere else.
fn check_subpath(kind: &str, path: &str) -> Result<()> {
    let mut depth = 0;
    let mut stays = true;
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => stays = false,
        }
    }
    match stays {
        true => Ok(()),
        false => {
            let why = "subpath must be a relative path within the volume";
            Err(config(kind, why))
        }
    }
}

fn tmpfs(mount: &Mount) -> Result<Tmpfs> {
    only(mount, "")?;
    if !mount.source.is_empty() {
        return Err(extra("tmpfs", "Source"));
    }
    let wanted = mount.tmpfs_options.clone().unwrap_or_default();
    Ok(Tmpfs {
        options: tmpfs_options(mount.read_only, &wanted)?,
        shown: true,
    })
}

fn tmpfs_options(read_only: bool, wanted: &MountTmpfsOptions) -> Result<Vec<String>> {
    let mut options = spec::tmpfs_options("");
    if wanted.size_bytes < 0 {
        return Err(config("tmpfs", "size must be positive"));
    }
    if wanted.size_bytes > 0 {
        options.push(format!("size={}", wanted.size_bytes));
    }
    if wanted.mode != 0 {
        options.push(format!("mode={:o}", wanted.mode));
    }
    if read_only {
        options.push("ro".to_owned());
    }
    for option in wanted.options.iter().flatten() {
        options.push(option.join("="));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        let mount: Mount = serde_json::from_str(json).unwrap();
        parse(&mount).unwrap_err().to_string()
    }

    #[test]
    fn wrong_ones_are_refused_in_dockers_words() {
        for (json, kind, why) in [
            (
                r#"{"Type":"bogus","Target":"/x"}"#,
                "bogus",
                "mount type unknown",
            ),
            (
                r#"{"Type":"bind","Source":"/tmp"}"#,
                "bind",
                "field Target must not be empty",
            ),
            (
                r#"{"Type":"bind","Source":"/tmp","Target":"/x","VolumeOptions":{}}"#,
                "bind",
                "field VolumeOptions must not be specified",
            ),
            (
                r#"{"Type":"bind","Source":"/no/where","Target":"/x"}"#,
                "bind",
                "bind source path does not exist: /no/where",
            ),
            (
                r#"{"Type":"volume","Target":"/x","ReadOnly":true}"#,
                "volume",
                "must not set ReadOnly mode when using anonymous volumes",
            ),
            (
                r#"{"Type":"volume","Source":"v1","Target":"/x","VolumeOptions":{"Subpath":"a/../../b"}}"#,
                "volume",
                "subpath must be a relative path within the volume",
            ),
            (
                r#"{"Type":"image","Target":"/x"}"#,
                "image",
                "field Source must not be empty",
            ),
            (
                r#"{"Type":"tmpfs","Source":"a","Target":"/x"}"#,
                "tmpfs",
                "field Source must not be specified",
            ),
        ] {
            let text = format!("invalid mount config for type \"{kind}\": {why}");
            assert_eq!(refused(json), text);
        }
    }

    #[test]
    fn what_is_below_a_bind_is_read_only_or_not() {
        let parsed = |extra: &str| {
            let json = format!(
                r#"{{"Type":"bind","Source":"/","Target":"/x","ReadOnly":true,"BindOptions":{{{extra}}}}}"#
            );
            let mount: Mount = serde_json::from_str(&json).unwrap();
            match parse(&mount).unwrap().what {
                Mounted::Bind(bind) => bind.below,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(parsed(""), Below::ReadOnly);
        assert_eq!(parsed(r#""ReadOnlyNonRecursive":true"#), Below::Writable);
        assert_eq!(parsed(r#""ReadOnlyForceRecursive":true"#), Below::Forced);
    }
}
