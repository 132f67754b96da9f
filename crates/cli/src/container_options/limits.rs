//! `--ulimit` and the block I/O flags.

use gantry_api::{BlkioThrottle, BlkioWeight, Ulimit};

use super::units::parse_size;

/// `name=soft[:hard]`.
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("invalid ulimit argument: {text}"));
    };
    if value.is_empty() {
        return Err(format!("invalid ulimit argument: {text}"));
    }
    if !Ulimit::NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
    };
    let parts: Vec<&str> = value.split(':').collect();
    let (soft, hard) = match parts.as_slice() {
        [both] => (number(both)?, number(both)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!(
                "too many limit value arguments - {value}, can only have up to two, `soft[:hard]`"
            ));
        }
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

/// `name=value` of a kernel parameter that belongs to a namespace.
pub(crate) fn sysctl(text: &str) -> Result<(), String> {
    const OWN: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let allowed = text.split_once('=').is_some_and(|(name, _)| {
        OWN.contains(&name)
            || ["net.", "fs.mqueue."]
                .iter()
                .any(|head| name.starts_with(head))
    });
    match allowed {
        true => Ok(()),
        false => Err(format!("sysctl '{text}' is not allowed")),
    }
}

fn device(text: &str) -> Result<(&str, &str), String> {
    match text.split_once(':') {
        Some((path, value)) if !value.contains(':') && path.starts_with("/dev/") => {
            Ok((path, value))
        }
        Some((path, _)) if !path.starts_with("/dev/") => {
            Err(format!("bad format for device path: {text}"))
        }
        _ => Err(format!("bad format: {text}")),
    }
}

/// `/dev/path:weight`.
pub(crate) fn weight(text: &str) -> Result<BlkioWeight, String> {
    let (path, value) = device(text)?;
    let weight = value
        .parse::<u16>()
        .ok()
        .filter(|weight| *weight == 0 || (10..=1000).contains(weight))
        .ok_or_else(|| format!("invalid weight for device: {text}"))?;
    Ok(BlkioWeight {
        path: path.to_owned(),
        weight,
    })
}

/// `/dev/path:rate`, the rate a size when `bytes` holds.
pub(crate) fn throttle(text: &str, bytes: bool) -> Result<BlkioThrottle, String> {
    let (path, value) = device(text)?;
    let rate = if bytes {
        parse_size(value)
            .ok()
            .and_then(|size| u64::try_from(size).ok())
    } else {
        value.parse().ok()
    };
    let rate = rate.ok_or_else(|| {
        let unit = if bytes { " The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb" } else { " The correct format is <device-path>:<number>. Number must be a positive integer" };
        format!("invalid rate for device: {text}.{unit}")
    })?;
    Ok(BlkioThrottle {
        path: path.to_owned(),
        rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits() {
        let ok = ulimit("nofile=5:6").unwrap();
        assert_eq!((ok.soft, ok.hard), (5, 6));
        assert_eq!(ulimit("core=-1").unwrap().hard, -1);
        for bad in ["nofile", "foo=1", "nofile=6:5", "nofile=1:2:3", "nofile=x"] {
            assert!(ulimit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sysctls() {
        for text in ["net.ipv4.ip_forward=1", "kernel.msgmax=1"] {
            assert!(sysctl(text).is_ok(), "{text}");
        }
        for text in ["a=b", "kernel.hostname=x", "net.x"] {
            assert!(sysctl(text).is_err(), "{text}");
        }
    }

    #[test]
    fn block_devices() {
        assert_eq!(throttle("/dev/sda:1mb", true).unwrap().rate, 1 << 20);
        assert_eq!(throttle("/dev/sda:10", false).unwrap().rate, 10);
        assert!(throttle("/sda:10", false).is_err());
        assert!(weight("/dev/sda:5").is_err());
    }
}
