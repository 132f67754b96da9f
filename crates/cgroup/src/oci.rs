//! OCI's `linux.resources` → [`Resources`].

use gantry_oci::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxNetwork,
    LinuxResources, LinuxThrottleDevice,
};

use crate::error::{Error, Result};
use crate::resources::{
    Access, BlockIo, Cpu, DeviceKind, DeviceRule, DeviceThrottle, DeviceWeight, HugepageLimit,
    Memory, Packets, RdmaLimit, Resources,
};

impl Resources {
    /// Reads OCI's record. Fails with `InvalidSetting` on a device rule that
    /// means nothing.
    pub fn from_oci(oci: &LinuxResources) -> Result<Self> {
        let rules = oci.devices.iter();
        let hugepages = oci.hugepage_limits.iter();
        Ok(Self {
            memory: oci.memory.as_ref().map(memory).unwrap_or_default(),
            cpu: oci.cpu.as_ref().map(cpu).unwrap_or_default(),
            pids: oci.pids.map(|pids| pids.limit),
            block_io: oci.block_io.as_ref().map(block_io).unwrap_or_default(),
            devices: rules.map(device_rule).collect::<Result<_>>()?,
            hugepages: hugepages
                .map(|limit| HugepageLimit {
                    page_size: limit.page_size.clone(),
                    limit: limit.limit,
                })
                .collect(),
            rdma: rdma(oci),
            packets: oci.network.as_ref().map(packets).unwrap_or_default(),
            unified: oci.unified.clone(),
        })
    }
}

fn memory(oci: &LinuxMemory) -> Memory {
    Memory {
        limit: oci.limit,
        reservation: oci.reservation,
        swap: oci.swap,
        kernel_tcp: oci.kernel_tcp,
        swappiness: oci.swappiness,
        disable_oom_killer: oci.disable_oom_killer.unwrap_or(false),
    }
}

fn cpu(oci: &LinuxCpu) -> Cpu {
    Cpu {
        shares: oci.shares,
        quota: oci.quota,
        period: oci.period,
        burst: oci.burst,
        realtime_runtime: oci.realtime_runtime,
        realtime_period: oci.realtime_period,
        idle: oci.idle,
        cpus: oci.cpus.clone(),
        mems: oci.mems.clone(),
    }
}

fn block_io(oci: &LinuxBlockIo) -> BlockIo {
    let weights = oci.weight_device.iter();
    BlockIo {
        weight: oci.weight,
        weight_device: weights
            .filter_map(|device| {
                Some(DeviceWeight {
                    major: device.major,
                    minor: device.minor,
                    weight: device.weight?,
                })
            })
            .collect(),
        read_bps: throttles(&oci.throttle_read_bps_device),
        write_bps: throttles(&oci.throttle_write_bps_device),
        read_iops: throttles(&oci.throttle_read_iops_device),
        write_iops: throttles(&oci.throttle_write_iops_device),
    }
}

fn throttles(oci: &[LinuxThrottleDevice]) -> Vec<DeviceThrottle> {
    let one = |device: &LinuxThrottleDevice| DeviceThrottle {
        major: device.major,
        minor: device.minor,
        rate: device.rate,
    };
    oci.iter().map(one).collect()
}

fn rdma(oci: &LinuxResources) -> Vec<RdmaLimit> {
    let limits = oci.rdma.iter().map(|(device, limit)| RdmaLimit {
        device: device.clone(),
        handles: limit.hca_handles,
        objects: limit.hca_objects,
    });
    limits.collect()
}

fn packets(oci: &LinuxNetwork) -> Packets {
    let priorities = oci.priorities.iter();
    Packets {
        class: oci.class_id,
        priorities: priorities
            .map(|one| (one.name.clone(), one.priority))
            .collect(),
    }
}

fn device_rule(oci: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let invalid = |reason| Error::InvalidSetting {
        setting: "device rule".to_owned(),
        reason,
    };
    let kind = match oci.kind.unwrap_or_default() {
        LinuxDeviceType::All => DeviceKind::All,
        LinuxDeviceType::Block => DeviceKind::Block,
        LinuxDeviceType::Character | LinuxDeviceType::Unbuffered => DeviceKind::Character,
        LinuxDeviceType::Fifo => return Err(invalid("a FIFO is not a device")),
    };
    let letters = oci.access.as_deref().unwrap_or("rwm");
    if !letters.bytes().all(|letter| b"rwm".contains(&letter)) {
        return Err(invalid("access must consist of the letters r, w and m"));
    }
    // OCI writes -1 for "any".
    let number = |n: Option<i64>| n.filter(|&n| n != -1);
    Ok(DeviceRule {
        allow: oci.allow,
        kind,
        major: number(oci.major),
        minor: number(oci.minor),
        access: Access {
            read: letters.contains('r'),
            write: letters.contains('w'),
            mknod: letters.contains('m'),
        },
    })
}
