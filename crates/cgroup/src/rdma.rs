//! RDMA devices: `rdma`; and, on the old hierarchies, how packets are marked:
//! `net_cls` and `net_prio`.

use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;
use crate::resources::{Packets, RdmaLimit};

pub(crate) fn apply_rdma(group: &Cgroup, limits: &[RdmaLimit]) -> Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    let controller = Controller::Rdma;
    let dir = group
        .v1_dir(controller)
        .or_else(|| group.v2_dir(controller))
        .ok_or(Error::MissingController {
            controller: "rdma",
            limit: "the use of RDMA devices",
        })?;
    for limit in limits {
        if limit.device.is_empty() || limit.device.contains(['/', ' ', '\n']) {
            return Err(Error::InvalidSetting {
                setting: format!("RDMA device {:?}", limit.device),
                reason: "expected the name of a device",
            });
        }
        dir.write("rdma.max", &rdma_line(limit))?;
    }
    Ok(())
}

/// `mlx5_0 hca_handle=2 hca_object=2000`
fn rdma_line(limit: &RdmaLimit) -> String {
    let mut line = limit.device.clone();
    for (key, value) in [("hca_handle", limit.handles), ("hca_object", limit.objects)] {
        if let Some(value) = value {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    line
}

pub(crate) fn apply_packets(group: &Cgroup, packets: &Packets) -> Result<()> {
    if let Some(class) = packets.class.filter(|&class| class != 0) {
        let dir = group.v1_dir(Controller::NetClass);
        dir.ok_or(Error::MissingController {
            controller: "net_cls",
            limit: "the class of packets",
        })?
        .write_number("net_cls.classid", class)?;
    }
    if packets.priorities.is_empty() {
        return Ok(());
    }
    let dir = group
        .v1_dir(Controller::NetPriority)
        .ok_or(Error::MissingController {
            controller: "net_prio",
            limit: "the priority of packets",
        })?;
    for (interface, priority) in &packets.priorities {
        dir.write("net_prio.ifpriomap", &format!("{interface} {priority}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_written() {
        let limit = RdmaLimit {
            device: "mlx5_0".to_owned(),
            handles: Some(2),
            objects: None,
        };
        assert_eq!(rdma_line(&limit), "mlx5_0 hca_handle=2");
    }
}
