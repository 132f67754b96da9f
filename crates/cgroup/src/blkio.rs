//! Block devices: `blkio`, on v2 `io`.

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::{BlockIo, DeviceThrottle};
use crate::stats::{BlockIoEntry, Stats};

pub(crate) fn apply(group: &Cgroup, io: &BlockIo) -> Result<()> {
    let wanted = BlockIo {
        weight: io.weight.filter(|&w| w != 0),
        ..io.clone()
    };
    if wanted == BlockIo::default() {
        return Ok(());
    }
    if let Some(dir) = group.v1_dir(Controller::BlockIo) {
        apply_v1(dir, &wanted)
    } else if let Some(dir) = group.v2_dir(Controller::BlockIo) {
        apply_v2(dir, &wanted)
    } else {
        Err(Error::MissingController {
            controller: "blkio",
            limit: "block device use",
        })
    }
}

/// The file for weights depends on which I/O scheduler the kernel was built with.
fn weight_file(dir: &Directory, names: &[&'static str]) -> Result<&'static str> {
    let found = names.iter().find(|name| dir.has(name));
    found.copied().ok_or(Error::MissingController {
        controller: "blkio weight",
        limit: "block device weight",
    })
}

fn apply_v1(dir: &Directory, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight {
        let file = weight_file(dir, &["blkio.weight", "blkio.bfq.weight"])?;
        dir.write_number(file, weight)?;
    }
    for device in &io.weight_device {
        let file = weight_file(dir, &["blkio.weight_device", "blkio.bfq.weight_device"])?;
        let line = format!("{}:{} {}", device.major, device.minor, device.weight);
        dir.write(file, &line)?;
    }
    let throttles = [
        ("blkio.throttle.read_bps_device", &io.read_bps),
        ("blkio.throttle.write_bps_device", &io.write_bps),
        ("blkio.throttle.read_iops_device", &io.read_iops),
        ("blkio.throttle.write_iops_device", &io.write_iops),
    ];
    for (file, devices) in throttles {
        for DeviceThrottle { major, minor, rate } in devices {
            dir.write(file, &format!("{major}:{minor} {rate}"))?;
        }
    }
    Ok(())
}

fn apply_v2(dir: &Directory, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight {
        let file = weight_file(dir, &["io.bfq.weight", "io.weight"])?;
        dir.write_number(file, scaled(file, weight))?;
    }
    for device in &io.weight_device {
        let file = weight_file(dir, &["io.bfq.weight", "io.weight"])?;
        let weight = scaled(file, device.weight);
        dir.write(file, &format!("{}:{} {weight}", device.major, device.minor))?;
    }
    let throttles = [
        ("rbps", &io.read_bps),
        ("wbps", &io.write_bps),
        ("riops", &io.read_iops),
        ("wiops", &io.write_iops),
    ];
    for (key, devices) in throttles {
        for DeviceThrottle { major, minor, rate } in devices {
            dir.write("io.max", &format!("{major}:{minor} {key}={rate}"))?;
        }
    }
    Ok(())
}

/// BFQ keeps v1's scale of 10–1000, `io.weight` has 1–10000.
fn scaled(file: &str, weight: u16) -> u64 {
    let weight = u64::from(weight.clamp(10, 1000));
    if file == "io.bfq.weight" {
        weight
    } else {
        1 + (weight - 10) * 9999 / 990
    }
}

pub(crate) fn measure(group: &Cgroup, stats: &mut Stats) {
    if let Some(dir) = group.v1_dir(Controller::BlockIo) {
        let read = |names: [&str; 2]| {
            let texts = names.into_iter().filter_map(|name| dir.read(name).ok());
            texts
                .map(|text| entries_v1(&text))
                .find(|entries| !entries.is_empty())
                .unwrap_or_default()
        };
        stats.io_service_bytes = read([
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
        ]);
        stats.io_serviced = read([
            "blkio.bfq.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
        ]);
    } else if let Some(dir) = &group.unified {
        let text = dir.read("io.stat").unwrap_or_default();
        entries_v2(&text, stats);
    }
}

/// `8:0 Read 4096`, and a line `Total 4096` at the end.
fn entries_v1(text: &str) -> Vec<BlockIoEntry> {
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let (major, minor) = fields.next()?.split_once(':')?;
        Some(BlockIoEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            operation: fields.next()?.to_owned(),
            value: fields.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`
fn entries_v2(text: &str, stats: &mut Stats) {
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let device = fields.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
            continue;
        };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (list, operation) = match key {
                "rbytes" => (&mut stats.io_service_bytes, "read"),
                "wbytes" => (&mut stats.io_service_bytes, "write"),
                "rios" => (&mut stats.io_serviced, "read"),
                "wios" => (&mut stats.io_serviced, "write"),
                _ => continue,
            };
            list.push(BlockIoEntry {
                major,
                minor,
                operation: operation.to_owned(),
                value: value.parse().unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_both_hierarchies_are_read() {
        let entries = entries_v1("8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n");
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].operation.as_str(), entries[0].value),
            ("Read", 4096)
        );

        let mut stats = Stats::default();
        entries_v2(
            "253:1 rbytes=5 wbytes=6 rios=7 wios=8 dbytes=0\nx\n",
            &mut stats,
        );
        assert_eq!(stats.io_service_bytes[1].value, 6);
        assert_eq!(stats.io_serviced[0].value, 7);
    }

    #[test]
    fn weights_are_scaled() {
        assert_eq!(scaled("io.weight", 10), 1);
        assert_eq!(scaled("io.weight", 1000), 10_000);
        assert_eq!(scaled("io.bfq.weight", 500), 500);
    }
}
