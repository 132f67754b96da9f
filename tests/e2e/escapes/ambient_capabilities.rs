//! CVE-2022-29162 (and Docker's CVE-2022-24769): processes that were given inheritable
//! capabilities could raise, by programs with inheritable file capabilities, what they
//! had not been given.
//!
//! The defence: the inheritable and ambient sets are empty, whatever was asked for.
//!
//! Seen to fail with the bounding set given as the inheritable one, as it once was.

use crate::harness::Engine;

#[test]
fn inheritable_and_ambient_sets_are_empty() {
    let engine = Engine::with_busybox();
    for (name, options) in [
        ("plain", &[][..]),
        ("user", &["-u", "1000", "--cap-add", "NET_ADMIN"]),
        ("all", &["--cap-add", "ALL"]),
        ("privileged", &["--privileged"]),
    ] {
        let run = ["run", "-d", "--name", name];
        let program = ["busybox", "sleep", "1000"];
        engine.docker(&[&run, options, &program].concat()).ok();
        for exec in [&[][..], &["--privileged"], &["-u", "1000"], &["-u", "0"]] {
            let look = [
                name,
                "grep",
                "-E",
                "CapInh|CapAmb",
                "/proc/1/status",
                "/proc/self/status",
            ];
            let text = engine
                .docker(&[&["exec"], exec, &look].concat())
                .ok()
                .stdout;
            assert_eq!(text.lines().count(), 4, "{text}");
            for line in text.lines() {
                assert!(
                    line.ends_with("0000000000000000"),
                    "{name} {exec:?}: {line}"
                );
            }
        }
    }
}
