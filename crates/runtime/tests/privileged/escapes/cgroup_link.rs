//! The place where cgroups are to be mounted is a link that a volume brings along
//! (as in CVE-2019-19921 and CVE-2021-30465): they must not be mounted over
//! something else, neither in the container nor on the host.
//!
//! Seen to fail without `RESOLVE_IN_ROOT` in `gantry_sys::RootDir`: mounts go to
//! places outside the container's root then, and are missing inside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn cgroups_are_not_mounted_through_a_link_to_the_outside() {
    require!();
    let mut bundle = Bundle::new("cgroup-link");
    let outside = bundle.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mark"), "").unwrap();
    let volume = bundle.dir.path().join("volume");
    fs::create_dir_all(volume.join("fs")).unwrap();
    let up = "../".repeat(12);
    let targets = [
        outside.clone(),
        Path::new(&up).join(outside.strip_prefix("/").unwrap()),
        Path::new("/proc/1/root").join(outside.strip_prefix("/").unwrap()),
        Path::new("/proc/self/cwd/../outside").to_owned(),
    ];
    let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
    let cgroup = mounts
        .iter()
        .position(|mount| mount["destination"] == "/sys/fs/cgroup");
    let cgroup = mounts.remove(cgroup.unwrap());
    mounts.retain(|mount| mount["destination"] != "/sys");
    bundle.set("/linux/maskedPaths", json!([]));
    bundle.add_mount(
        json!({"destination": "/sys", "type": "bind", "source": volume, "options": ["bind"]}),
    );
    bundle.add_mount(cgroup);
    for target in targets {
        let link = volume.join("fs/cgroup");
        let _ = fs::remove_file(&link);
        symlink(&target, &link).unwrap();
        let (code, out, err) = bundle.sh("grep -c ' - cgroup' /proc/self/mountinfo; true");
        // Refused; or mounted at that path of the container's own tree.
        assert!(code != 0 || !out.is_empty(), "{}: {err}", target.display());
        assert!(outside.join("mark").exists(), "{}", target.display());
        let host = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let inside = bundle.dir.path().display().to_string();
        assert!(!host.contains(&inside), "{}: {host}", target.display());
        let left: Vec<_> = fs::read_dir(&outside).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
