//! What our own client can only build by BuildKit's API, in a session of its own: several
//! contexts, agents, large secrets, caches and images that leave as files.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::gantry_only;
use crate::harness::{Engine, Outcome, folder};

fn build(engine: &Engine, dir: &Path, flags: &[&str]) -> Outcome {
    let dir = dir.to_str().expect("a path");
    engine.gantry(&[&["build", "--progress", "plain"], flags, &[dir]].concat())
}

#[test]
fn contexts_agents_and_large_secrets_come_by_a_session() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dockerfile = "FROM busybox\n\
        COPY a/ /a/\n\
        COPY --from=more sub/o /o\n\
        RUN --mount=type=ssh test -S $SSH_AUTH_SOCK\n\
        RUN --mount=type=secret,id=s wc -c </run/secrets/s\n";
    let main = [
        ("Dockerfile", dockerfile),
        ("a/kept", "kept"),
        ("a/left.log", "left"),
        (".dockerignore", "**/*.log\n"),
    ];
    let dir = folder(&engine, "main", &main);
    let more = folder(&engine, "with space", &[("sub/o", "other")]);
    let secret = engine.dir().join("secret");
    std::fs::write(&secret, "x".repeat(200_000)).expect("room");
    let socket = engine.dir().join("agent.sock");
    let _agent = UnixListener::bind(&socket).expect("a socket");
    let flags = [
        "--build-context".to_owned(),
        format!("more={}", more.display()),
        format!("--ssh=default={}", socket.display()),
        format!("--secret=id=s,src={}", secret.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let built = build(&engine, &dir, &[&flags[..], &["-t", "x"]].concat());
    let built = built.ok();
    assert!(built.stderr.contains(" 200000\n"), "{}", built.stderr);
    let told = engine.docker(&["run", "--rm", "x", "sh", "-c", "cat /o /a/*"]);
    told.ok().prints("otherkept");
    let again = build(&engine, &dir, &flags).ok().stderr;
    assert_eq!(again.matches(" CACHED\n").count(), 4, "{again}");
    for wrong in ["--squash", "--verify", "--explain-cache"] {
        let refused = build(&engine, &dir, &[&flags[..], &[wrong]].concat());
        refused.code(1).says("cannot be used together");
    }
    let refused = build(&engine, &dir, &["--build-context", "more=/none"]);
    refused
        .code(1)
        .says("stat /none: no such file or directory");
}

#[test]
fn caches_and_images_leave_as_files_and_come_back() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dockerfile = "FROM busybox\nRUN head -c 9 /dev/urandom >/r\n";
    let dir = folder(&engine, "main", &[("Dockerfile", dockerfile)]);
    let path = |name: &str| engine.dir().join(name);
    let (cache, layout) = (path("cache"), path("layout"));
    let to = format!("type=local,mode=max,dest={}", cache.display());
    let store = format!("type=oci,tar=false,dest={}", layout.display());
    let metadata = path("metadata").display().to_string();
    let flags = [
        "--cache-to",
        &to,
        "-o",
        &store,
        "-o",
        "type=image",
        "-t",
        "x",
        "--annotation",
        "a=b",
        "--provenance=mode=max",
        "--metadata-file",
        &metadata,
    ];
    build(&engine, &dir, &flags).ok();
    let index = read(&layout, "index.json");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
    let blob = format!("blobs/{}", digest.replace(':', "/"));
    let list = read(&layout, &blob);
    assert_eq!(
        list["manifests"].as_array().map(Vec::len),
        Some(2),
        "{list}"
    );
    let told = read(engine.dir(), "metadata");
    assert_eq!(told["containerimage.descriptor"]["digest"], digest);
    let id = engine.inspect("x", "{{.Id}}");
    engine.docker(&["rmi", "x"]).ok();
    engine.docker(&["builder", "prune", "-af"]).ok();
    let from = format!("type=local,src={}", cache.display());
    let again = build(&engine, &dir, &["--cache-from", &from, "-t", "x"]).ok();
    assert!(again.stderr.contains(" CACHED\n"), "{}", again.stderr);
    assert_eq!(engine.inspect("x", "{{.Id}}"), id);
    let archive = path("x.tar").display().to_string();
    let output = format!("type=docker,dest={archive}");
    build(&engine, &dir, &["-o", &output, "-t", "y"]).ok();
    engine.docker(&["load", "-i", &archive]).ok();
    assert_eq!(engine.inspect("y", "{{.Id}}"), id);
}

fn read(folder: &std::path::Path, name: &str) -> serde_json::Value {
    let path: PathBuf = folder.join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn several_platforms_are_built_and_what_fails_is_shown_with_its_lines() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let files = [
        (
            "Dockerfile",
            "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /f\n",
        ),
        ("amd64", "one"),
        ("arm64", "two"),
        ("wrong", "FROM busybox\nRUN echo out; exit 7\n"),
    ];
    let dir = folder(&engine, "main", &files);
    let out = engine.dir().join("out");
    let to = format!("type=local,dest={}", out.display());
    let platforms = "--platform=linux/amd64,linux/arm64";
    build(&engine, &dir, &[platforms, "-o", &to]).ok();
    for (platform, text) in [("linux_amd64", "one"), ("linux_arm64", "two")] {
        let file = out.join(platform).join("f");
        assert_eq!(std::fs::read_to_string(file).expect("the file"), text);
    }
    let wrong = dir.join("wrong").to_string_lossy().into_owned();
    let failed = build(&engine, &dir, &["--annotation=a=b", "-f", &wrong]);
    let failed = failed.code(1);
    for part in [
        "\n------\n > [2/2] RUN echo out; exit 7:\n",
        " out\n------\nwrong:2\n",
        "   2 | >>> RUN echo out; exit 7\n",
        "ERROR: failed to build: failed to solve: process \"/bin/sh -c echo out; exit 7\" did not \
         complete successfully: exit code: 7\n",
    ] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
}
