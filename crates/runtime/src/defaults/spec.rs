//! The spec that `spec` prints: a shell in a bundle's `rootfs`.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxCapabilitiesBuilder, LinuxNamespaceBuilder, LinuxNamespaceType,
    LinuxResourcesBuilder, PosixRlimitBuilder, PosixRlimitType, ProcessBuilder, RootBuilder, Spec,
    SpecBuilder,
};

use crate::capability::CapabilityMask;

/// Makes the example. Rootless: mapped to one user, without what needs privilege.
pub fn example_spec(rootless: Option<(u32, u32)>) -> Result<Spec, OciSpecError> {
    if let Some((uid, gid)) = rootless {
        return Ok(Spec::rootless(uid, gid));
    }
    let few = CapabilityMask::from_names(["AUDIT_WRITE", "KILL", "NET_BIND_SERVICE"])
        .unwrap_or_default()
        .to_oci();
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(few.clone())
        .effective(few.clone())
        .permitted(few)
        // The builder's own default has some.
        .inheritable(CapabilityMask::EMPTY.to_oci())
        .ambient(CapabilityMask::EMPTY.to_oci())
        .build()?;
    let limit = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitNofile)
        .hard(1024u64)
        .soft(1024u64)
        .build()?;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let process = ProcessBuilder::default()
        .terminal(true)
        .args(vec!["sh".to_owned()])
        .env(vec![path.to_owned(), "TERM=xterm".to_owned()])
        .cwd("/")
        .capabilities(capabilities)
        .rlimits(vec![limit])
        .no_new_privileges(true)
        .build()?;
    let kinds = [
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Network,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Cgroup,
    ];
    let namespaces = kinds
        .into_iter()
        .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
        .collect::<Result<Vec<_>, _>>()?;
    let deny = super::device_rule(false, None, None, None, "rwm");
    let linux = LinuxBuilder::default()
        .namespaces(namespaces)
        .resources(
            LinuxResourcesBuilder::default()
                .devices(vec![deny])
                .build()?,
        )
        .masked_paths(super::masked_paths())
        .readonly_paths(super::READONLY_PATHS.map(str::to_owned).to_vec())
        .build()?;
    let root = RootBuilder::default()
        .path("rootfs")
        .readonly(true)
        .build()?;
    SpecBuilder::default()
        .version("1.2.0")
        .process(process)
        .root(root)
        .hostname("gantry")
        .mounts(super::mounts(false))
        .linux(linux)
        .build()
}
