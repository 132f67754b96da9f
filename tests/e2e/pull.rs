//! `pull` from a registry that the test plays: what comes, what it is told, and
//! who shares it.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::gantry_only;
use crate::harness::registry::{Fault, IMAGE, Registry};
use crate::harness::{Engine, busybox_tar, finish};

/// What a pull has left where nothing should be.
pub fn left(engine: &Engine) -> Vec<String> {
    let root = engine.data_root();
    let mut found = Vec::new();
    let driver = root.join("snapshots/overlay");
    for dir in [
        root.join("content/blobs/sha256"),
        root.join("content/ingest"),
        driver.join("trash"),
        driver.join("layers"),
        driver,
    ] {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.ends_with("trash") && !path.ends_with("layers") {
                found.push(path.display().to_string());
            }
        }
    }
    found.extend(
        engine
            .docker(&["images", "-aq"])
            .stdout
            .lines()
            .map(str::to_owned),
    );
    found
}

/// Fails the test when something is left; the trash is emptied by and by.
#[track_caller]
pub fn nothing_is_left(engine: &Engine, when: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while !left(engine).is_empty() {
        let left = left(engine);
        assert!(Instant::now() < end, "{when}: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn partials(engine: &Engine) -> Vec<u64> {
    let dir = engine.data_root().join("content/partial");
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.collect()
}

#[test]
fn an_image_is_pulled_run_and_pulled_again() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let pulled = engine.docker(&["pull", IMAGE]).ok().stdout;
    for words in [
        "1: Pulling from team/app\n",
        ": Pulling fs layer\n",
        ": Download complete\n",
        ": Pull complete\n",
        "Digest: sha256:",
        &format!("Status: Downloaded newer image for {IMAGE}\n"),
    ] {
        assert!(pulled.contains(words), "{words}: {pulled}");
    }
    engine
        .docker(&["run", "--rm", IMAGE])
        .ok()
        .prints("from-the-top\n");
    let digests = engine.inspect(IMAGE, "{{index .RepoDigests 0}}");
    assert!(pulled.contains(digests.split('@').nth(1).expect("a digest")));
    // What `docker images --tree` shows of it.
    for path in [
        "http://d/v1.51/images/json?manifests=1",
        &format!("http://d/v1.51/images/{IMAGE}/json?manifests=1"),
    ] {
        let shown = engine.curl(&["-f", path]).ok().stdout;
        let id = digests.split('@').nth(1).expect("a digest");
        for words in [
            r#""Manifests":[{"#,
            &format!(r#""ID":"{id}""#),
            r#""Available":true"#,
            r#""Platform":{"architecture":"amd64","os":"linux"}"#,
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
    registry.asked();
    let again = engine.docker(&["pull", IMAGE]).ok().stdout;
    assert!(again.contains("Image is up to date for"), "{again}");
    assert!(registry.asked().iter().all(|asked| !asked.is_blob()));
    engine.docker(&["rmi", IMAGE]).ok();
    // By digest, quietly, and by a run that misses it.
    engine
        .docker(&["pull", "-q", &digests])
        .ok()
        .prints(&format!("{digests}\n"));
    // What only a digest names dangles.
    let dangling = ["images", "-f", "dangling=true", "--digests"];
    let shown = engine.docker(&dangling).ok().stdout;
    let digest = digests.split('@').nth(1).expect("a digest");
    assert!(shown.contains(digest), "{shown}");
    engine.docker(&["rmi", &digests]).ok();
    nothing_is_left(&engine, "removed");
    engine
        .docker(&["run", "--rm", IMAGE])
        .ok()
        .prints("from-the-top\n");
    assert_eq!(partials(&engine), [0u64; 0]);
}

#[test]
fn platforms_and_tags_are_chosen() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let busybox = std::fs::read(busybox_tar()).expect("the tar");
    let diff_id = gantry_types::Digest::of(&busybox);
    let image = registry.image("2", &[busybox], &[diff_id]);
    registry.index("many", &[("arm64", image), ("amd64", image)]);
    let many = "127.0.0.1:5000/team/app:many";
    let index = engine
        .docker(&["pull", "--platform", "linux/amd64", many])
        .ok();
    assert!(!index.stdout.contains(&image.to_string()), "{index:?}");
    engine
        .docker(&["pull", "--platform", "linux/s390x", many])
        .code(1)
        .says("no matching manifest for linux/s390x in the manifest list entries");
    engine
        .docker(&["pull", "127.0.0.1:5000/team/app:none"])
        .code(1)
        .says("manifest for 127.0.0.1:5000/team/app:none not found");
    let all = engine
        .docker(&["pull", "-a", "127.0.0.1:5000/team/app"])
        .ok();
    for tag in ["1", "2", "many"] {
        assert!(
            all.stdout.contains(&format!("{tag}: Pulling from")),
            "{all:?}"
        );
        engine.inspect(&format!("127.0.0.1:5000/team/app:{tag}"), "{{.Id}}");
    }
}

#[test]
fn what_is_no_image_is_refused_by_name() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let digest = registry.add_blob(b"{}");
    let helm = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json",
        "digest":"{digest}","size":2}},"layers":[]}}"#
    );
    let oci = "application/vnd.oci.image.manifest.v1+json";
    registry.tag("helm", oci, helm.into_bytes());
    let old = br#"{"schemaVersion":1,"name":"team/app","tag":"old","fsLayers":[],"history":[]}"#;
    let prettyjws = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    registry.tag("old", prettyjws, old.to_vec());
    for (tag, words) in [
        (
            "helm",
            "Encountered remote \"application/vnd.cncf.helm.config.v1+json\"(unknown)",
        ),
        ("old", "schema 1 support has been removed"),
    ] {
        let name = format!("127.0.0.1:5000/team/app:{tag}");
        engine.docker(&["pull", &name]).code(1).says(words);
    }
    nothing_is_left(&engine, "refused");
}

#[test]
fn a_killed_daemon_goes_on_where_it_was() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    registry.plan(|asked| match asked.is_blob() {
        true => Fault::Stall(300_000),
        false => Fault::None,
    });
    let mut client = engine.docker_command(&["pull", IMAGE]);
    let mut client = client
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a client");
    let end = Instant::now() + Duration::from_secs(30);
    while !partials(&engine).contains(&300_000) {
        assert!(Instant::now() < end, "{:?}", partials(&engine));
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.kill_daemon();
    client.wait().expect("the client ends");
    engine.boot();
    nothing_is_left(&engine, "killed");
    registry.plan(|_| Fault::None);
    registry.listen(&engine);
    engine.docker(&["pull", IMAGE]).ok();
    let starts: Vec<usize> = registry.asked().iter().map(|asked| asked.start).collect();
    assert!(starts.contains(&300_000), "{starts:?}");
    engine
        .docker(&["run", "--rm", IMAGE])
        .ok()
        .prints("from-the-top\n");
    assert_eq!(partials(&engine), [0u64; 0]);
}

#[test]
fn a_client_that_goes_ends_the_pull_unless_another_waits() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let go = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&go);
    // The layers of the first pull: manifest and configuration come before.
    registry.plan(move |asked| match (3..5).contains(&asked.index) {
        true => Fault::Wait(Arc::clone(&gate)),
        false => Fault::None,
    });
    let start = || {
        let mut client = engine.docker_command(&["pull", "-q", IMAGE]);
        client.stdout(Stdio::null()).stderr(Stdio::null());
        client.spawn().expect("a client")
    };
    let mut first = start();
    let end = Instant::now() + Duration::from_secs(30);
    let mut asked = Vec::new();
    let mut wait_for = |count: usize| {
        while asked.len() < count {
            assert!(Instant::now() < end, "{asked:?}");
            std::thread::sleep(Duration::from_millis(5));
            asked.extend(registry.asked());
        }
    };
    wait_for(5);
    let mut second = start();
    wait_for(8);
    std::thread::sleep(Duration::from_millis(300));
    first.kill().expect("the first client goes");
    first.wait().expect("it has gone");
    std::thread::sleep(Duration::from_millis(500));
    go.store(true, Ordering::SeqCst);
    assert!(second.wait().expect("the second ends").success());
    engine
        .docker(&["run", "--rm", IMAGE])
        .ok()
        .prints("from-the-top\n");
    asked.extend(registry.asked());
    let mut blobs: Vec<&str> = asked
        .iter()
        .filter(|asked| asked.is_blob())
        .map(|asked| asked.path.as_str())
        .collect();
    blobs.sort_unstable();
    let count = blobs.len();
    blobs.dedup();
    // The configuration alone is fetched by both.
    assert!(count <= blobs.len() + 1, "{asked:#?}");
    engine.docker(&["rmi", "-f", IMAGE]).ok();
    registry.plan(|asked| match asked.is_blob() && asked.index > 2 {
        true => Fault::Stall(10),
        false => Fault::None,
    });
    let mut alone = start();
    while registry.asked().iter().all(|asked| asked.index < 3) {
        std::thread::sleep(Duration::from_millis(5));
    }
    alone.kill().expect("the client goes");
    alone.wait().expect("it has gone");
    nothing_is_left(&engine, "cancelled");
    registry.plan(|_| Fault::None);
    engine.docker(&["pull", IMAGE]).ok();
}

#[test]
fn a_pull_is_an_event() {
    let engine = Engine::start();
    gantry_only!(engine);
    let _registry = Registry::start(&engine);
    engine.docker(&["pull", "-q", IMAGE]).ok();
    let format = "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}";
    let mut events = engine.docker_command(&["events", "--since", "1h", "--until", "-1s"]);
    let events = finish(events.args(["--format", format]), b"").ok();
    let wanted = format!("pull {IMAGE} 127.0.0.1:5000/team/app");
    assert!(
        events.stdout.lines().any(|line| line == wanted),
        "{events:?}"
    );
}

#[test]
fn how_often_a_registry_may_be_asked_is_told() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let limited = |lines: &'static str| {
        registry.plan(move |asked| match asked.path.ends_with("/manifests/1") {
            true => Fault::Headers(lines),
            false => Fault::None,
        });
    };
    limited("RateLimit-Limit: 100;w=21600\r\nRateLimit-Remaining: 7;w=21600\r\n");
    let pulled = engine.docker(&["pull", IMAGE]).ok().stdout;
    let line = "Rate limit: 7 of 100 pulls left (in 6 hours)\n";
    assert!(pulled.contains(line), "{pulled}");
    limited("RateLimit-Limit: 100\r\nRateLimit-Remaining: 7\r\n");
    let pulled = engine.docker(&["pull", IMAGE]).ok().stdout;
    assert!(
        pulled.contains("Rate limit: 7 of 100 pulls left\n"),
        "{pulled}"
    );
    let name = format!("{IMAGE}\n");
    engine.docker(&["pull", "-q", IMAGE]).ok().prints(&name);
}
