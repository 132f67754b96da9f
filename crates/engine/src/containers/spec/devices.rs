//! The devices of a container: those that every container has, those that it
//! asks for, and for a privileged one all of the host's.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use gantry_api::{Device, HostConfig};
use gantry_runtime::oci::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use gantry_runtime::{defaults, errno_text};

use super::super::mounts::clean;
use crate::error::{Error, Result};

/// What is never handed on from the host's `/dev`: the container has its own.
const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", ".lxc"];
/// How many directories deep the host's `/dev` is looked through.
const DEPTH: usize = 4;

/// The device nodes to make beyond the runtime's own, and the access rules.
///
/// # Errors
/// `Start` for devices that are not there and for what is no rule.
pub(super) fn devices(host: &HostConfig) -> Result<(Vec<LinuxDevice>, Vec<LinuxDeviceCgroup>)> {
    refuse_requests(host)?;
    let mut nodes = Vec::new();
    if host.privileged {
        collect(Path::new("/dev"), DEPTH, &mut nodes);
        for device in host.devices.iter().flatten() {
            // It is there already.
            if device.path_on_host != device.path_in_container {
                nodes.extend(asked_for(device)?);
            }
        }
        let all = defaults::device_rule(true, None, None, None, "rwm");
        return Ok((nodes, vec![all]));
    }
    let mut rules = defaults::device_rules();
    for device in host.devices.iter().flatten() {
        for node in asked_for(device)? {
            let (major, minor) = (Some(node.major), Some(node.minor));
            let access = device.cgroup_permissions.as_str();
            rules.push(defaults::device_rule(
                true,
                Some(node.kind),
                major,
                minor,
                access,
            ));
            nodes.push(node);
        }
    }
    for rule in host.device_cgroup_rules.iter().flatten() {
        rules.push(
            parse_rule(rule).ok_or_else(|| {
                Error::spec(format!("invalid device cgroup rule format: '{rule}'"))
            })?,
        );
    }
    Ok((nodes, rules))
}

/// Devices by driver: there are no drivers here.
fn refuse_requests(host: &HostConfig) -> Result<()> {
    let Some(request) = host.device_requests.iter().flatten().next() else {
        return Ok(());
    };
    Err(Error::spec(match request.driver.as_str() {
        "cdi" => {
            let names = request.device_ids.clone().unwrap_or_default().join(", ");
            format!("CDI device injection failed: unresolvable CDI devices {names}")
        }
        driver => {
            let sets = request.capabilities.iter().flatten();
            let sets: Vec<String> = sets.map(|set| format!("[{}]", set.join(" "))).collect();
            let sets = sets.join(" ");
            format!("could not select device driver \"{driver}\" with capabilities: [{sets}]")
        }
    }))
}

/// The device, or all devices of the directory, that a container asks for.
fn asked_for(device: &Device) -> Result<Vec<LinuxDevice>> {
    let wanted = &device.path_on_host;
    let failed = |why: &str| {
        Error::spec(format!(
            "error gathering device information while adding custom device \"{wanted}\": {why}"
        ))
    };
    // Through a symbolic link, as udev makes them.
    let source = std::fs::canonicalize(wanted)
        .map_err(|error| failed(&errno_text(error.raw_os_error().unwrap_or(libc::ENOENT))))?;
    let metadata = source
        .symlink_metadata()
        .map_err(|error| failed(&error.to_string()))?;
    let target = clean(&device.path_in_container);
    let kind = metadata.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        let mut node = node(&source, &metadata, kind.is_char_device());
        node.path = target.into();
        return Ok(vec![node]);
    }
    let mut nodes = Vec::new();
    collect(&source, DEPTH, &mut nodes);
    for node in &mut nodes {
        if let Ok(below) = node.path.strip_prefix(&source) {
            node.path = Path::new(&target).join(below);
        }
    }
    match nodes.is_empty() {
        true => Err(failed("not a device node")),
        false => Ok(nodes),
    }
}

/// Reads `c 13:* rwm`.
fn parse_rule(rule: &str) -> Option<LinuxDeviceCgroup> {
    let [kind, numbers, access] = rule.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let kind = match kind {
        "a" => LinuxDeviceType::All,
        "b" => LinuxDeviceType::Block,
        "c" => LinuxDeviceType::Character,
        _ => return None,
    };
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    let (major, minor) = numbers.split_once(':')?;
    let (major, minor) = (number(major)?, number(minor)?);
    let letters = access.bytes().all(|letter| b"rwm".contains(&letter));
    (letters && (1..=3).contains(&access.len()))
        .then(|| defaults::device_rule(true, Some(kind), major, minor, access))
}

/// Adds the nodes below `dir`; what cannot be looked at is left out.
fn collect(dir: &Path, depth: usize, nodes: &mut Vec<LinuxDevice>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            if depth > 1 && !OWN.iter().any(|own| name == *own) {
                collect(&path, depth - 1, nodes);
            }
        } else if (kind.is_char_device() || kind.is_block_device()) && name != "console" {
            nodes.push(node(&path, &metadata, kind.is_char_device()));
        }
    }
}

fn node(path: &Path, metadata: &std::fs::Metadata, is_char: bool) -> LinuxDevice {
    let number = metadata.rdev();
    let kind = match is_char {
        true => LinuxDeviceType::Character,
        false => LinuxDeviceType::Block,
    };
    LinuxDevice {
        path: path.to_owned(),
        kind,
        major: i64::from(rustix::fs::major(number)),
        minor: i64::from(rustix::fs::minor(number)),
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<(Vec<LinuxDevice>, Vec<LinuxDeviceCgroup>)> {
        devices(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn devices_are_found_and_allowed() {
        let json = r#"{"Devices":[{"PathOnHost":"/dev/zero","PathInContainer":"/dev/./x",
            "CgroupPermissions":"r"}],"DeviceCgroupRules":["b 8:* rwm"]}"#;
        let (nodes, rules) = of(json).unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes[0].path, Path::new("/dev/x"));
        assert_eq!((nodes[0].major, nodes[0].minor), (1, 5));
        let c = Some(LinuxDeviceType::Character);
        let zero = defaults::device_rule(true, c, Some(1), Some(5), "r");
        let b = Some(LinuxDeviceType::Block);
        let disks = defaults::device_rule(true, b, Some(8), None, "rwm");
        assert!(rules.ends_with(&[zero, disks]));
    }

    #[test]
    fn what_is_not_there_is_refused_in_dockers_words() {
        let gathering = "error gathering device information while adding custom device";
        for (json, message) in [
            (
                r#"{"Devices":[{"PathOnHost":"/dev/nope"}]}"#,
                format!("{gathering} \"/dev/nope\": no such file or directory"),
            ),
            (
                r#"{"Devices":[{"PathOnHost":"/etc/passwd"}]}"#,
                format!("{gathering} \"/etc/passwd\": not a device node"),
            ),
            (
                r#"{"DeviceCgroupRules":["c 1:2 rwmr"]}"#,
                "invalid device cgroup rule format: 'c 1:2 rwmr'".to_owned(),
            ),
            (
                r#"{"DeviceRequests":[{"Capabilities":[["gpu","x"],["y"]]}]}"#,
                "could not select device driver \"\" with capabilities: [[gpu x] [y]]".to_owned(),
            ),
            (
                r#"{"DeviceRequests":[{"Driver":"cdi","DeviceIDs":["a/b=c","d"]}]}"#,
                "CDI device injection failed: unresolvable CDI devices a/b=c, d".to_owned(),
            ),
        ] {
            assert_eq!(of(json).unwrap_err().to_string(), message);
        }
    }
}
