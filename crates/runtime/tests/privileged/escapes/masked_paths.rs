//! CVE-2025-31133: masked paths are hidden behind `/dev/null`; with a link in its
//! place something else is bound over them, and with another directory in the
//! place of `/proc` nothing that matters is hidden.
//!
//! Seen to fail: the first without the check of the device number in
//! `child/hidden.rs`, the second with all paths looked up below the root.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::bundle::Bundle;
use crate::escapes::swapping::Swapping;

/// The spec without the mounts below these.
fn without(bundle: &mut Bundle, places: &[&str]) {
    let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| {
        let to = mount["destination"].as_str().unwrap();
        !places.iter().any(|place| to.starts_with(place))
    });
}

#[test]
fn a_link_in_the_place_of_null_hides_nothing_else() {
    require!();
    let mut bundle = Bundle::new("null-link");
    let dev = bundle.dir.path().join("dev");
    fs::create_dir(&dev).unwrap();
    symlink("/proc/sys/kernel/hostname", dev.join("null")).unwrap();
    without(&mut bundle, &["/dev"]);
    // With a directory of the host there, the runtime leaves /dev as it is.
    bundle.add_mount(
        json!({"destination": "/dev", "type": "bind", "source": dev, "options": ["bind"]}),
    );
    bundle.set("/linux/maskedPaths", json!(["/proc/timer_list"]));
    let (code, out, err) = bundle.sh("cat /proc/timer_list; stat -c %t:%T /proc/timer_list");
    // Refused, or hidden behind the real one; never the link's target.
    assert!(
        (code == 1 && out.is_empty() && !err.is_empty()) || out == "1:3\n",
        "{out}{err}"
    );
}

#[test]
fn whoever_swaps_proc_finds_it_hidden_all_the_same() {
    require!();
    let mut bundle = Bundle::new("proc-swap");
    let rootfs = bundle.rootfs();
    fs::create_dir(rootfs.join("proc")).unwrap();
    fs::create_dir_all(rootfs.join("decoy/sys/kernel")).unwrap();
    for file in ["timer_list", "keys", "sys/kernel/hostname"] {
        fs::write(rootfs.join("decoy").join(file), "").unwrap();
    }
    let swapping = Swapping::start(&rootfs, "proc", "decoy");
    // The swapping goes on: only what the real one alone can have done counts.
    let look = "for d in /proc /decoy; do [ -e $d/self/status ] && echo found; \
        [ -z \"$(cat $d/timer_list)\" ] || echo OPEN; \
        { echo x >$d/sys/kernel/hostname; } 2>/dev/null; done; \
        [ $(busybox uname -n) = box ] || echo WRITTEN";
    let mut found = 0;
    for _ in 0..60 {
        let (_, out, _) = bundle.sh(look);
        assert!(!out.contains("OPEN") && !out.contains("WRITTEN"), "{out}");
        found += usize::from(out.contains("found"));
    }
    assert!(swapping.end() > 60, "it never swapped anything");
    assert!(found > 0, "not one container ran");
}
