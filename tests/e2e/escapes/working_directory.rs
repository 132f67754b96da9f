//! CVE-2024-21626: a working directory of `/proc/self/fd/N`, where N is a directory
//! of the host that the runtime has left open, puts the program outside of the
//! container; so does a link in the image that leads there.
//!
//! Two defences: no directory of the host is open in the process when it changes to
//! its working directory (`let_go` in `child/mod.rs`), and a directory that is not below
//! the container's root is refused (`check_directory` in `child/credentials.rs`).
//!
//! The first test was seen to fail with both taken out, the second one with both taken
//! out and a directory of the host left open; either defence is enough for both. The
//! third one was seen to fail without `close_on_exec_from` and `let_go`.

use crate::harness::Engine;

/// Higher numbers than any that a shim has open.
const HIGHEST: u32 = 24;

#[test]
fn no_descriptor_leads_out() {
    let engine = Engine::with_busybox();
    let secret = engine.dir().join("secret");
    std::fs::write(&secret, "of the host").expect("a file");
    let path = secret.display().to_string();
    let look = format!("cat ../../../../../../../../../../..{path} .{path} 2>/dev/null; true");
    engine
        .docker(&["run", "-d", "--name", "target", "busybox", "sleep", "1000"])
        .ok();
    for number in 3..=HIGHEST {
        let directory = format!("/proc/self/fd/{number}");
        let run = [
            "run", "--rm", "-w", &directory, "busybox", "sh", "-c", &look,
        ];
        let exec = ["exec", "-w", &directory, "target", "sh", "-c", &look];
        for words in [&run[..], &exec[..]] {
            let outcome = engine.docker(words);
            assert!(!outcome.stdout.contains("of the host"), "{outcome:?}");
        }
    }
}

#[test]
fn no_link_of_the_image_leads_out() {
    let engine = Engine::with_busybox();
    let secret = engine.dir().join("secret");
    std::fs::write(&secret, "of the host").expect("a file");
    let path = secret.display().to_string();
    let look = format!("cat ../../../../../../../../../../..{path} .{path} 2>/dev/null; true");
    let links =
        format!("for n in $(seq 3 {HIGHEST}); do ln -s /proc/self/fd/$n /link$n; done; sleep 1000");
    engine
        .docker(&[
            "run", "-d", "--name", "target", "busybox", "sh", "-c", &links,
        ])
        .ok();
    for number in (3..=HIGHEST).step_by(3) {
        let directory = format!("/link{number}");
        let outcome = engine.docker(&["exec", "-w", &directory, "target", "sh", "-c", &look]);
        assert!(!outcome.stdout.contains("of the host"), "{outcome:?}");
    }
}

#[test]
fn nothing_but_standard_descriptors_is_open() {
    let engine = Engine::with_busybox();
    engine
        .docker(&["run", "-d", "--name", "target", "busybox", "sleep", "1000"])
        .ok();
    // The fourth is the directory that is being listed.
    let list = "ls /proc/self/fd | tr '\\n' ' '";
    for words in [
        &["run", "--rm", "busybox", "sh", "-c", list][..],
        &["exec", "target", "sh", "-c", list],
        &["exec", "--privileged", "target", "sh", "-c", list],
    ] {
        assert_eq!(engine.docker(words).ok().line().trim(), "0 1 2 3");
    }
}
