//! The spec that `spec` prints: a shell in a bundle's `rootfs`.

use std::path::PathBuf;

use gantry_cgroup::{Hierarchy, Version};
use gantry_oci::{
    Linux, LinuxCapabilities, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType, LinuxResources,
    PosixRlimit, PosixRlimitType, Process, Root, Spec,
};

/// What the example's process may do.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Makes the example. Rootless: mapped to this user and group, without what
/// needs privilege.
pub fn example_spec(rootless: Option<(u32, u32)>) -> Spec {
    let spec = Spec {
        version: "1.2.0".to_owned(),
        process: Some(process()),
        root: Some(Root {
            path: PathBuf::from("rootfs"),
            readonly: true,
        }),
        hostname: Some("gantry".to_owned()),
        mounts: super::mounts(false),
        linux: Some(linux()),
        ..Spec::default()
    };
    match rootless {
        None => spec,
        Some((uid, gid)) => without_privilege(spec, uid, gid),
    }
}

fn process() -> Process {
    let few = CAPABILITIES.map(str::to_owned).to_vec();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Process {
        terminal: true,
        args: vec!["sh".to_owned()],
        env: vec![path.to_owned(), "TERM=xterm".to_owned()],
        cwd: PathBuf::from("/"),
        capabilities: Some(LinuxCapabilities {
            bounding: few.clone(),
            effective: few.clone(),
            permitted: few,
            ..LinuxCapabilities::default()
        }),
        rlimits: vec![PosixRlimit {
            kind: PosixRlimitType::Nofile,
            hard: 1024,
            soft: 1024,
        }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn linux() -> Linux {
    let mut kinds = vec![
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Network,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Mount,
    ];
    // As runc has it: old hierarchies are shown as they are.
    let unified = Hierarchy::current().is_ok_and(|h| h.version() == Version::V2);
    if unified {
        kinds.push(LinuxNamespaceType::Cgroup);
    }
    Linux {
        namespaces: kinds.into_iter().map(new_namespace).collect(),
        resources: Some(LinuxResources {
            devices: vec![super::device_rule(false, None, None, None, "rwm")],
            ..LinuxResources::default()
        }),
        masked_paths: super::masked_paths(),
        readonly_paths: super::READONLY_PATHS.map(str::to_owned).to_vec(),
        ..Linux::default()
    }
}

fn new_namespace(kind: LinuxNamespaceType) -> LinuxNamespace {
    LinuxNamespace { kind, path: None }
}

/// Another user's container: in a user namespace, with the host's network, and
/// so with the host's `/sys`, and without limits.
fn without_privilege(mut spec: Spec, uid: u32, gid: u32) -> Spec {
    spec.mounts
        .retain(|mount| !mount.destination.starts_with("/sys"));
    for mount in &mut spec.mounts {
        let mapped = |option: &String| !option.starts_with("gid=") && !option.starts_with("uid=");
        mount.options.retain(mapped);
    }
    let options = ["rbind", "nosuid", "noexec", "nodev", "ro"];
    let sys = super::mount("/sys", "none", "/sys", &options);
    spec.mounts.push(sys);
    if let Some(linux) = &mut spec.linux {
        linux
            .namespaces
            .retain(|namespace| namespace.kind != LinuxNamespaceType::Network);
        linux
            .namespaces
            .push(new_namespace(LinuxNamespaceType::User));
        let only = |host_id| LinuxIdMapping {
            container_id: 0,
            host_id,
            size: 1,
        };
        linux.uid_mappings = vec![only(uid)];
        linux.gid_mappings = vec![only(gid)];
        linux.resources = None;
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rootless_needs_no_privilege() {
        let spec = example_spec(Some((1000, 100)));
        let text = serde_json::to_string(&spec).unwrap();
        for absent in ["gid=", "\"sysfs\"", "\"network\"", "\"resources\""] {
            assert!(!text.contains(absent), "{absent}");
        }
        assert!(text.contains(r#"{"containerID":0,"hostID":1000,"size":1}"#));
    }
}
