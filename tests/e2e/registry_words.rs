//! The words around registries: who one is, what there is, who has signed it.
//! With our own registry, in the network namespace of the engine.

mod bundles;
mod digests;
mod trust;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::gantry_only;
use crate::harness::served::Registry;
use crate::harness::{Engine, finish};

/// `user` with the password `words-secret`.
const HTPASSWD: &str = "user:$2b$05$sgxg6rRlgAZFvxnfsusHAOqKSdFxxlPo6ZiOen2XY8EwD6MgrTpo.\n";
const SECRET: &str = "words-secret";

fn password(engine: &Engine) -> String {
    let file = engine.dir().join("htpasswd");
    std::fs::write(&file, HTPASSWD).expect("a file");
    file.display().to_string()
}

fn config(engine: &Engine) -> PathBuf {
    engine.dir().join("client/config.json")
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn credentials_are_tried_kept_used_and_forgotten() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = password(&engine);
    let registry = Registry::ours_at(&engine, "127.0.0.1", 5000, &["--htpasswd", &file]);
    let (server, image) = ("127.0.0.1:5000", registry.name("team/app:1"));
    engine.docker(&["tag", "busybox", &image]).ok();
    engine
        .docker(&["pull", &image])
        .code(1)
        .says("no basic auth credentials");
    let login = |program: &str, word: &str| {
        let args = ["login", "-u", "user", "--password-stdin", server];
        let mut client = match program {
            "docker" => engine.docker_command(&args),
            _ => engine.gantry_command(&args),
        };
        finish(&mut client, word.as_bytes())
    };
    for program in ["docker", "gantry"] {
        login(program, "wrong\n").code(1).says(
            "login attempt to http://127.0.0.1:5000/v2/ failed with status: 401 Unauthorized",
        );
        assert!(!read(config(&engine)).contains("auth\":"));
        let done = login(program, SECRET).ok();
        assert_eq!(done.stdout, "Login Succeeded\n");
        let warning = "WARNING! Your credentials are stored unencrypted in";
        assert!(done.stderr.contains(warning), "{done:?}");
        let stored = read(config(&engine));
        assert!(
            stored.contains("\"127.0.0.1:5000\": {\n\t\t\t\"auth\": "),
            "{stored}"
        );
        let mode = std::fs::metadata(config(&engine))
            .expect("a file")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        // Both clients read what the other has written.
        let other = ["login", server];
        let again = match program {
            "docker" => engine.gantry(&other),
            _ => engine.docker(&other),
        };
        again
            .ok()
            .says("Authenticating with existing credentials... [Username: user]");
        engine.docker(&["push", "-q", &image]).ok();
        engine.gantry(&["pull", "-q", &image]).ok();
        let out = match program {
            "docker" => engine.docker(&["logout", server]),
            _ => engine.gantry(&["logout", server]),
        };
        out.ok()
            .prints("Removing login credentials for 127.0.0.1:5000\n");
        assert_eq!(read(config(&engine)), "{\n\t\"auths\": {}\n}");
    }
    assert!(!engine.daemon_log().contains(SECRET));
}

#[test]
fn programs_keep_credentials_and_nobody_sees_them() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = password(&engine);
    let registry = Registry::ours_at(&engine, "127.0.0.1", 5000, &["--htpasswd", &file]);
    let dir = engine.dir().display().to_string();
    let program = engine.dir().join("docker-credential-test");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {dir}/calls\ncase $1 in\n\
         store) cat > {dir}/kept;;\n\
         get) cat > {dir}/asked; cat {dir}/kept 2>/dev/null || {{ echo credentials not found in native keychain; exit 1; }};;\n\
         erase) cat > /dev/null; rm -f {dir}/kept;;\nesac\n"
    );
    std::fs::write(&program, text).expect("a program");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("a mode");
    std::fs::create_dir_all(engine.dir().join("client")).expect("a folder");
    let helpers = r#"{"credHelpers":{"127.0.0.1:5000":"test"}}"#;
    std::fs::write(config(&engine), helpers).expect("a file");
    let path = format!("{dir}:{}", std::env::var("PATH").unwrap_or_default());
    let run = |args: &[&str], stdin: &str| {
        let mut client = engine.gantry_command(args);
        finish(client.env("PATH", &path), stdin.as_bytes())
    };
    let args = ["login", "-u", "user", "--password-stdin", "127.0.0.1:5000"];
    let done = run(&args, SECRET).ok();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("Login Succeeded\n", "")
    );
    assert!(read(engine.dir().join("kept")).contains("\"Secret\":\"words-secret\""));
    assert!(
        !read(config(&engine)).contains("auth\":"),
        "{}",
        read(config(&engine))
    );
    let image = registry.name("app:1");
    engine.docker(&["tag", "busybox", &image]).ok();
    run(&["push", "-q", &image], "").ok();
    engine.docker(&["pull", "-q", &image]).code(1);
    run(&["pull", "-q", &image], "").ok();
    assert_eq!(read(engine.dir().join("asked")), "127.0.0.1:5000");
    run(&["logout", "127.0.0.1:5000"], "").ok();
    assert!(!engine.dir().join("kept").exists());
    run(&["pull", "-q", &image], "").code(1);
    // A program that is not there is named where credentials would be lost.
    let missing = r#"{"credsStore":"missing"}"#;
    std::fs::write(config(&engine), missing).expect("a file");
    run(&args, SECRET).code(1).says(
        "Error saving credentials: error storing credentials - err: exec: \
         \"docker-credential-missing\": executable file not found in $PATH, out: ``",
    );
    assert!(!read(engine.dir().join("calls")).contains(SECRET));
    assert!(!engine.daemon_log().contains(SECRET));
}

#[test]
fn what_a_registry_has_is_told() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let image = registry.name("team/app:1");
    engine.docker(&["tag", "busybox", &image]).ok();
    engine.docker(&["push", "-q", &image]).ok();
    let ask = |path: &str| {
        engine
            .curl(&[&format!("http://d/v1.51/{path}")])
            .ok()
            .stdout
    };
    let found = ask("distribution/127.0.0.1:5000/team/app:1/json");
    for part in [
        "{\"Descriptor\":{\"mediaType\":\"application/vnd.",
        "\"os\":\"linux\"",
        "\n200",
    ] {
        assert!(found.contains(part), "{found}");
    }
    let missing = ask("distribution/127.0.0.1:5000/team/no:1/json");
    assert!(
        missing.contains("unknown") && missing.ends_with("\n404"),
        "{missing}"
    );
    for (path, part) in [
        ("distribution/BAD/json", "must be lowercase\"}\n\n400"),
        (
            "distribution/sha256:0123456789012345678901234567890123456789012345678901234567890123/json",
            "no manifest found for full image ID\"}\n\n500",
        ),
        (
            "images/search?term=x&limit=101",
            "limit 101 is outside the range of [1, 100]\"}\n\n400",
        ),
        (
            "images/search?term=x&limit=a",
            "parsing \\\"a\\\": invalid syntax\"}\n\n400",
        ),
        (
            "images/search?term=x&filters=%7B%22a%22%3A%5B%221%22%5D%7D",
            "invalid filter 'a'\"}\n\n400",
        ),
    ] {
        let said = ask(path);
        assert!(said.ends_with(part), "{path}: {said}");
    }
    for client in ["docker", "gantry"] {
        let search = |args: &[&str]| match client {
            "docker" => engine.docker(args),
            _ => engine.gantry(args),
        };
        let found = search(&["search", "--format", "{{.Name}}", "127.0.0.1:5000/app"]).ok();
        assert!(found.stdout.contains("team/app"), "{found:?}");
        search(&["search", "127.0.0.1:5000/nothing-like-it"])
            .ok()
            .prints("NAME      DESCRIPTION   STARS     OFFICIAL\n");
    }
}

#[test]
fn lists_of_manifests_are_made_and_pushed() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    list_of_manifests(&engine, &Registry::ours(&engine, 5000));
    if let Some(registry) = Registry::of_docker(&engine, 5001) {
        list_of_manifests(&engine, &registry);
    }
}

fn list_of_manifests(engine: &Engine, registry: &Registry) {
    let (one, list) = (registry.name("app:1"), registry.name("many/app:2"));
    engine.docker(&["tag", "busybox", &one]).ok();
    engine.docker(&["push", "-q", &one]).ok();
    let manifest = |args: &[&str]| registry.gantry(engine, &[&["manifest"], args].concat());
    manifest(&["inspect", &list])
        .code(1)
        .says(&format!("no such manifest: {list}"));
    manifest(&["create", &list, &one])
        .ok()
        .prints(&format!("Created manifest list {list}\n"));
    let file = |name: &str| name.replace(':', "-").replace('/', "_");
    let lists = engine.dir().join("client/manifests");
    let kept = lists.join(file(&list)).join(file(&one));
    assert!(kept.is_file());
    manifest(&["create", &list, &one])
        .code(1)
        .says("refusing to amend an existing manifest list with no --amend flag");
    manifest(&["annotate", &list, &one, "--arch", "vax"])
        .code(1)
        .says("unsupported os/arch combination: /vax");
    manifest(&[
        "annotate",
        &list,
        &one,
        "--arch",
        "arm64",
        "--variant",
        "v8",
    ])
    .ok();
    let pushed = manifest(&["push", "--purge", &list]).ok().stdout;
    let digest = pushed.lines().last().expect("a digest").to_owned();
    assert!(
        pushed.starts_with(&format!("Pushed ref {}@sha256:", registry.name("many/app"))),
        "{pushed}"
    );
    assert!(!kept.exists());
    let there = manifest(&["inspect", &list]).ok().stdout;
    for part in ["\"architecture\": \"arm64\"", "\"variant\": \"v8\""] {
        assert!(there.contains(part), "{there}");
    }
    let accept = format!("Accept: application/vnd.oci.image.index.v1+json, {DOCKER_LIST}");
    let head = registry.get(
        &format!("many/app/manifests/{digest}"),
        &["-f", "-H", &accept],
    );
    assert_eq!(head.ok().stdout.trim_end(), there.trim_end());
    manifest(&["rm", &list])
        .code(1)
        .says(&format!("No such manifest: {list}"));
}

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
