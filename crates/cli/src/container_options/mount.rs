//! `--mount type=bind,source=/a,target=/b,readonly`.

use std::collections::BTreeMap;

use gantry_api::{
    DriverConfig, Mount, MountBindOptions, MountImageOptions, MountTmpfsOptions, MountVolumeOptions,
};

use super::units::parse_size;
use crate::args::parse_bool;

/// The fields of one CSV record.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = quoted;
            loop {
                let Some(end) = tail.find('"') else {
                    return Err("extraneous or missing \" in quoted-field".to_owned());
                };
                field.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        tail = after;
                    }
                    None => break,
                }
            }
            out.push(field);
            match tail.strip_prefix(',') {
                Some(after) => rest = after,
                None if tail.is_empty() => return Ok(out),
                None => return Err("extraneous or missing \" in quoted-field".to_owned()),
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("bare \" in non-quoted-field".to_owned());
            }
            out.push(rest[..end].to_owned());
            if end == rest.len() {
                return Ok(out);
            }
            rest = &rest[end + 1..];
        }
    }
}

fn pair(value: &str) -> (String, String) {
    let (key, value) = value.split_once('=').unwrap_or((value, ""));
    (key.to_owned(), value.to_owned())
}

fn bind(mount: &mut Mount) -> &mut MountBindOptions {
    mount
        .bind_options
        .get_or_insert_with(MountBindOptions::default)
}

fn volume(mount: &mut Mount) -> &mut MountVolumeOptions {
    mount
        .volume_options
        .get_or_insert_with(MountVolumeOptions::default)
}

fn tmpfs(mount: &mut Mount) -> &mut MountTmpfsOptions {
    mount
        .tmpfs_options
        .get_or_insert_with(MountTmpfsOptions::default)
}

fn driver(mount: &mut Mount) -> &mut DriverConfig {
    volume(mount)
        .driver_config
        .get_or_insert_with(DriverConfig::default)
}

/// Parses one mount.
pub(crate) fn parse(text: &str) -> Result<Mount, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("value is empty".to_owned());
    }
    let mut mount = Mount {
        kind: "volume".to_owned(),
        ..Mount::default()
    };
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        set(&mut mount, &key, value, &field)?;
    }
    check(mount)
}

fn set(mount: &mut Mount, key: &str, value: Option<&str>, field: &str) -> Result<(), String> {
    let boolean = |default: bool| match value {
        None => Ok(default),
        Some(text) => parse_bool(text).ok_or_else(|| format!("invalid value for {key}: {text}")),
    };
    match key {
        "readonly" | "ro" => {
            mount.read_only = boolean(true)?;
            return Ok(());
        }
        "volume-nocopy" => {
            volume(mount).no_copy = boolean(true)?;
            return Ok(());
        }
        "bind-nonrecursive" => {
            bind(mount).non_recursive = boolean(true)?;
            return Ok(());
        }
        _ => {}
    }
    let Some(value) = value else {
        return Err(format!("invalid field '{field}' must be a key=value pair"));
    };
    match key {
        "type" => mount.kind = value.to_lowercase(),
        "source" | "src" => {
            mount.source = match value.starts_with("./") || value.starts_with("../") || value == "."
            {
                true => absolute(value),
                false => value.to_owned(),
            };
        }
        "target" | "dst" | "destination" => mount.target = value.to_owned(),
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "owner" => bind(mount).owner = value.to_owned(),
        "idmap" => bind(mount).id_map = value.to_owned(),
        "bind-recursive" => match value {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                return Err(format!(
                    "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        },
        "volume-subpath" => volume(mount).subpath = value.to_owned(),
        "volume-label" => {
            let (key, value) = pair(value);
            volume(mount)
                .labels
                .get_or_insert_with(BTreeMap::new)
                .insert(key, value);
        }
        "volume-driver" => driver(mount).name = value.to_owned(),
        "volume-opt" => {
            let (key, value) = pair(value);
            driver(mount)
                .options
                .get_or_insert_with(BTreeMap::new)
                .insert(key, value);
        }
        "image-subpath" => {
            mount
                .image_options
                .get_or_insert_with(MountImageOptions::default)
                .subpath = value.to_owned();
        }
        "tmpfs-size" => {
            tmpfs(mount).size_bytes =
                parse_size(value).map_err(|_| format!("invalid value for {key}: {value}"))?;
        }
        "tmpfs-mode" => {
            tmpfs(mount).mode = u32::from_str_radix(value, 8)
                .map_err(|_| format!("invalid value for {key}: {value}"))?;
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn check(mount: Mount) -> Result<Mount, String> {
    if mount.kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    let misplaced = |name: &str| {
        Err(format!(
            "cannot mix '{name}' options with mount type '{}'",
            mount.kind
        ))
    };
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return misplaced("volume-*");
    }
    if mount.image_options.is_some() && mount.kind != "image" {
        return misplaced("image-*");
    }
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return misplaced("bind-*");
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return misplaced("tmpfs-*");
    }
    if let Some(options) = &mount.bind_options {
        if options.read_only_non_recursive && !mount.read_only {
            return Err("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".to_owned());
        }
        if options.read_only_force_recursive && !mount.read_only {
            return Err("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction".to_owned());
        }
        if options.read_only_force_recursive && options.propagation != "rprivate" {
            return Err("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction".to_owned());
        }
    }
    Ok(mount)
}

/// A path relative to the working directory, made absolute and clean.
pub(super) fn absolute(path: &str) -> String {
    let directory = std::env::current_dir().unwrap_or_default();
    let mut out = std::path::PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let mount = parse("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave").unwrap();
        assert_eq!((mount.kind.as_str(), mount.read_only), ("bind", true));
        assert_eq!(mount.bind_options.unwrap().propagation, "rslave");
        let mount = parse("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        let options = mount.tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (1 << 20, 0o1770));
        let mount = parse("src=v,dst=/y,\"volume-opt=o=a,b\"").unwrap();
        let driver = mount.volume_options.unwrap().driver_config.unwrap();
        assert_eq!(driver.options.unwrap()["o"], "a,b");
        for bad in [
            "",
            "type=bind,src=/a",
            "foo=1,dst=/x",
            "dst",
            "type=bind,dst=/x,tmpfs-size=1",
            "type=bind,src=/a,dst=/x,ro,bind-recursive=readonly",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
