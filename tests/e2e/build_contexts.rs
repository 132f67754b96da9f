//! What a build works on: a folder that our own client hands over without a copy, and what
//! of it is read again when little has changed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::gantry_only;
use crate::harness::{Engine, Outcome};

/// A folder with these files, all of them last changed long ago.
fn folder(engine: &Engine, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = crate::harness::folder(engine, name, files);
    for (path, _) in files {
        date(&dir.join(path));
    }
    dir
}

/// Gives a file a time that is always the same.
fn date(path: &Path) {
    let opened = std::fs::File::open(path).expect("the file");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    opened.set_modified(time).expect("a time");
}

fn build(engine: &Engine, dir: &Path, name: &str) -> Outcome {
    let dir = dir.to_str().expect("a path");
    engine.gantry(&["build", "--progress", "plain", "-t", name, dir])
}

fn layers(engine: &Engine, image: &str) -> String {
    engine.inspect(image, "{{json .RootFS.Layers}}")
}

const SEEN: &str = "FROM busybox
COPY . /all
RUN --mount=target=/in find /in -type f | sort >/seen; stat -c %u /in/a >>/seen
";

#[test]
fn a_folder_is_read_where_it_is() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let files = [
        ("Dockerfile", SEEN),
        (".dockerignore", "*.log\nsecret\n"),
        ("a", "a"),
        ("d/b.log", "kept out of the top only"),
        ("x.log", "no"),
        ("secret/key", "no"),
    ];
    let dir = folder(&engine, "context", &files);
    std::os::unix::fs::chown(dir.join("a"), Some(1000), Some(1000)).expect("another owner");
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).expect("a link");
    // Nobody could send this, and nobody needs to: no step takes it.
    let large = std::fs::File::create(dir.join("large.log")).expect("a file");
    large.set_len(1 << 40).expect("a large file");
    build(&engine, &dir, "near").ok();
    let seen = engine.docker(&["run", "--rm", "near", "cat", "/seen"]);
    let names = [".dockerignore", "Dockerfile", "a", "d/b.log"].map(|name| format!("/in/{name}\n"));
    seen.ok().prints(&format!("{}0\n", names.concat()));
    let all = engine.docker(&[
        "run",
        "--rm",
        "near",
        "stat",
        "-c",
        "%n %u",
        "/all/a",
        "/all/link",
    ]);
    all.ok().prints("/all/a 0\n/all/link 0\n");
    let none = engine.docker(&["run", "--rm", "near", "ls", "/all/secret", "/all/x.log"]);
    assert_ne!(none.code, 0);
    // An archive of the same files is the same.
    std::fs::remove_file(dir.join("large.log")).expect("no large file");
    let mut tar = std::process::Command::new("tar");
    let archive = tar
        .arg("-C")
        .arg(&dir)
        .args(["-c", "."])
        .output()
        .expect("tar");
    let mut command = engine.gantry_command(&["build", "-t", "sent", "-"]);
    let sent = crate::harness::finish(&mut command, &archive.stdout).ok();
    assert!(sent.stderr.contains(" CACHED\n"), "{}", sent.stderr);
    assert_eq!(layers(&engine, "near"), layers(&engine, "sent"));
}

#[test]
fn whatever_changes_in_a_folder_is_noticed() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let files = [
        ("Dockerfile", "FROM busybox\nCOPY f d /\n"),
        ("f", "1"),
        ("d/g", "2"),
    ];
    let dir = folder(&engine, "context", &files);
    // What has just been changed is not believed yet.
    std::thread::sleep(Duration::from_millis(2100));
    build(&engine, &dir, "one").ok();
    let kept = engine.data_root().join("build-contexts");
    assert_eq!(std::fs::read_dir(&kept).expect("an index").count(), 1);
    build(&engine, &dir, "two").ok();
    assert_eq!(layers(&engine, "one"), layers(&engine, "two"));
    // As long, and as old as before.
    std::fs::write(dir.join("f"), "3").expect("a file");
    date(&dir.join("f"));
    build(&engine, &dir, "three").ok();
    engine
        .docker(&["run", "--rm", "three", "cat", "/f", "/g"])
        .ok()
        .prints("32");
    // Another file in its place, with all its times.
    std::fs::write(dir.join("d/new"), "4").expect("a file");
    date(&dir.join("d/new"));
    std::fs::rename(dir.join("d/new"), dir.join("d/g")).expect("another file");
    build(&engine, &dir, "four").ok();
    engine
        .docker(&["run", "--rm", "four", "cat", "/f", "/g"])
        .ok()
        .prints("34");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.join("f"), mode).expect("a mode");
    build(&engine, &dir, "five").ok();
    engine
        .docker(&["run", "--rm", "five", "stat", "-c", "%a", "/f"])
        .ok()
        .prints("755\n");
    // A damaged index is none.
    for entry in std::fs::read_dir(&kept).expect("indexes") {
        let path = entry.expect("an index").path();
        let mut bytes = std::fs::read(&path).expect("an index");
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).expect("a damaged index");
    }
    build(&engine, &dir, "six").ok();
    assert_eq!(layers(&engine, "five"), layers(&engine, "six"));
}
