//! push: what is in the registry afterwards, and what is said meanwhile.

use crate::gantry_only;
use crate::harness::served::Registry;
use crate::harness::{Engine, busybox_tar, finish, oci_archive, script};

/// An image of two layers, made here.
fn commit(engine: &Engine, name: &str) {
    let all = ["create", "--name=source", "busybox"];
    engine.docker(&all).ok();
    let file = engine.dir().join("marker");
    std::fs::write(&file, "from here\n").expect("a file");
    let from = file.to_string_lossy();
    engine.docker(&["cp", &from, "source:/marker"]).ok();
    let change = r#"CMD ["cat", "/marker"]"#;
    engine
        .docker(&["commit", "-c", change, "source", name])
        .ok();
    engine.docker(&["rm", "source"]).ok();
}

/// Both kinds of registries, where both are here.
fn registries(engine: &Engine) -> Vec<Registry> {
    let mut all = vec![Registry::ours(engine, 5000)];
    all.extend(Registry::of_docker(engine, 5001));
    all
}

#[test]
fn what_is_made_here_is_the_same_when_it_comes_back() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    commit(&engine, "made:1");
    let id = engine.inspect("made:1", "{{.Id}}");
    for registry in registries(&engine) {
        let (first, second) = (registry.name("team/app:1"), registry.name("other:2"));
        engine.docker(&["tag", "made:1", &first]).ok();
        engine.docker(&["tag", "made:1", &second]).ok();
        let said = engine.docker(&["push", &first]).ok().stdout;
        assert!(said.contains(": Pushed\n"), "{said}");
        let digest = said.split("digest: ").nth(1).unwrap_or(&said);
        let digest = digest.split(' ').next().unwrap_or(digest).to_owned();
        let said = engine.docker(&["push", &first]).ok().stdout;
        assert_eq!(
            said.matches(": Layer already exists\n").count(),
            2,
            "{said}"
        );
        assert!(
            said.contains(&format!("1: digest: {digest} size: ")),
            "{said}"
        );
        let said = engine.docker(&["push", &second]).ok().stdout;
        assert_eq!(
            said.matches(": Mounted from team/app\n").count(),
            2,
            "{said}"
        );
        assert!(
            said.contains(&format!("2: digest: {digest} size: ")),
            "{said}"
        );
        let known = engine.inspect(&second, "{{json .RepoDigests}}");
        for name in [registry.name("team/app"), registry.name("other")] {
            assert!(known.contains(&format!("{name}@{digest}")), "{known}");
        }
        engine.docker(&["rmi", &first, &second, "made:1"]).ok();
        engine.docker(&["pull", &second]).ok();
        assert_eq!(engine.inspect(&second, "{{.Id}}"), id);
        engine
            .docker(&["run", "--rm", &second])
            .ok()
            .prints("from here\n");
        engine.docker(&["tag", &second, "made:1"]).ok();
    }
}

#[test]
fn what_came_with_a_manifest_leaves_with_it() {
    let engine = Engine::start();
    gantry_only!(engine);
    let archive = oci_archive(engine.dir());
    let archive = archive.to_string_lossy();
    engine.docker(&["load", "-i", &archive]).ok();
    let text = format!("tar xOf {archive} index.json | grep -o 'sha256:[0-9a-f]*' | head -1");
    let digest = finish(&mut script(&text), b"").ok().line();
    for registry in registries(&engine) {
        let name = registry.name("as/it:came");
        engine.docker(&["tag", "oci-archived:v1", &name]).ok();
        let said = engine.docker(&["push", &name]).ok().stdout;
        assert!(said.contains(&format!("came: digest: {digest} ")), "{said}");
        let hex = digest.trim_start_matches("sha256:");
        let wanted = format!("tar xOf {archive} blobs/sha256/{hex}");
        let wanted = finish(&mut script(&wanted), b"").ok().stdout;
        assert_eq!(registry.manifest("as/it", &digest), wanted);
    }
}

#[test]
fn all_tags_leave_and_quiet_says_little() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let repository = registry.name("all");
    for tag in ["a", "b", "c"] {
        engine
            .docker(&["tag", "busybox", &format!("{repository}:{tag}")])
            .ok();
    }
    let said = engine.docker(&["push", "-a", &repository]).ok().stdout;
    assert_eq!(said.matches(": digest: sha256:").count(), 3, "{said}");
    let tags = registry.get("all/tags/list", &[]).ok().stdout;
    assert!(tags.contains(r#"["a","b","c"]"#), "{tags}");
    let quiet = engine
        .docker(&["push", "-q", &format!("{repository}:a")])
        .ok();
    quiet.prints(&format!("{repository}:a\n"));
}

#[test]
fn layers_are_packed_as_the_daemon_is_told() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    let tar = busybox_tar().display().to_string();
    engine.docker(&["import", &tar, "first:1"]).ok();
    let push = |engine: &Engine, registry: &Registry, name: &str| {
        let full = registry.name(name);
        engine.docker(&["tag", "first:1", &full]).ok();
        engine.docker(&["push", &full]).ok();
        registry.manifest(name, "latest")
    };
    let registry = Registry::ours(&engine, 5000);
    let zstd = push(&engine, &registry, "zstd");
    assert!(zstd.contains("layer.v1.tar+zstd"), "{zstd}");
    drop(registry);
    engine.stop_daemon();
    let mut engine = engine.with_flags(&["--layer-compression", "gzip"]);
    engine.boot();
    let registry = Registry::ours(&engine, 5000);
    let gzip = push(&engine, &registry, "gzip");
    assert!(gzip.contains("layer.v1.tar+gzip"), "{gzip}");
    // What was packed once is found again.
    assert_eq!(push(&engine, &registry, "again"), gzip);
    engine.docker(&["import", &tar, "second:1"]).ok();
    engine.docker(&["rmi", "-f", "first:1"]).ok();
    engine.docker(&["pull", &registry.name("gzip")]).ok();
    engine
        .docker(&["run", "--rm", &registry.name("gzip"), "echo", "ran"])
        .ok()
        .prints("ran\n");
}

#[test]
fn what_cannot_leave_is_refused_in_dockers_words() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let name = registry.name("app");
    engine.docker(&["push", &name]).code(1).says(&format!(
        "An image does not exist locally with the tag: {name}"
    ));
    engine
        .docker(&["tag", "busybox", &format!("{name}:1")])
        .ok();
    engine
        .docker(&["push", &format!("{name}:2")])
        .code(1)
        .says(&format!("tag does not exist: {name}:2"));
    engine
        .docker(&["push", "--platform", "linux/s390x", &format!("{name}:1")])
        .code(1)
        .says("does not match the specified platform (linux/s390x)");
    drop(registry);
    let gone = engine.docker(&["push", &format!("{name}:1")]).code(1);
    assert_eq!(
        gone.stdout,
        format!("The push refers to repository [{name}]\n")
    );
    gone.says("connection refused");
    assert_eq!(engine.inspect("busybox", "{{json .RepoDigests}}"), "[]");
}
