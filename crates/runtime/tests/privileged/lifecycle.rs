//! Containers from create to delete.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use crate::bundle::{Bundle, wait_for};

#[test]
fn exit_codes_and_signals_come_through() {
    require!();
    assert_eq!(Bundle::new("seven").sh("exit 7").0, 7);
    let mut bundle = Bundle::new("killed");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    let child = bundle
        .oci(&["run", &id])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| bundle.state() == "running");
    assert!(bundle.call(&["kill", &id, "KILL"]).status.success());
    let status = child.wait_with_output().unwrap().status;
    assert_eq!(status.code(), Some(137));
    assert_eq!(bundle.call(&["state", &id]).status.code(), Some(1));
}

#[test]
fn create_start_exec_delete() {
    require!();
    let mut bundle = Bundle::new("life");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    let call = |args: &[&str]| bundle.call(args);
    assert!(
        bundle
            .oci(&["create", "--pid-file", "pid", &id])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(bundle.state(), "created");
    let pid = fs::read_to_string(bundle.dir.path().join("pid")).unwrap();
    assert!(pid.parse::<u32>().is_ok());
    assert_eq!(call(&["create", &id]).status.code(), Some(1));
    assert!(call(&["start", &id]).status.success());
    assert_eq!(bundle.state(), "running");
    assert_eq!(call(&["start", &id]).status.code(), Some(1));
    assert_eq!(call(&["delete", &id]).status.code(), Some(1));
    let output = call(&[
        "exec",
        "-e",
        "A=b",
        "-u",
        "1000:100",
        &id,
        "sh",
        "-c",
        "echo $A; id -u; ls -d /proc/[0-9]*; exit 5",
    ]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("b\n1000\n/proc/1\n"), "{out}");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(call(&["exec", &id, "nosuch"]).status.code(), Some(255));
    assert!(call(&["pause", &id]).status.success());
    assert_eq!(bundle.state(), "paused");
    assert_eq!(call(&["exec", &id, "true"]).status.code(), Some(255));
    assert!(call(&["resume", &id]).status.success());
    assert!(call(&["delete", "-f", &id]).status.success());
    assert_eq!(call(&["state", &id]).status.code(), Some(1));
    assert_eq!(call(&["delete", "-f", &id]).status.code(), Some(0));
}

#[test]
fn nothing_of_the_host_is_left() {
    require!();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut bundle = Bundle::new("left");
    let (_, out, _) = bundle.sh("cat /proc/self/mountinfo; ls /");
    assert!(!out.contains(" /old") && !out.contains("/usr/"), "{out}");
    let device = fs::metadata(bundle.rootfs()).unwrap().dev();
    assert!(device > 0);
    let path = bundle.rootfs();
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(
        before.contains(path.to_str().unwrap()),
        after.contains(path.to_str().unwrap())
    );
    let cgroup = format!("/sys/fs/cgroup/pids/gantry-runtime-test-{}", bundle.id);
    assert!(!Path::new(&cgroup).exists());
}
