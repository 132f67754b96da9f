//! CVE-2021-30465: a mount's target is checked, then swapped for a link by
//! another container that shares the volume, and the mount is made outside.
//!
//! Seen to fail with the target's path joined to the root's and given to mount(2).

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::bundle::Bundle;
use crate::escapes::swapping::Swapping;

#[test]
fn targets_that_become_links_stay_inside() {
    require!();
    let mut bundle = Bundle::new("target-swap");
    let (outside, volume) = (
        bundle.dir.path().join("outside"),
        bundle.dir.path().join("volume"),
    );
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(volume.join("a")).unwrap();
    symlink(&outside, volume.join("link")).unwrap();
    bundle.add_mount(
        json!({"destination": "/v", "type": "bind", "source": volume, "options": ["bind"]}),
    );
    bundle.add_mount(
        json!({"destination": "/v/a/b", "type": "tmpfs", "source": "gantry-race", "options": []}),
    );
    let secret = bundle.dir.path().join("secret");
    fs::write(&secret, "").unwrap();
    bundle.add_mount(
        json!({"destination": "/v/a/f", "type": "bind", "source": secret, "options": ["bind"]}),
    );
    let swapping = Swapping::start(&volume, "a", "link");
    let mut ran = 0;
    for _ in 0..60 {
        let (code, out, err) = bundle.sh("grep -c ' - tmpfs gantry-race ' /proc/self/mountinfo");
        // Wherever it went: below the container's root.
        assert!(code != 0 || out == "1\n", "{out}{err}");
        ran += usize::from(code == 0);
        let escaped: Vec<_> = fs::read_dir(&outside).unwrap().flatten().collect();
        assert!(escaped.is_empty(), "{escaped:?}");
    }
    assert!(swapping.end() > 60, "it never swapped anything");
    assert!(ran > 0, "not one container ran");
    let host = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!host.contains("gantry-race"), "{host}");
}
