//! Who makes the containers' cgroups: this daemon by itself, or systemd.

/// The option's name.
const DRIVER: &str = "native.cgroupdriver";
/// The cgroup above the containers'.
const DEFAULT_PARENT: &str = "/gantry";
/// The slice of containers that name none.
const DEFAULT_SLICE: &str = "system.slice";

/// Whether `--exec-opt` chooses systemd.
///
/// # Errors
/// Names what is unknown, or that there is no systemd.
pub(super) fn is_systemd(options: &[String]) -> Result<bool, String> {
    let mut systemd = false;
    for option in options {
        systemd = match option.split_once('=') {
            Some((DRIVER, "cgroupfs")) => false,
            Some((DRIVER, "systemd")) => true,
            Some((DRIVER, other)) => {
                return Err(format!("{DRIVER} option {other} not supported"));
            }
            _ => return Err(format!("--exec-opt: invalid option {option:?}")),
        };
    }
    match systemd && !gantry_engine::systemd_is_there() {
        true => Err(format!("{DRIVER}=systemd: systemd does not run here")),
        false => Ok(systemd),
    }
}

/// The parent of the containers' cgroups, which is a slice of systemd's.
///
/// # Errors
/// When it is none.
pub(super) fn parent(given: Option<&str>, systemd: bool) -> Result<String, String> {
    match (given, systemd) {
        (None, false) => Ok(DEFAULT_PARENT.to_owned()),
        (None, true) => Ok(DEFAULT_SLICE.to_owned()),
        (Some(parent), true) if !is_slice(parent) => Err(
            "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\""
                .to_owned(),
        ),
        (Some(parent), _) => Ok(parent.to_owned()),
    }
}

fn is_slice(name: &str) -> bool {
    name.len() > ".slice".len() && name.ends_with(".slice")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_told_apart() {
        let driver = |text: &str| is_systemd(&[text.to_owned()]);
        assert_eq!(is_systemd(&[]), Ok(false));
        assert_eq!(driver("native.cgroupdriver=cgroupfs"), Ok(false));
        assert!(driver("native.cgroupdriver=x").is_err());
        assert!(driver("isolation=process").is_err());
        assert_eq!(parent(None, true).unwrap(), "system.slice");
        assert!(parent(Some("/gantry"), true).is_err());
        assert_eq!(parent(Some("a-b.slice"), true).unwrap(), "a-b.slice");
    }
}
