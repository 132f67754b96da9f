//! `gantry system check` on a daemon whose data root somebody has damaged.

use std::path::{Path, PathBuf};

use crate::gantry_only;
use crate::harness::Engine;

fn only(directory: PathBuf, wanted: impl Fn(&Path) -> bool) -> PathBuf {
    let entries = std::fs::read_dir(&directory).expect("a directory");
    let mut found = entries.map(|entry| entry.expect("an entry").path());
    found.find(|path| wanted(path)).expect("what is looked for")
}

/// What a check prints, and its exit code.
fn check(engine: &Engine, flags: &[&str]) -> (String, i32) {
    let outcome = engine.gantry(&[&["system", "check"], flags].concat());
    assert_eq!(outcome.stderr, "");
    (outcome.stdout, outcome.code)
}

#[test]
fn damage_is_found_and_repaired() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    engine
        .docker(&[
            "run",
            "--name",
            "kept",
            "-v",
            "vol:/v",
            "busybox",
            "sh",
            "-c",
            "echo x >/y",
        ])
        .ok();
    engine.docker(&["commit", "kept", "made"]).ok();
    engine
        .docker(&["run", "-d", "--name", "runs", "made", "sleep", "1000"])
        .ok();
    let (text, code) = check(&engine, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.ends_with("2 containers, 1 volume: all is well\n"),
        "{text}"
    );

    let root = engine.data_root();
    let layer = only(root.join("snapshots/overlay"), |path| {
        path.join("fs/bin/busybox").exists()
    });
    let program = layer.join("fs/bin/busybox");
    let bytes = std::fs::read(&program).expect("the program");
    std::fs::write(&program, &bytes[..1000]).expect("a damaged program");
    std::fs::write(root.join("content/blobs/sha256").join("ab".repeat(32)), "x").expect("a file");
    std::fs::create_dir(root.join("volumes/stray")).expect("a directory");
    std::fs::create_dir(root.join("containers/stray")).expect("a directory");
    std::fs::remove_dir_all(root.join("volumes/vol")).expect("the volume goes");

    let (text, code) = check(&engine, &["--quick"]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("volume vol: its directory ") && !text.contains("busybox"),
        "{text}"
    );
    let (text, code) = check(&engine, &[]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("\"bin/busybox\" is of another size"),
        "{text}"
    );
    assert!(text.ends_with("5 problems found\n"), "{text}");

    // The running container has the layer: it stays, and all else is repaired.
    let (text, code) = check(&engine, &["--repair"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("a running container stands on it"), "{text}");
    assert!(text.ends_with("5 problems found, 4 repaired\n"), "{text}");
    engine.docker(&["rm", "-f", "runs"]).ok();
    let (text, code) = check(&engine, &["--repair"]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("repaired: unpacked again from its blob"),
        "{text}"
    );
    assert_eq!(check(&engine, &[]).1, 0);
    engine
        .docker(&["run", "--rm", "-v", "vol:/v", "made", "cat", "/y"])
        .ok()
        .prints("x\n");

    let upper = only(root.join("snapshots/overlay"), |path| {
        path.join("fs/y").exists() && path != layer
    });
    std::fs::remove_dir_all(&upper).expect("a layer or a container's files go");
    let container = engine.inspect("kept", "{{.Id}}");
    let (text, code) = check(&engine, &["--repair"]);
    match text.contains(&container) {
        true => assert!(
            text.contains("its file system is gone") && code == 3,
            "{text}"
        ),
        // What was made here is nothing but its files until it has left.
        false => assert!(
            text.contains("no good blob holds it") && code == 3,
            "{text}"
        ),
    }
}

#[test]
fn a_check_says_how_it_is_used() {
    let engine = Engine::start();
    gantry_only!(engine);
    let refused = engine.gantry(&["system", "check", "--fix"]);
    assert_eq!(refused.code, 125);
    let answer = engine
        .curl(&["-X", "POST", "http://d/gantry/system/check?quick=1"])
        .ok();
    assert!(
        answer
            .stdout
            .contains(r#"{"aux":{"Finding":null,"Summary":{"#),
        "{}",
        answer.stdout
    );
}

/// What a check of a data root without a daemon says, and its exit code.
fn check_at_rest(engine: &Engine, flags: &[&str]) -> (String, i32) {
    let root = format!("--data-root={}", engine.data_root().display());
    let outcome = engine.gantry(&[&["system", "check", &root], flags].concat());
    (
        format!("{}{}", outcome.stdout, outcome.stderr),
        outcome.code,
    )
}

#[test]
fn a_data_root_at_rest_is_checked_under_its_lock() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    engine
        .docker(&["create", "--name", "kept", "-v", "vol:/v", "busybox"])
        .ok();
    let (text, code) = check_at_rest(&engine, &[]);
    assert!(
        code == 1 && text.contains("is in use by another gantry daemon"),
        "{text}"
    );
    engine.stop_daemon();
    let (text, code) = check_at_rest(&engine, &[]);
    assert!(
        code == 0 && text.ends_with("1 container, 1 volume: all is well\n"),
        "{text}"
    );

    // A lost blob, of which the layer is left; a layer's file; a container's directory.
    let root = engine.data_root();
    let blob = only(root.join("content/blobs/sha256"), |_| true);
    std::fs::remove_file(&blob).expect("a blob goes");
    let containers = only(root.join("containers"), |path| path.is_dir());
    std::fs::remove_dir_all(&containers).expect("a container's directory goes");
    let (text, code) = check_at_rest(&engine, &[]);
    assert!(code == 3 && text.ends_with("2 problems found\n"), "{text}");
    assert!(text.contains(": missing (of busybox:latest)"), "{text}");
    // The layer is whole, but packs to other bytes than the blob had.
    let (text, code) = check_at_rest(&engine, &["--repair"]);
    assert!(
        code == 3 && text.contains("removed; pull or load the image again"),
        "{text}"
    );
    engine.boot();
    let (text, code) = check(&engine, &["--repair"]);
    assert!(
        code == 3 && text.contains("made again, without its logs"),
        "{text}"
    );
    assert!(text.contains("has no blob"), "{text}");
    engine.docker(&["start", "-a", "kept"]).ok();
}

#[test]
fn a_daemon_says_what_to_do_about_a_damaged_database() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    engine.stop_daemon();
    let path = engine.data_root().join("metadata.db");
    let copy = std::fs::read(&path).expect("a database");
    std::fs::write(&path, b"noise".repeat(10_000)).expect("it is spoilt");
    let mut daemon = engine.daemon_command();
    let failed = crate::harness::finish(&mut daemon, b"");
    assert_ne!(failed.code, 0);
    for words in [
        "metadata database is damaged",
        "system check --data-root",
        "--repair",
    ] {
        assert!(failed.stderr.contains(words), "{words}: {failed:?}");
    }
    let (text, code) = check_at_rest(&engine, &[]);
    assert!(
        code == 3 && text.contains("check again with --repair"),
        "{text}"
    );
    // Nothing of it can be read: it stays, and nothing else is touched.
    let (text, code) = check_at_rest(&engine, &["--repair"]);
    assert!(
        code == 3 && text.contains("put a copy of metadata.db in its place"),
        "{text}"
    );
    assert_eq!(std::fs::read(&path).expect("a file").len(), 50_000);
    for beside in ["metadata.db-wal", "metadata.db-shm"] {
        let _ = std::fs::remove_file(engine.data_root().join(beside));
    }
    std::fs::write(&path, copy).expect("the copy is put back");
    let (text, code) = check_at_rest(&engine, &[]);
    assert_eq!(code, 0, "{text}");
    engine.boot();
    engine.docker(&["run", "--rm", "busybox", "true"]).ok();
}
