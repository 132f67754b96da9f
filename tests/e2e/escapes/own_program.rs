//! CVE-2019-5736: a container makes whoever enters it execute `/proc/self/exe`, takes
//! hold of that program of the host by `/proc/PID/exe`, and overwrites it.
//!
//! The defence: what enters a container runs from a sealed memory file, which nobody
//! can write.

use crate::harness::Engine;

#[test]
fn what_waits_beside_a_container_is_sealed() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    engine
        .docker(&["run", "-d", "--name", "one", "busybox", "sleep", "1000"])
        .ok();
    let pid = engine.inspect("one", "{{.State.Pid}}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let shim = format!("/proc/{}/exe", parent.expect("a parent").trim());
    let link = std::fs::read_link(&shim).expect("a program");
    assert!(link.to_string_lossy().starts_with("/memfd:"), "{link:?}");
    let opened = std::fs::OpenOptions::new().write(true).open(&shim);
    assert!(opened.is_err(), "even for the host's root");
}
