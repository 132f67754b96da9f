//! What a spec may not ask: refused before any process is made, by name.

mod mounts;
mod namespaces;
mod process;
mod sysctl;

use gantry_oci::{Hook, Hooks, Spec};

use crate::error::{StartError, Step};

pub(crate) use process::check as process;
pub(crate) use sysctl::path as sysctl_path;

/// The only major version that there is.
const MAJOR_VERSION: u64 = 1;

fn refuse(what: &str, why: impl Into<String>) -> StartError {
    StartError::other(Step::Spec, what, why)
}

/// Checks a container's spec.
pub(crate) fn spec(spec: &Spec) -> Result<(), StartError> {
    version(&spec.version)?;
    namespaces::check(spec)?;
    if let Some(linux) = &spec.linux {
        let asked = [
            ("linux.intelRdt", linux.intel_rdt.is_some()),
            ("linux.netDevices", !linux.net_devices.is_empty()),
        ];
        if let Some((name, _)) = asked.iter().find(|(_, asked)| *asked) {
            return Err(refuse(name, format!("{name} is not supported")));
        }
        let hidden = [
            ("linux.maskedPaths", &linux.masked_paths),
            ("linux.readonlyPaths", &linux.readonly_paths),
        ];
        for (name, paths) in hidden {
            if let Some(path) = paths.iter().find(|path| !path.starts_with('/')) {
                return Err(refuse(name, format!("{path:?} is not an absolute path")));
            }
        }
        sysctl::check(linux)?;
    }
    if spec.annotations.contains_key("") {
        return Err(refuse("annotations", "a key must not be empty"));
    }
    spec.hooks.iter().try_for_each(hooks)?;
    spec.mounts.iter().try_for_each(mounts::check)
}

/// The version as SemVer has it; later minor versions only add to what there is.
fn version(text: &str) -> Result<(), StartError> {
    let bad = || refuse("ociVersion", format!("unsupported OCI version {text:?}"));
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([MAJOR_VERSION, _, _]) => Ok(()),
        _ => Err(bad()),
    }
}

fn hooks(hooks: &Hooks) -> Result<(), StartError> {
    let all: [(&str, &[Hook]); 6] = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (name, hook) in all
        .iter()
        .flat_map(|(name, hooks)| hooks.iter().map(|hook| (*name, hook)))
    {
        let what = format!("hooks.{name}");
        if !hook.path.is_absolute() {
            let text = format!("{} is not an absolute path", hook.path.display());
            return Err(refuse(&what, text));
        }
        if hook.timeout.is_some_and(|seconds| seconds <= 0) {
            return Err(refuse(&what, "timeout must be greater than zero"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["1.0.0", "1.0.2-dev", "1.2.1+dev", "1.9.0"] {
            assert!(version(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "1.0", "0.9.0", "2.0.0", "x.y.z", "1.0.0.0"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let check = |text: &str| {
            let text = format!(r#"{{"ociVersion":"1.2.0",{text}}}"#);
            super::spec(&serde_json::from_str(&text).unwrap()).map_err(|error| error.path)
        };
        assert_eq!(check(r#""annotations":{"a":""}"#), Ok(()));
        for (text, name) in [
            (r#""linux":{"intelRdt":{}}"#, "linux.intelRdt"),
            (r#""linux":{"netDevices":{"eth0":{}}}"#, "linux.netDevices"),
            (r#""linux":{"maskedPaths":["x"]}"#, "linux.maskedPaths"),
            (r#""linux":{"readonlyPaths":["x"]}"#, "linux.readonlyPaths"),
            (r#""annotations":{"":"x"}"#, "annotations"),
            (r#""hooks":{"prestart":[{"path":"x"}]}"#, "hooks.prestart"),
            (
                r#""hooks":{"poststop":[{"path":"/x","timeout":0}]}"#,
                "hooks.poststop",
            ),
        ] {
            assert_eq!(check(text), Err(name.to_owned()), "{text}");
        }
    }
}
