//! What `system df` says, and what prunes say that they gave back, against `du`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gantry_only;
use crate::harness::served::Registry;
use crate::harness::{Engine, busybox_tar, finish, folder, script};

/// Bytes of blocks, by `du`.
fn du(path: &Path) -> i64 {
    let mut du = script(&format!("du -s --block-size=1 '{}'", path.display()));
    let line = finish(&mut du, b"").ok().line();
    let digits = line.split_whitespace().next().expect("a number");
    digits.parse().expect("a number")
}

/// The answer of `system/df`.
fn usage(engine: &Engine) -> Value {
    let answer = engine.curl(&["http://d/v1.51/system/df"]).ok().stdout;
    let json = answer.lines().next().expect("an answer");
    serde_json::from_str(json).expect("JSON")
}

#[track_caller]
fn number(value: &Value, place: &str) -> i64 {
    let found = value.pointer(place).and_then(Value::as_i64);
    found.unwrap_or_else(|| panic!("no {place} in {value}"))
}

fn total(list: &Value, place: &str) -> i64 {
    let list = list.as_array().expect("a list");
    list.iter().map(|item| number(item, place)).sum()
}

/// The sum of the four lines of `docker system df`.
fn sum(engine: &Engine) -> i64 {
    let usage = usage(engine);
    let cache = usage["BuildCache"].as_array().expect("a list").iter();
    // What images have too is counted as theirs, by the client as well.
    let cache = cache.filter(|record| record["Shared"] == false);
    number(&usage, "/LayersSize")
        + total(&usage["Containers"], "/SizeRw")
        + total(&usage["Volumes"], "/UsageData/Size")
        + cache.map(|record| number(record, "/Size")).sum::<i64>()
}

/// Size and shared size of an image.
fn image(usage: &Value, name: &str) -> (i64, i64) {
    let images = usage["Images"].as_array().expect("a list");
    let found = images.iter().find(|image| image["RepoTags"][0] == name);
    let found = found.expect("the image");
    (number(found, "/Size"), number(found, "/SharedSize"))
}

#[track_caller]
fn same(told: i64, found: i64, all: i64) {
    let (difference, allowed) = ((told - found).abs(), all / 100);
    assert!(difference <= allowed, "{told} told, {found} by du");
}

/// What a command says it has given back, beside what `du` lost.
#[track_caller]
fn prunes(engine: &Engine, args: &[&str]) {
    let before = du(&engine.data_root());
    let answer = engine.docker(args).ok().stdout;
    let size = answer
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("Total reclaimed space: "));
    let size = size.expect("a size");
    let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = number.parse().expect("a number");
    let unit = match &size[size.len() - 2..] {
        "kB" => 1e3,
        "MB" => 1e6,
        _ => 1.0,
    };
    same(
        (number * unit) as i64,
        before - du(&engine.data_root()),
        before,
    );
}

const WRITES: &str = "for i in $(seq 700); do mkdir -p /d/$i; echo $i >/d/$i/f; done; \
    dd if=/dev/urandom of=/big bs=1M count=12; dd if=/dev/zero of=/v/x bs=1M count=5; \
    ln -s $(seq -s- 300) /long; seq 100000";

#[test]
fn the_sum_is_what_du_says() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    engine
        .docker(&[
            "run", "--name", "one", "-v", "vol:/v", "busybox", "sh", "-c", WRITES,
        ])
        .ok();
    engine.docker(&["commit", "one", "made:1"]).ok();
    engine
        .docker(&["run", "-d", "--name", "two", "made:1", "sleep", "1000"])
        .ok();
    let look = |engine: &Engine| {
        let all = du(&engine.data_root());
        same(sum(engine), all, all);
        same(number(&usage(engine), "/DataRoot/Total"), all, all);
    };
    look(&engine);
    // Of its own the second image has a layer, and no blob; the rest is of both.
    let now = usage(&engine);
    let (made, base) = (image(&now, "made:1"), image(&now, "busybox:latest"));
    assert_eq!((made.1, base.1), (base.0, base.0));
    let own = made.0 - made.1;
    assert!(own > 12_000_000 && own < 24_000_000, "{made:?}: a layer");
    engine.docker(&["rm", "-f", "two"]).ok();
    prunes(&engine, &["container", "prune", "-f"]);
    look(&engine);
    prunes(&engine, &["volume", "prune", "-af"]);
    look(&engine);
    prunes(&engine, &["system", "prune", "-af"]);
    look(&engine);
    let left = usage(&engine);
    let left = ["/DataRoot/Layers", "/DataRoot/Blobs"].map(|place| number(&left, place));
    assert_eq!(left, [0, 0]);
}

const DOCKERFILE: &str = "FROM busybox AS base\n\
    RUN dd if=/dev/urandom of=/base bs=1M count=3\n\
    FROM base AS other\n\
    RUN --mount=type=cache,target=/kept dd if=/dev/urandom of=/kept/x bs=1M count=4\n\
    FROM base\n\
    COPY --from=other /base /copy\n\
    COPY file /\n\
    RUN cat /file /base >/both && mkdir -p /many && cd /many && touch $(seq 500)\n";

/// Builds, pulls, archives, containers and volumes, and what is left when they go one
/// after the other.
#[test]
fn a_mixed_life_adds_up() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let look = |when: &str| {
        let (told, all) = (sum(&engine), du(&engine.data_root()));
        let off = (told - all).abs();
        assert!(off <= all / 100, "{when}: {told} told, {all} by du");
    };
    let docker = |args: &[&str]| {
        engine.docker(args).ok();
        look(&args.join(" "));
    };
    let context = folder(
        &engine,
        "context",
        &[("Dockerfile", DOCKERFILE), ("file", "x")],
    );
    let context = context.to_string_lossy();
    let build = |more: &[&str]| {
        let args = [&["build", "-q"], more, &[&*context]].concat();
        engine.gantry(&args).ok();
        look(&args.join(" "));
    };
    let name = registry.name("team/app:1");
    build(&["-t", &name]);
    build(&["--target=other"]);
    docker(&["push", &name]);
    let archive = engine.dir().join("archive.tar").display().to_string();
    docker(&["save", "-o", &archive, &name]);
    docker(&["rmi", &name]);
    docker(&["builder", "prune", "-f"]);
    docker(&["pull", &name]);
    docker(&["load", "-i", &archive]);
    docker(&["import", &archive, "tar:1"]);
    let write = "dd if=/dev/urandom of=/v/x bs=1M count=2; dd if=/dev/urandom of=/y bs=1M count=2";
    docker(&["run", "--name=one", "-vvol:/v", &name, "sh", "-c", write]);
    docker(&[
        "run",
        "-d",
        "--name=two",
        "-v/v",
        &name,
        "sh",
        "-c",
        "tail -f /dev/null",
    ]);
    docker(&["commit", "one", "made:1"]);
    let second = registry.name("team/made:1");
    docker(&["tag", "made:1", &second]);
    docker(&["push", &second]);
    docker(&["rmi", "made:1", &second, "tar:1"]);
    docker(&["pull", &second]);
    build(&["--no-cache", "-t", "other:1"]);
    docker(&["rm", "-fv", "two"]);
    docker(&["rm", "one"]);
    docker(&["rmi", "-f", &name]);
    docker(&["volume", "prune", "-af"]);
    docker(&["image", "prune", "-af"]);
    docker(&["builder", "prune", "-af"]);
    let left = usage(&engine);
    let places = ["/DataRoot/Layers", "/DataRoot/Blobs"];
    assert_eq!(places.map(|place| number(&left, place)), [0, 0], "{left}");
}

#[test]
fn downloads_that_were_cut_off_are_counted_and_pruned() {
    let engine = Engine::start();
    gantry_only!(engine);
    let name = format!("{}.9000000", "ab".repeat(32));
    let partial = engine.data_root().join("content/partial").join(name);
    std::fs::write(&partial, vec![7; 5_000_000]).expect("a file");
    assert!(number(&usage(&engine), "/DataRoot/Arriving") >= 5_000_000);
    let all = du(&engine.data_root());
    same(sum(&engine), all, all);
    // The stock client shows no size where no image went.
    let told = engine.gantry(&["image", "prune", "-f"]).ok().line();
    assert_eq!(told, "Total reclaimed space: 5MB");
    assert!(!partial.exists());
}

#[test]
fn old_images_go_by_themselves_where_that_is_wished() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let policy = r#"{"image-gc": {"max-age": "5s", "interval": "1s", "keep": ["keep/*"]}}"#;
    std::fs::write(file.path(), policy).expect("a configuration");
    let config = file.path().to_string_lossy().into_owned();
    let engine = Engine::start_with(&["--config-file", &config]);
    gantry_only!(engine);
    let tar = busybox_tar().to_string_lossy().into_owned();
    engine
        .docker(&["import", "-m", "first", &tar, "keep/this:1"])
        .ok();
    let used = engine
        .docker(&["import", "-m", "second", &tar, "used:1"])
        .ok();
    let created = engine.docker(&["create", "--name", "user", &used.line(), "true"]);
    created.ok();
    engine
        .docker(&["import", "-m", "third", &tar, "old:1"])
        .ok();
    let deadline = Instant::now() + Duration::from_secs(60);
    let told = ["--filter", "event=gc", "--since", "1h", "--until", "0s"];
    let format = [
        "--format",
        "{{.Actor.Attributes.name}} {{.Actor.Attributes.reason}}",
    ];
    let words = [&["events"], &told[..], &format].concat();
    // Told when all of it is done.
    let events = || engine.docker(&words).ok().stdout;
    while events() != "old:1 age\n" {
        assert!(Instant::now() < deadline, "{}", engine.daemon_log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let names = engine.docker(&["images", "--format", "{{.Repository}}"]);
    let left = names.ok().stdout;
    assert!(!left.contains("old"), "{left}");
    assert!(
        left.contains("keep/this") && left.contains("used"),
        "{left}"
    );
}
