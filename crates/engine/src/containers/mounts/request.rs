//! All that a request wants mounted, as one list.

use std::collections::BTreeSet;

use gantry_api::{HostConfig, MountBindOptions};

use super::{MountPoint, Mounted, Owners, Tmpfs, clean, long, short};
use crate::containers::spec;
use crate::error::{Error, Result};

/// Annotations that say whose the files of a bind are.
const ANNOTATION: &str = "gantry.mount.";

/// Reads `-v`, `--mount` and `--tmpfs`.
///
/// # Errors
/// `Invalid` for what cannot be mounted, and for two things in one place.
pub(crate) fn of_request(host: &HostConfig) -> Result<Vec<MountPoint>> {
    let mut points = Vec::new();
    for (target, options) in host.tmpfs.iter().flatten() {
        points.push(tmpfs_of(target, options));
    }
    for bind in host.binds.iter().flatten() {
        points.push(short::parse(bind, &host.volume_driver)?);
    }
    for mount in host.mounts.iter().flatten() {
        points.push(long::parse(mount)?);
    }
    for point in &mut points {
        let is_volume = matches!(point.what, Mounted::Volume(_));
        if is_volume && point.mode.is_empty() {
            // As Docker shows it: its own may be labelled for SELinux.
            "z".clone_into(&mut point.mode);
        }
    }
    annotated(host, &mut points)?;
    let mut taken = BTreeSet::new();
    for point in &points {
        if !taken.insert(point.target.as_str()) {
            let target = &point.target;
            return Err(Error::Invalid(format!("Duplicate mount point: {target}")));
        }
    }
    Ok(points)
}

/// Owners of binds that are said by annotations: `gantry.mount.TARGET=owner=…`. So they
/// can be said to any client.
fn annotated(host: &HostConfig, points: &mut [MountPoint]) -> Result<()> {
    for (key, word) in host.annotations.iter().flatten() {
        let Some(target) = key.strip_prefix(ANNOTATION) else {
            continue;
        };
        let invalid = |why: &str| Error::Invalid(format!("annotation {key}={word}: {why}"));
        let owners =
            Owners::of_word(word).ok_or_else(|| invalid("owner= or idmap= is needed"))??;
        let target = clean(target);
        let mut points = points.iter_mut();
        let place = points.find_map(|point| match &mut point.what {
            Mounted::Bind(bind) if point.target == target => Some(&mut bind.owners),
            _ => None,
        });
        match place.ok_or_else(|| invalid("nothing is bound there"))? {
            Some(_) => return Err(invalid("its owners are said twice")),
            none => *none = Some(owners),
        }
    }
    Ok(())
}

fn tmpfs_of(target: &str, options: &str) -> MountPoint {
    let options = spec::tmpfs_options(options);
    MountPoint {
        target: clean(target),
        read_only: options.iter().any(|option| option == "ro"),
        mode: String::new(),
        what: Mounted::Tmpfs(Tmpfs {
            options,
            shown: false,
        }),
    }
}

/// The binds and file systems in memory of a request that was checked long ago:
/// nothing of it is an error any more.
pub(crate) fn of_old_request(host: &HostConfig) -> Vec<MountPoint> {
    let binds = host.binds.iter().flatten();
    let binds = binds.filter_map(|bind| short::parse(bind, "").ok());
    let mounts = host.mounts.iter().flatten();
    let mounts = mounts.filter_map(|mount| {
        let mut lenient = mount.clone();
        if mount.kind == "bind" {
            // A source that is not there now may be when it is needed.
            lenient
                .bind_options
                .get_or_insert_with(MountBindOptions::default)
                .create_mountpoint = true;
        }
        let mut point = long::parse(&lenient).ok()?;
        if let Mounted::Bind(bind) = &mut point.what {
            let options = mount.bind_options.as_ref();
            bind.create_source = options.is_some_and(|options| options.create_mountpoint);
        }
        Some(point)
    });
    let tmpfs = host.tmpfs.iter().flatten();
    let tmpfs = tmpfs.map(|(target, options)| tmpfs_of(target, options));
    tmpfs.chain(binds).chain(mounts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(json: &str) -> Result<Vec<MountPoint>> {
        of_request(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn nothing_is_mounted_twice_in_one_place() {
        for json in [
            r#"{"Binds":["/tmp:/b","/var:/b/"]}"#,
            r#"{"Binds":["/tmp:/b"],"Mounts":[{"Type":"tmpfs","Target":"/b"}]}"#,
            r#"{"Binds":["/tmp:/b"],"Tmpfs":{"/b":""}}"#,
        ] {
            let error = points(json).unwrap_err().to_string();
            assert_eq!(error, "Duplicate mount point: /b");
        }
    }

    #[test]
    fn those_of_tmpfs_are_not_shown() {
        let points =
            points(r#"{"Tmpfs":{"/t":"size=1m"},"Mounts":[{"Type":"tmpfs","Target":"/u"}]}"#);
        let points = points.unwrap();
        let shown: Vec<bool> = points.iter().map(MountPoint::is_shown).collect();
        assert_eq!(shown, [false, true]);
    }
}
