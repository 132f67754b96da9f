//! CVE-2016-9962: while a process enters a container, the container's processes could
//! trace it, and take the descriptors that it had not closed yet.
//!
//! The defence: it cannot be looked into (`PR_SET_DUMPABLE` 0) until it has become the
//! program, and every descriptor is closed by then.

use crate::harness::Engine;

/// Writes down every descriptor of a process that is none of the container's own
/// programs and can be looked into.
const ATTACK: &str = r#"
exec 2>/dev/null
while :; do
    for p in /proc/[0-9]*; do
        [ $p = /proc/1 ] && continue
        for fd in $p/fd/*; do
            case "$fd" in */0|*/1|*/2) continue;; esac
            case "$(readlink $fd)" in
                socket:*|/memfd:*|anon_inode:*) echo "$p $fd $(readlink $fd)" >>/tmp/seen;;
            esac
        done
    done
done
"#;

#[test]
fn who_enters_cannot_be_looked_into() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "evil", "busybox", "sh", "-c", ATTACK])
        .ok();
    for _ in 0..40 {
        engine.docker(&["exec", "evil", "true"]).ok();
    }
    let seen = [
        "exec",
        "evil",
        "sh",
        "-c",
        "cat /tmp/seen 2>/dev/null; true",
    ];
    assert_eq!(engine.docker(&seen).ok().line(), "");
}
