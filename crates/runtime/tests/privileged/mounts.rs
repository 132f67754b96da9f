//! Mounts, and where they may go.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn binds_of_files_and_directories() {
    require!();
    let mut bundle = Bundle::new("bind");
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("file"), "content").unwrap();
    let bind = |from: &Path, to: &str, options: &[&str]| json!({"destination": to, "type": "bind", "source": from, "options": options});
    bundle.add_mount(bind(
        &source,
        "/data/new",
        &["rbind", "ro", "nosuid", "rprivate"],
    ));
    bundle.add_mount(bind(&source.join("file"), "/etc/some/file", &["bind"]));
    bundle.add_mount(bind(&source, "/rw", &["bind"]));
    let (_, out, err) = bundle.sh(
        "cat /etc/some/file; touch /data/new/x; touch /rw/made; grep ' /data/new ' /proc/self/mountinfo | grep -o 'ro,nosuid'",
    );
    assert_eq!(out, "contentro,nosuid\n", "{err}");
    assert!(err.contains("Read-only"), "{err}");
    assert!(source.join("made").exists());
}

#[test]
fn hostile_targets_stay_inside() {
    require!();
    let mut bundle = Bundle::new("hostile");
    let outside = bundle.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let rootfs = bundle.rootfs();
    symlink(&outside, rootfs.join("absolute")).unwrap();
    symlink("../outside", rootfs.join("relative")).unwrap();
    symlink("/proc/self/root/tmp", rootfs.join("magic")).unwrap();
    let tmpfs =
        |to: &str| json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": []});
    bundle.add_mount(tmpfs("/absolute/a"));
    bundle.add_mount(tmpfs("/relative/b"));
    bundle.add_mount(tmpfs("/../../../../outside/c"));
    bundle.add_mount(json!({"destination": "/absolute/f", "type": "bind", "source": "/dev/null", "options": ["bind"]}));
    let (code, _, err) = bundle.run(&["true"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "escaped");

    // /proc must not be led elsewhere.
    let mut bundle = Bundle::new("procdir");
    symlink("/tmp", bundle.rootfs().join("proc")).unwrap();
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("ordinary directory"), "{err}");
}

#[test]
fn binds_can_show_other_owners() {
    require!();
    let mut bundle = Bundle::new("idmap");
    let shared = bundle.dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "x").unwrap();
    std::os::unix::fs::chown(&shared, Some(5000), Some(6000)).unwrap();
    std::os::unix::fs::chown(shared.join("file"), Some(5000), Some(6000)).unwrap();
    let ids = |host: u32| json!([{"containerID": host, "hostID": 0, "size": 10}]);
    bundle.add_mount(json!({
        "destination": "/shared", "type": "bind", "source": shared, "options": ["rbind"],
        "uidMappings": ids(5000), "gidMappings": ids(6000),
    }));
    let (_, out, err) = bundle.sh("stat -c %u:%g /shared/file; touch /shared/new");
    if err.contains("invalid argument") {
        println!("skipped: the file system here has no id mappings");
        return;
    }
    assert_eq!(out, "0:0\n", "{err}");
    let new = fs::metadata(shared.join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (5000, 6000));
    // Only binds have a source whose owners could be shown.
    let mut bundle = Bundle::new("idmapbad");
    bundle.add_mount(json!({
        "destination": "/x", "type": "tmpfs", "uidMappings": ids(0), "gidMappings": ids(0),
    }));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("only bind mounts"), "{err}");
}
