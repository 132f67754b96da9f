//! Bind mounts: `source:target[:mode]` and `--mount type=bind`, read and checked
//! without looking at the disk, except for sources that must be there.

use std::collections::BTreeSet;
use std::path::Path;

use gantry_api::{HostConfig, Mount, MountPoint};

use crate::error::{Error, Result};

const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// What the host's directories are mounted to, with missing sources of `-v`
/// made on the way.
///
/// # Errors
/// `Invalid` for what is no bind mount, for two on the same target, and for a
/// missing source of `--mount`; `UnsupportedOption` for named volumes.
pub(crate) fn mounts(host: &HostConfig) -> Result<Vec<MountPoint>> {
    let mut points = Vec::new();
    for bind in host.binds.iter().flatten() {
        points.push(parse(bind)?);
    }
    for mount in host.mounts.iter().flatten() {
        if mount.kind == "bind" {
            points.push(from_long(mount)?);
        } else {
            check_target("tmpfs", &mount.target)?;
            if !mount.source.is_empty() {
                return Err(Error::Invalid(
                    "invalid mount config for type \"tmpfs\": field Source must not be specified"
                        .to_owned(),
                ));
            }
        }
    }
    let tmpfs = host.tmpfs.iter().flatten();
    let mut targets: BTreeSet<String> = tmpfs.map(|(target, _)| clean(target)).collect();
    let long = host.mounts.iter().flatten();
    let others = long.filter(|m| m.kind != "bind").map(|m| clean(&m.target));
    for target in points.iter().map(|p| p.destination.clone()).chain(others) {
        if !targets.insert(target.clone()) {
            return Err(Error::Invalid(format!("Duplicate mount point: {target}")));
        }
    }
    Ok(points)
}

/// Where a request mounts something: a volume that it declares there as well is
/// none (docker-py declares one for every bind mount).
pub(crate) fn targets(host: &HostConfig) -> BTreeSet<String> {
    let binds = host.binds.iter().flatten();
    let binds = binds.filter_map(|bind| bind.split(':').nth(1));
    let mounts = host.mounts.iter().flatten();
    let mounts = mounts.map(|mount| mount.target.as_str());
    let tmpfs = host.tmpfs.iter().flatten();
    let tmpfs = tmpfs.map(|(target, _)| target.as_str());
    binds.chain(mounts).chain(tmpfs).map(clean).collect()
}

/// Makes the sources of `-v` that are missing, as directories.
pub(crate) fn make_missing_sources(host: &HostConfig, points: &[MountPoint]) -> Result<()> {
    let short = host.binds.iter().flatten().count();
    for point in &points[..short.min(points.len())] {
        make_source(&point.source)?;
    }
    for (mount, point) in host
        .mounts
        .iter()
        .flatten()
        .filter(|m| m.kind == "bind")
        .zip(&points[short.min(points.len())..])
    {
        let options = mount.bind_options.as_ref();
        if options.is_some_and(|options| options.create_mountpoint) {
            make_source(&point.source)?;
        }
    }
    Ok(())
}

fn make_source(source: &str) -> Result<()> {
    if Path::new(source).symlink_metadata().is_ok() {
        return Ok(());
    }
    std::fs::create_dir_all(source)
        .map_err(|error| Error::io("error while creating mount source path", source, error))
}

fn parse(spec: &str) -> Result<MountPoint> {
    let invalid = |why: &str| {
        Error::Invalid(if why.is_empty() {
            format!("invalid volume specification: '{spec}'")
        } else {
            format!("invalid volume specification: '{spec}': {why}")
        })
    };
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] => {
            check_target("volume", target).map_err(|error| invalid(&error.to_string()))?;
            return Err(Error::UnsupportedOption(
                "--volume without a source (an anonymous volume)".to_owned(),
            ));
        }
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(invalid("")),
    };
    if source.is_empty() || target.is_empty() {
        return Err(invalid(""));
    }
    let mode = Mode::parse(mode)?;
    if !source.starts_with('/') {
        return Err(no_path(source));
    }
    check_target("bind", target).map_err(|error| invalid(&error.to_string()))?;
    Ok(MountPoint {
        kind: "bind".to_owned(),
        source: clean(source),
        destination: clean(target),
        mode: mode.text,
        rw: !mode.read_only,
        propagation: mode.propagation,
        ..MountPoint::default()
    })
}

/// A source that is not a path would be the name of a volume.
fn no_path(source: &str) -> Error {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let first = source
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if first && source.bytes().all(word) {
        return Error::UnsupportedOption(format!("--volume with a volume's name ({source})"));
    }
    Error::Invalid(format!(
        "create {source}: \"{source}\" includes invalid characters for a local volume name, \
         only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host \
         directory, use absolute path"
    ))
}

fn from_long(mount: &Mount) -> Result<MountPoint> {
    let invalid =
        |why: String| Error::Invalid(format!("invalid mount config for type \"bind\": {why}"));
    check_target("bind", &mount.target)?;
    if !mount.source.starts_with('/') {
        let source = &mount.source;
        return Err(invalid(match source.as_str() {
            "" => "field Source must not be empty".to_owned(),
            _ => format!("invalid mount path: '{source}' mount path must be absolute"),
        }));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    let propagation = match options.propagation.as_str() {
        "" => "rprivate",
        known if PROPAGATIONS.contains(&known) => known,
        other => {
            return Err(invalid(format!("invalid propagation mode: {other}")));
        }
    };
    if !options.create_mountpoint && Path::new(&mount.source).symlink_metadata().is_err() {
        return Err(invalid(format!(
            "bind source path does not exist: {}",
            mount.source
        )));
    }
    let recursion = if options.non_recursive { "bind" } else { "" };
    Ok(MountPoint {
        kind: "bind".to_owned(),
        source: clean(&mount.source),
        destination: clean(&mount.target),
        mode: recursion.to_owned(),
        rw: !mount.read_only,
        propagation: propagation.to_owned(),
        ..MountPoint::default()
    })
}

fn check_target(kind: &str, target: &str) -> Result<()> {
    let prefix = format!("invalid mount config for type \"{kind}\"");
    if target.is_empty() {
        return Err(Error::Invalid(format!(
            "{prefix}: field Target must not be empty"
        )));
    }
    if !target.starts_with('/') {
        return Err(Error::Invalid(format!(
            "{prefix}: invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    if clean(target) == "/" {
        return Err(Error::Invalid(format!(
            "{prefix}: invalid specification: destination can't be '/'"
        )));
    }
    Ok(())
}

struct Mode {
    text: String,
    read_only: bool,
    propagation: String,
}

impl Mode {
    /// Reads `ro`, `rw`, a propagation, and the words that mean nothing here
    /// (`z`, `Z`, `nocopy`, `cached` …), each kind at most once.
    fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::Invalid(format!("invalid mode: {text}"));
        let mut mode = Self {
            text: text.to_owned(),
            read_only: false,
            propagation: "rprivate".to_owned(),
        };
        let mut seen = BTreeSet::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => {
                    mode.read_only = word == "ro";
                    "access"
                }
                "z" | "Z" => "label",
                "consistent" | "cached" | "delegated" => "consistency",
                "bind" | "rbind" => "recursion",
                _ if PROPAGATIONS.contains(&word) => {
                    word.clone_into(&mut mode.propagation);
                    "propagation"
                }
                _ => return Err(invalid()),
            };
            if !seen.insert(kind) {
                return Err(invalid());
            }
        }
        Ok(mode)
    }
}

/// The path without empty, `.` and `..` parts; symbolic links are not followed.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(binds: &[&str]) -> HostConfig {
        HostConfig {
            binds: Some(binds.iter().map(|&bind| bind.to_owned()).collect()),
            ..HostConfig::default()
        }
    }

    #[test]
    fn binds_are_read() {
        let points = mounts(&host(&["/a/../b:/c/", "/x:/y:ro,rshared"])).unwrap();
        assert_eq!(
            (points[0].source.as_str(), points[0].destination.as_str()),
            ("/b", "/c")
        );
        assert!(points[0].rw && !points[1].rw);
        assert_eq!(
            (points[1].mode.as_str(), points[1].propagation.as_str()),
            ("ro,rshared", "rshared")
        );
    }

    #[test]
    fn wrong_binds_are_refused_in_dockers_words() {
        for (binds, message) in [
            (
                &["foo"][..],
                "invalid volume specification: 'foo': invalid mount config for type \"volume\": invalid mount path: 'foo' mount path must be absolute",
            ),
            (
                &["/a:b"],
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
            (&["/a:/b:zz"], "invalid mode: zz"),
            (&["/a:/b:ro,rw"], "invalid mode: ro,rw"),
            (&["/a:/b:c:d"], "invalid volume specification: '/a:/b:c:d'"),
            (
                &["/tmp:/"],
                "invalid volume specification: '/tmp:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
            (&["/tmp:/b", "/var:/b"], "Duplicate mount point: /b"),
            (
                &["data:/b"],
                "option --volume with a volume's name (data) is not supported yet",
            ),
        ] {
            assert_eq!(mounts(&host(binds)).unwrap_err().to_string(), message);
        }
        let error = mounts(&host(&["../x:/b"])).unwrap_err().to_string();
        assert!(error.ends_with("If you intended to pass a host directory, use absolute path"));
    }
}
