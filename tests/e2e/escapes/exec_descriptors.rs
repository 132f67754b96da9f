//! CVE-2016-9962: while a process enters a container, the container's processes could
//! trace it, and take the descriptors that it had not closed yet.
//!
//! The defence: it cannot be looked into (`PR_SET_DUMPABLE` 0) until it has become the
//! program, and every descriptor is closed by then.
//!
//! Seen to fail with `set_dumpable_behavior` taken out of `child/mod.rs`: between the
//! moment when it has no more powers than the container and the moment when it is the
//! program, sockets and files of the shim are seen.

use crate::harness::Engine;

/// Writes down every descriptor of a process that comes along and can be looked into.
/// Nothing but what the shell has built in: each process would have descriptors too.
const ATTACK: &str = r#"
exec 2>/dev/null 9>/tmp/seen
echo ready >/tmp/ready
while :; do
    for fd in /proc/[0-9]*/fd/*; do
        case "$fd" in /proc/1/*|*/0|*/1|*/2) continue;; esac
        [ -e "$fd" ] && echo "$fd" >&9
    done
done
"#;

/// The longer its words, the longer a process takes to become the program.
const WORDS: usize = 8;

#[test]
fn who_enters_cannot_be_looked_into() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "evil", "busybox", "sh", "-c", ATTACK])
        .ok();
    let long = "x".repeat(120 << 10);
    let mut exec = vec!["exec", "evil", "true"];
    exec.extend([long.as_str(); WORDS]);
    for _ in 0..40 {
        engine.docker(&exec).ok();
    }
    // By then no process is there that may have descriptors.
    engine.docker(&["kill", "evil"]).ok();
    let look = |name: &str| {
        let copy = engine.dir().join(name);
        let (source, copy_text) = (format!("evil:/tmp/{name}"), copy.display().to_string());
        engine.docker(&["cp", &source, &copy_text]).ok();
        std::fs::read_to_string(copy).expect("a copy")
    };
    assert_eq!(look("ready"), "ready\n");
    assert_eq!(look("seen"), "");
}
