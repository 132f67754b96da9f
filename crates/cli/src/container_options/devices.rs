//! `--device` and `--gpus`.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use gantry_api::{Device, DeviceRequest};

fn is_mode(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.chars().all(|c| "rwm".contains(c))
}

/// `path[:target][:rwm]`.
pub(super) fn device(text: &str) -> Result<Device, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, mode] if is_mode(mode) => (*source, *source, *mode),
        [source, target] => (*source, *target, "rwm"),
        [source, target, mode] => (*source, *target, *mode),
        _ => return Err(format!("invalid device specification: {text}")),
    };
    let target = if target.is_empty() { source } else { target };
    Ok(Device {
        path_on_host: source.to_owned(),
        path_in_container: target.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

/// A vendor's device name of the Container Device Interface.
pub(super) fn is_cdi(text: &str) -> bool {
    !text.starts_with('/') && text.contains('/') && text.contains('=')
}

/// `all`, a number, or `device=…,capabilities=…,driver=…`.
pub(crate) fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest {
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        options: Some(BTreeMap::new()),
        ..DeviceRequest::default()
    };
    let count = |text: &str| match text {
        "all" => Ok(-1),
        number => number.parse().map_err(|_| {
            format!("invalid count ({number}): value must be either \"all\" or an integer")
        }),
    };
    for field in super::mount::fields(text)? {
        match field.split_once('=') {
            None => request.count = count(&field)?,
            Some(("count", value)) => request.count = count(value)?,
            Some(("driver", value)) => request.driver = value.to_owned(),
            Some(("device", value)) => {
                request.device_ids = Some(value.split(',').map(str::to_owned).collect());
            }
            Some(("capabilities", value)) => {
                let mut all = vec!["gpu".to_owned()];
                all.extend(
                    value
                        .split(',')
                        .filter(|name| *name != "gpu")
                        .map(str::to_owned),
                );
                request.capabilities = Some(vec![all]);
            }
            Some(("options", value)) => {
                let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
                request.options = Some(
                    pairs
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .into_map(),
                );
            }
            Some((key, _)) => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if request.device_ids.is_none() && request.count == 0 {
        request.count = 1;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let table = [
            ("/dev/a", "/dev/a /dev/a rwm"),
            ("/dev/a:r", "/dev/a /dev/a r"),
            ("/dev/a:/dev/b", "/dev/a /dev/b rwm"),
            ("/dev/a:/dev/b:rw", "/dev/a /dev/b rw"),
        ];
        for (text, expected) in table {
            let found = device(text).unwrap();
            let shown = format!(
                "{} {} {}",
                found.path_on_host, found.path_in_container, found.cgroup_permissions
            );
            assert_eq!(shown, expected);
        }
        assert!(device("a:b:c:d").is_err());
        assert_eq!(gpus("all").unwrap().count, -1);
        assert!(gpus("x").is_err());
    }
}
