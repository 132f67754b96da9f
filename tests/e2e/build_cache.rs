//! What builds find again, and what they must not: images that nobody needs stay where
//! they are, a layer of its own fits on every base, and whatever changes a result is in
//! the key of its step.

use std::path::Path;

use crate::gantry_only;
use crate::harness::served::Registry;
use crate::harness::{Engine, Outcome, folder};

const PORT: u16 = 5000;

fn build(engine: &Engine, dir: &Path, flags: &[&str]) -> Outcome {
    let dir = dir.to_str().expect("a path");
    engine.gantry(&[&["build", "--progress", "plain"], flags, &[dir]].concat())
}

#[test]
fn a_base_comes_when_a_step_needs_it_and_not_before() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, PORT);
    let base = registry.name("team/base:1");
    engine.docker(&["tag", "busybox", &base]).ok();
    engine.docker(&["push", &base]).ok();
    let file = format!("FROM {base}\nRUN echo ran >/ran\n");
    let dir = folder(&engine, "context", &[("Dockerfile", &file)]);
    build(&engine, &dir, &["-t", "built"]).ok();
    let id = engine.inspect("built", "{{.Id}}");
    engine.docker(&["rmi", &base, "busybox"]).ok();
    let listed = || {
        let images = engine.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        images.ok().stdout
    };
    assert_eq!(listed(), "built:latest\n");
    // Everything is known: of the base its documents are enough.
    let again = build(&engine, &dir, &["-t", "built"]).ok();
    assert!(again.was_known("RUN echo ran >/ran"), "{}", again.stderr);
    assert_eq!(engine.inspect("built", "{{.Id}}"), id);
    assert_eq!(listed(), "built:latest\n");
    let ran = engine.docker(&["run", "--rm", "built", "cat", "/ran"]);
    ran.ok().prints("ran\n");
    // Nothing is known.
    engine.docker(&["rmi", "built"]).ok();
    engine.docker(&["builder", "prune", "-af"]).ok();
    let fresh = build(&engine, &dir, &["-t", "built"]).ok();
    assert!(!fresh.was_known("RUN echo ran >/ran"), "{}", fresh.stderr);
    assert!(listed().contains(&base), "{}", listed());
    // Without the registry the image that is here is enough.
    drop(registry);
    build(&engine, &dir, &["--no-cache"]).ok();
    engine.docker(&["rmi", "-f", "built", &base]).ok();
    let lost = build(&engine, &dir, &[]);
    assert_ne!(lost.code, 0, "{}", lost.stderr);
}

#[test]
fn a_linked_copy_fits_on_every_base() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "ARG BASE=busybox\nFROM $BASE\nCOPY --link f /tmp/f\nCOPY f /g\n";
    let dir = folder(
        &engine,
        "context",
        &[
            ("Dockerfile", file),
            ("f", "contents\n"),
            ("other/Dockerfile", "FROM busybox\nRUN echo other >/other\n"),
        ],
    );
    build(&engine, &dir, &["-t", "one"]).ok();
    build(&engine, &dir.join("other"), &["-t", "other"]).ok();
    let moved = build(&engine, &dir, &["-t", "two", "--build-arg=BASE=other"]).ok();
    assert!(moved.was_known("COPY --link f /tmp/f"), "{}", moved.stderr);
    assert!(!moved.was_known("COPY f /g"), "{}", moved.stderr);
    let layer = |image, at| engine.inspect(image, &format!("{{{{index .RootFS.Layers {at}}}}}"));
    assert_eq!(layer("one", 1), layer("two", 2));
    let told = "cat /tmp/f /other /g; stat -c %a /tmp";
    let ran = engine.docker(&["run", "--rm", "two", "sh", "-c", told]);
    // As BuildKit has it: the directory above is one that the copy has made.
    ran.ok().prints("contents\nother\ncontents\n755\n");
    // Other contents are another layer.
    std::fs::write(dir.join("f"), "changed\n").expect("a file");
    let changed = build(&engine, &dir, &["--build-arg=BASE=other"]).ok();
    assert!(!changed.was_known("COPY --link f /tmp/f"));
}

#[test]
fn what_a_command_runs_with_is_in_its_key() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "FROM busybox\nRUN ulimit -n; cat /etc/hosts; df /dev/shm\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    let step = "RUN ulimit -n; cat /etc/hosts; df /dev/shm";
    build(&engine, &dir, &[]).ok();
    for flag in [
        "--ulimit=nofile=99:99",
        "--add-host=name:10.1.2.3",
        "--add-host=name:10.1.2.4",
        "--shm-size=1m",
        "--network=none",
    ] {
        let first = build(&engine, &dir, &[flag]).ok();
        assert!(!first.was_known(step), "{flag}: {}", first.stderr);
        let again = build(&engine, &dir, &[flag]).ok();
        assert!(again.was_known(step), "{flag}: {}", again.stderr);
    }
    // How much of the machine it may use is no part of what it does.
    let bounded = build(&engine, &dir, &["--memory=64m", "--cpu-shares=512"]).ok();
    assert!(bounded.was_known(step), "{}", bounded.stderr);
}

#[test]
fn an_images_history_is_a_source_of_the_cache() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "FROM busybox\nENV A=b\nRUN date +%N >/n\nCOPY f /f\nRUN echo last >/last\n";
    let dir = folder(
        &engine,
        "context",
        &[("Dockerfile", file), ("f", "contents\n")],
    );
    engine.classic_build(&dir, &["-t", "source"]).ok();
    let id = engine.inspect("source", "{{.Id}}");
    let tar = engine.dir().join("saved.tar");
    let tar = tar.to_str().expect("a path");
    engine
        .docker(&["save", "-o", tar, "source", "busybox"])
        .ok();
    engine.docker(&["rmi", "source"]).ok();
    engine.docker(&["builder", "prune", "-af"]).ok();
    engine.docker(&["load", "-i", tar]).ok();
    let from = ["--cache-from=source", "--cache-from=nowhere", "-t", "again"];
    let again = engine.classic_build(&dir, &from).ok();
    assert_eq!(
        again.stdout.matches("Using cache").count(),
        4,
        "{}",
        again.stdout
    );
    assert_eq!(engine.inspect("again", "{{.Id}}"), id);
    // As far as it is the same, and no further.
    std::fs::write(dir.join("f"), "changed\n").expect("a file");
    let changed = engine
        .classic_build(&dir, &["--cache-from=source", "-t", "changed"])
        .ok();
    assert_eq!(
        changed.stdout.matches("Using cache").count(),
        2,
        "{}",
        changed.stdout
    );
    let layer = |image, at| engine.inspect(image, &format!("{{{{index .RootFS.Layers {at}}}}}"));
    assert_eq!(layer("source", 1), layer("changed", 1));
    assert_ne!(layer("source", 2), layer("changed", 2));
}

#[test]
fn what_two_builds_want_is_run_once() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "FROM busybox\nRUN sleep 2; date +%N >/n\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    std::thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let (engine, dir) = (&engine, &dir);
            scope.spawn(move || build(engine, dir, &["-t", name]).ok());
        }
    });
    let id = |name| engine.inspect(name, "{{.Id}}");
    assert_eq!((id("one"), id("two")), (id("two"), id("three")));
}

#[test]
fn containers_of_steps_stay_when_that_is_wished() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "FROM busybox\nRUN exit 0\nRUN echo x >/x; exit 3\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    let left = |engine: &Engine| {
        let listed = engine.docker(&["ps", "-a", "--format", "{{.Status}}"]).ok();
        let codes = listed.stdout.lines().map(|line| {
            let code = line.split(['(', ')']).nth(1);
            code.unwrap_or(line).to_owned()
        });
        codes.collect::<Vec<_>>()
    };
    for (flags, stay) in [
        (&["--rm=false", "--no-cache"][..], &["3", "0"][..]),
        (&["--no-cache"][..], &["3"]),
        (&["--no-cache", "--force-rm"], &[]),
    ] {
        engine.classic_build(&dir, flags).code(3);
        assert_eq!(left(&engine), stay, "{flags:?}");
        if flags.len() == 1 {
            engine.kill_daemon();
            engine.boot();
            assert_eq!(left(&engine), stay);
            let id = engine.docker(&["ps", "-aq"]).ok().line();
            let changed = engine.docker(&["diff", &id]).ok();
            changed.prints("A /x\n");
            engine.docker(&["commit", &id]).code(1);
        }
        let all = engine.docker(&["ps", "-aq"]).ok().stdout;
        for id in all.lines() {
            engine.docker(&["rm", id]).ok();
        }
    }
}
