//! The options of Docker's that this engine does not have yet: whoever gives
//! one is told its name, rather than getting a container that ignores it. The
//! values that clients send when the user gave nothing are no options.

use gantry_api::{ContainerCreate, EndpointSettings};

use crate::error::{Error, Result};

type Given = fn(&ContainerCreate) -> bool;

/// The command line's name of an option, and whether a request uses it.
const UNSUPPORTED: &[(&str, Given)] = &[
    ("--link", |c| some(&c.host_config.links)),
    ("--link of a network", |c| {
        endpoints(c).any(|e| some(&e.links))
    }),
];

/// Refuses what is not supported yet.
///
/// # Errors
/// `UnsupportedOption` with the name of the first such option.
pub(crate) fn refuse_unsupported(request: &ContainerCreate) -> Result<()> {
    if let Some((name, _)) = UNSUPPORTED.iter().find(|(_, given)| given(request)) {
        return Err(Error::UnsupportedOption((*name).to_owned()));
    }
    Ok(())
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn endpoints(request: &ContainerCreate) -> impl Iterator<Item = &EndpointSettings> {
    let endpoints = request.networking_config.endpoints_config.iter();
    endpoints.flatten().filter_map(|(_, e)| e.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the stock client 28.2.2 sends for `docker run IMAGE CMD`.
    const STOCK: &str = r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,
        "AttachStdout":true,"AttachStderr":true,"Tty":false,"OpenStdin":false,"StdinOnce":false,
        "Env":null,"Cmd":["echo","hi"],"Image":"bb:1","Volumes":{},"WorkingDir":"",
        "Entrypoint":null,"OnBuild":null,"Labels":{},"HostConfig":{"Binds":null,
        "ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default",
        "PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":true,
        "VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,
        "CgroupnsMode":"","Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,
        "GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"",
        "Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,
        "UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,
        "NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],
        "BlkioDeviceReadBps":[],"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],
        "BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,
        "CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],
        "DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
        "MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,
        "CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,
        "ReadonlyPaths":null},"NetworkingConfig":{"EndpointsConfig":{"default":{
        "IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":"","DriverOpts":null,
        "GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"",
        "IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,
        "DNSNames":null}}}}"#;

    fn stock() -> ContainerCreate {
        serde_json::from_str(STOCK).unwrap()
    }

    #[test]
    fn the_stock_clients_defaults_are_no_options() {
        refuse_unsupported(&stock()).unwrap();
        refuse_unsupported(&ContainerCreate::default()).unwrap();
    }

    #[test]
    fn options_are_refused_by_name() {
        for (host, name) in [
            (r#"{"Links":["a:b"]}"#, "--link"),
            (r#"{"Links":["web"]}"#, "--link"),
        ] {
            let mut request = stock();
            request.host_config = serde_json::from_str(host).unwrap();
            let error = refuse_unsupported(&request).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("option {name} is not supported yet")
            );
            assert_eq!(error.kind(), gantry_types::ErrorKind::Unsupported);
        }
    }
}
