//! Kernel parameters that a container sets: each belongs to a namespace, which
//! must be its own.

use gantry_api::HostConfig;

use crate::error::{Error, Result};

/// What the runtime is said to have found, as Docker puts it.
const RUNTIME: &str = "failed to create task for container: failed to create shim task: OCI \
                       runtime create failed: runc create failed: ";

/// The parameters of the IPC namespace, beside those below `fs.mqueue`.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Checks that no parameter is the host's.
///
/// # Errors
/// `Start`, in Docker's words.
pub(super) fn check_namespaces(
    host: &HostConfig,
    domainname: &str,
    own_network: bool,
) -> Result<()> {
    let refuse = |text: String| Err(Error::spec(format!("{RUNTIME}{text}")));
    let own_ipc = host.ipc_mode != "host";
    let own_names = host.uts_mode != "host";
    // The domain name is one as well, as far as Docker is concerned.
    let implied = Some("kernel.domainname").filter(|_| !domainname.is_empty());
    let given = host.sysctls.iter().flatten().map(|(name, _)| name.as_str());
    for name in given.chain(implied) {
        let dotted = name.replace('/', ".");
        let of_ipc = IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.");
        if of_ipc && !own_ipc {
            return refuse(format!(
                "sysctl \"{name}\" is not allowed in the hosts ipc namespace"
            ));
        }
        if dotted.starts_with("net.") && !own_network {
            return refuse(format!(
                "sysctl \"{name}\" not allowed in host network namespace"
            ));
        }
        let of_names = matches!(dotted.as_str(), "kernel.domainname" | "kernel.hostname");
        let own = of_ipc || dotted.starts_with("net.") || (of_names && own_names);
        if !own {
            return refuse(format!(
                "sysctl \"{name}\" is not in a separate kernel namespace"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_parameters_are_refused() {
        let host = |json: &str| -> HostConfig { serde_json::from_str(json).unwrap() };
        let own = host(r#"{"Sysctls":{"kernel.msgmax":"1","net/core/somaxconn":"1"}}"#);
        check_namespaces(&own, "x", true).unwrap();
        let own = host(r#"{"UTSMode":"host"}"#);
        check_namespaces(&own, "x", true).unwrap_err();
        for (json, own_network, end) in [
            (
                r#"{"Sysctls":{"net.a":"1"}}"#,
                false,
                "sysctl \"net.a\" not allowed in host network namespace",
            ),
            (
                r#"{"IpcMode":"host","Sysctls":{"fs.mqueue.msg_max":"1"}}"#,
                true,
                "sysctl \"fs.mqueue.msg_max\" is not allowed in the hosts ipc namespace",
            ),
            (
                r#"{"Sysctls":{"vm.swappiness":"1"}}"#,
                true,
                "sysctl \"vm.swappiness\" is not in a separate kernel namespace",
            ),
        ] {
            let error = check_namespaces(&host(json), "", own_network).unwrap_err();
            assert!(error.to_string().ends_with(end), "{error}");
        }
    }
}
