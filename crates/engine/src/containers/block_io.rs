//! Limits on block devices: checked and, where the kernel has no such limit,
//! taken out at creation; the devices' numbers are looked up at each start.

use gantry_api::{BlkioThrottle, HostConfig};
use gantry_runtime::oci::{LinuxBlockIo, LinuxThrottleDevice, LinuxWeightDevice};
use rustix::fs::{major, minor};
use rustix::io::Errno;

use super::Host;
use crate::error::{Error, Result};

/// Checks the weights, and takes them out where they mean nothing.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn check(c: &mut HostConfig, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let discarded = |what: &str, word: &str| {
        format!(
            "Your kernel does not support Block I/O {what} or the cgroup is not mounted. {word} \
             discarded."
        )
    };
    if c.blkio_weight > 0 && !host.limits.block_weight {
        c.blkio_weight = 0;
        warnings.push(discarded("weight", "Weight"));
    }
    if c.blkio_weight > 0 && !(10..=1000).contains(&c.blkio_weight) {
        let message = "Range of blkio weight is from 10 to 1000";
        return Err(Error::Invalid(message.to_owned()));
    }
    let weighted = c.blkio_weight_device.as_ref();
    if weighted.is_some_and(|devices| !devices.is_empty()) && !host.limits.block_weight {
        c.blkio_weight_device = Some(Vec::new());
        warnings.push(discarded("weight_device", "Weight-device"));
    }
    Ok(())
}

/// The limits, as the OCI spec words them.
///
/// # Errors
/// `Start` for devices that are not there.
pub(crate) fn of(host: &HostConfig) -> Result<Option<LinuxBlockIo>> {
    let weights = host.blkio_weight_device.iter().flatten().map(|device| {
        let (major, minor) = numbers(&device.path)?;
        Ok(LinuxWeightDevice {
            major,
            minor,
            weight: Some(device.weight),
            ..LinuxWeightDevice::default()
        })
    });
    let limits = LinuxBlockIo {
        weight: Some(host.blkio_weight).filter(|&weight| weight != 0),
        weight_device: weights.collect::<Result<_>>()?,
        throttle_read_bps_device: throttles(&host.blkio_device_read_bps)?,
        throttle_write_bps_device: throttles(&host.blkio_device_write_bps)?,
        throttle_read_iops_device: throttles(&host.blkio_device_read_iops)?,
        throttle_write_iops_device: throttles(&host.blkio_device_write_iops)?,
        ..LinuxBlockIo::default()
    };
    Ok(Some(limits).filter(|limits| *limits != LinuxBlockIo::default()))
}

fn throttles(devices: &Option<Vec<BlkioThrottle>>) -> Result<Vec<LinuxThrottleDevice>> {
    let devices = devices.iter().flatten();
    devices
        .map(|device| {
            let (major, minor) = numbers(&device.path)?;
            let rate = device.rate;
            Ok(LinuxThrottleDevice { major, minor, rate })
        })
        .collect()
}

fn numbers(path: &str) -> Result<(i64, i64)> {
    let stat = rustix::fs::stat(path).map_err(|errno: Errno| {
        let text = gantry_runtime::errno_text(errno.raw_os_error());
        Error::spec(format!("stat {path}: {text}"))
    })?;
    Ok((major(stat.st_rdev).into(), minor(stat.st_rdev).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_up() {
        let json = r#"{"BlkioDeviceReadBps":[{"Path":"/dev/null","Rate":5}]}"#;
        let host: HostConfig = serde_json::from_str(json).unwrap();
        let limits = of(&host).unwrap().unwrap();
        let expected = LinuxThrottleDevice {
            major: 1,
            minor: 3,
            rate: 5,
        };
        assert_eq!(limits.throttle_read_bps_device, [expected]);
        assert_eq!(of(&HostConfig::default()).unwrap(), None);
        let json = r#"{"BlkioDeviceReadBps":[{"Path":"/dev/nope","Rate":5}]}"#;
        let host: HostConfig = serde_json::from_str(json).unwrap();
        let error = of(&host).unwrap_err().to_string();
        assert_eq!(error, "stat /dev/nope: no such file or directory");
    }

    #[test]
    fn weights_are_discarded_where_there_are_none() {
        let mut host = HostConfig {
            blkio_weight: 5,
            ..HostConfig::default()
        };
        let mut machine = Host {
            cpus: 1,
            memory_nodes: 1,
            memory: 1 << 30,
            cgroup_v2: false,
            systemd: false,
            limits: gantry_cgroup::Abilities {
                block_weight: true,
                ..Default::default()
            },
        };
        let mut warnings = Vec::new();
        check(&mut host.clone(), &machine, &mut warnings).unwrap_err();
        machine.limits.block_weight = false;
        check(&mut host, &machine, &mut warnings).unwrap();
        assert_eq!((host.blkio_weight, warnings.len()), (0, 1));
    }
}
