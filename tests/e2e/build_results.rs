//! What becomes of a build by our own client: one layer, a folder, an archive, the same
//! image on any machine; and what the cache may take.

use std::path::{Path, PathBuf};

use crate::gantry_only;
use crate::harness::{Engine, Outcome};

fn folder(engine: &Engine, dockerfile: &str) -> PathBuf {
    let dir = engine.dir().join("context");
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("Dockerfile"), dockerfile).expect("a file");
    dir
}

fn build(engine: &Engine, dir: &Path, flags: &[&str]) -> Outcome {
    let mut args = vec!["build", "--progress", "plain"];
    args.extend(flags);
    args.push(dir.to_str().expect("a path"));
    engine.gantry(&args)
}

const THREE: &str = "FROM busybox
RUN echo one >/one; echo gone >/gone; rm /etc/group
RUN rm /gone; mkdir /d; echo two >/d/two
ENV A=b
";

#[test]
fn new_layers_become_one() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dir = folder(&engine, THREE);
    build(&engine, &dir, &["-t", "many"]).ok();
    build(&engine, &dir, &["--squash", "-t", "one"]).ok();
    let count = |image: &str| engine.inspect(image, "{{len .RootFS.Layers}}");
    assert_eq!((count("many").as_str(), count("one").as_str()), ("3", "2"));
    let told = "cat /one /d/two; ls /gone /etc/group; echo $A";
    let ran = engine.docker(&["run", "--rm", "one", "sh", "-c", told]);
    ran.ok().prints("one\ntwo\nb\n");
    let history = engine.docker(&["history", "--no-trunc", "--format", "{{.Comment}}", "one"]);
    let many = engine.inspect("many", "{{.Id}}");
    let base = engine.inspect("busybox", "{{.Id}}");
    let first = history.ok().stdout.lines().next().map(str::to_owned);
    assert_eq!(first, Some(format!("merge {many} to {base}")));
}

#[test]
fn files_come_as_a_folder_or_an_archive() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dir = folder(&engine, "FROM scratch\nCOPY Dockerfile /a/b\n");
    let (out, tar) = (engine.dir().join("out"), engine.dir().join("out.tar"));
    let text = out.to_str().expect("a path");
    build(&engine, &dir, &["-o", text]).ok();
    let copied = std::fs::read(out.join("a/b")).expect("the file");
    assert_eq!(
        copied,
        std::fs::read(dir.join("Dockerfile")).expect("the file")
    );
    let text = format!("type=tar,dest={}", tar.display());
    build(&engine, &dir, &["-o", &text]).ok();
    let listed = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&tar)
        .output();
    let listed = String::from_utf8(listed.expect("tar").stdout).expect("names");
    assert!(listed.contains("a/b"), "{listed}");
    build(&engine, &dir, &["-o", "type=other,dest=x"])
        .code(1)
        .says("exporter \"other\" could not be found");
    build(&engine, &dir, &["--attest", "type=other"])
        .code(1)
        .says("unknown attestation type \"other\"");
    build(&engine, &dir, &["--progress", "loud"])
        .code(1)
        .says("loud");
}

#[test]
fn the_same_is_built_everywhere() {
    let text = "FROM busybox\nRUN echo x >/made; ln -s made /link; mkdir /d\nCOPY f /d/\n";
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1000000000"];
    let ids: Vec<String> = (0..2)
        .map_while(|_| {
            let engine = Engine::with_busybox();
            if !engine.is_gantry() {
                return None;
            }
            let dir = folder(&engine, text);
            std::fs::write(dir.join("f"), "f").expect("a file");
            let output = "type=image,rewrite-timestamp=true";
            let flags = [&epoch[..], &["-o", output, "-t", "made"]].concat();
            build(&engine, &dir, &flags).ok();
            build(&engine, &dir, &[&epoch[..], &["-t", "other"]].concat()).ok();
            let layers = |image: &str| engine.inspect(image, "{{json .RootFS.Layers}}");
            assert_ne!(layers("made"), layers("other"));
            let files = ["stat", "-c", "%Y", "/made", "/d", "/d/f"];
            let found = engine.docker(&[&["run", "--rm", "made"], &files[..]].concat());
            found.ok().prints("1000000000\n1000000000\n1000000000\n");
            // The base was made here.
            Some(layers("made") + &engine.inspect("made", "{{.Created}}"))
        })
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[test]
fn the_cache_keeps_to_what_the_file_says() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let text = "FROM busybox\nRUN --security=insecure head -c 5000000 /dev/urandom >/big\n";
    let dir = folder(&engine, text);
    let refused = build(&engine, &dir, &[]);
    refused.code(1).says("security.insecure is not allowed");
    let refused = build(&engine, &dir, &["--allow", "security.insecure"]);
    refused
        .code(1)
        .says("granting entitlement security.insecure is not allowed");
    let file = engine.dir().join("daemon.json");
    let json = "{\"builder\": {\"gc\": {\"defaultMaxUsedSpace\": \"1MB\"}, \
                \"entitlements\": {\"security-insecure\": true}}}";
    std::fs::write(&file, json).expect("a file");
    engine.stop_daemon();
    engine = engine.with_flags(&["--config-file", file.to_str().expect("a path")]);
    engine.boot();
    build(
        &engine,
        &dir,
        &["--allow", "security.insecure", "-t", "big"],
    )
    .ok();
    // What an image has, too, does not count; without the image it is too much.
    engine.docker(&["rmi", "big"]).ok();
    let small = folder(&engine, "FROM busybox\nRUN echo x >/x\n");
    build(&engine, &small, &[]).ok();
    let left = engine.docker(&["system", "df", "--format", "{{.Type}} {{.Size}}"]);
    let left = left.ok().stdout;
    let cache = left.lines().find(|line| line.starts_with("Build Cache"));
    assert!(cache.is_some_and(|line| !line.contains("MB")), "{left}");
    for flags in [["--max-used-space", "1GB"], ["--reserved-space", "1GB"]] {
        let pruned = engine.gantry(&[&["builder", "prune", "-f"], &flags[..]].concat());
        assert!(!pruned.ok().stdout.contains("Deleted"));
    }
    let wrong = engine.gantry(&["builder", "prune", "-f", "--filter", "until=bad"]);
    wrong
        .code(1)
        .says("failed to parse value as time or duration: \"bad\"");
}
