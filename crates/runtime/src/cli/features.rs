//! `features` and `spec`.

use std::path::Path;

use gantry_oci::{
    CgroupFeatures, Features, IdmapFeatures, LinuxFeatures, LinuxNamespaceType as Namespace,
    LinuxSeccompAction as Action, LinuxSeccompFilterFlag as FilterFlag, MountExtensions,
    SeccompFeatures, Switch,
};

use super::args::{Arguments, Option as Flag};
use super::error::{Error, Result};
use super::{Context, SPEC_VERSION, output};
use crate::capability::NAMES;
use crate::defaults;
use crate::seccomp::{KNOWN_ARCHITECTURES, OPERATORS};

/// Actions of seccomp that can be compiled.
const ACTIONS: [Action; 9] = [
    Action::Allow,
    Action::Errno,
    Action::Kill,
    Action::KillProcess,
    Action::KillThread,
    Action::Log,
    Action::Notify,
    Action::Trace,
    Action::Trap,
];

/// Flags of its filters that can be asked for.
const FILTER_FLAGS: [FilterFlag; 4] = [
    FilterFlag::Log,
    FilterFlag::SpecAllow,
    FilterFlag::Tsync,
    FilterFlag::WaitKillable,
];

const NAMESPACES: [Namespace; 8] = [
    Namespace::Cgroup,
    Namespace::Ipc,
    Namespace::Mount,
    Namespace::Network,
    Namespace::Pid,
    Namespace::Time,
    Namespace::User,
    Namespace::Uts,
];

const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// Options of `spec`.
pub(super) const SPEC: &[Flag] = &[
    Flag::value("bundle", Some('b'), "where it is written; else here"),
    Flag::switch("rootless", None, "one that needs no privilege"),
];

/// `features`: what this runtime can do, in the specification's document.
pub(super) fn features(_: &Context, _: &Arguments) -> Result<i32> {
    let on = Switch { enabled: true };
    output::print_json(&Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: SPEC_VERSION.to_owned(),
        hooks: HOOKS.map(str::to_owned).to_vec(),
        mount_options: crate::mount_options::known_names(),
        linux: LinuxFeatures {
            namespaces: NAMESPACES.to_vec(),
            capabilities: NAMES.iter().map(|name| format!("CAP_{name}")).collect(),
            cgroup: CgroupFeatures {
                v1: true,
                v2: true,
                systemd: true,
                ..CgroupFeatures::default()
            },
            seccomp: SeccompFeatures {
                enabled: true,
                actions: ACTIONS.to_vec(),
                operators: OPERATORS.to_vec(),
                archs: KNOWN_ARCHITECTURES.iter().map(|(arch, _)| *arch).collect(),
                known_flags: FILTER_FLAGS.to_vec(),
                supported_flags: FILTER_FLAGS.to_vec(),
            },
            apparmor: on,
            selinux: on,
            intel_rdt: Switch::default(),
            mount_extensions: MountExtensions {
                idmap: IdmapFeatures { enabled: true },
            },
        },
        ..Features::default()
    });
    Ok(0)
}

/// `spec`: writes an example `config.json`, never over another.
pub(super) fn spec(_: &Context, args: &Arguments) -> Result<i32> {
    let path = Path::new(args.value("bundle").unwrap_or(".")).join("config.json");
    if path.exists() {
        let text = "file config.json exists. Remove it first".to_owned();
        return Err(Error::State(text));
    }
    let ids = args.has("rootless").then(|| {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        (uid.as_raw(), gid.as_raw())
    });
    let spec = defaults::example_spec(ids);
    let text = serde_json::to_string_pretty(&spec).unwrap_or_default();
    std::fs::write(&path, text + "\n").map_err(Error::file("write", &path))?;
    Ok(0)
}
