//! Flags to the body of `POST /containers/ID/update`.

use serde_json::{Value, json};

use super::host_config::{restart, size};
use super::units::parse_cpus;
use crate::args::Matches;
use crate::error::Error;

/// The limits that were given; zero and empty mean no change.
pub(crate) fn update_body(matches: &Matches) -> Result<Value, Error> {
    let mut body = json!({
        "BlkioWeight": matches.int("blkio-weight"),
        "CpuPeriod": matches.int("cpu-period"),
        "CpuQuota": matches.int("cpu-quota"),
        "CpuRealtimePeriod": matches.int("cpu-rt-period"),
        "CpuRealtimeRuntime": matches.int("cpu-rt-runtime"),
        "CpuShares": matches.int("cpu-shares"),
        "CpusetCpus": matches.text("cpuset-cpus"),
        "CpusetMems": matches.text("cpuset-mems"),
        "KernelMemory": size(matches, "kernel-memory"),
        "Memory": size(matches, "memory"),
        "MemoryReservation": size(matches, "memory-reservation"),
        "MemorySwap": size(matches, "memory-swap"),
        "NanoCpus": parse_cpus(matches.text("cpus")).unwrap_or(0),
    });
    if matches.int("pids-limit") != 0 {
        body["PidsLimit"] = matches.int("pids-limit").into();
    }
    body["RestartPolicy"] = match matches.text("restart") {
        "" => json!({"Name": "", "MaximumRetryCount": 0}),
        text => serde_json::to_value(restart(text)?)
            .map_err(|error| Error::message(error.to_string()))?,
    };
    Ok(body)
}
