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
        false => assert!(text.contains("unpacked again") && code == 2, "{text}"),
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
