//! What `system df` says, and what prunes say that they gave back, against `du`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gantry_only;
use crate::harness::{Engine, busybox_tar, finish, script};

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
    number(&usage, "/LayersSize")
        + total(&usage["Containers"], "/SizeRw")
        + total(&usage["Volumes"], "/UsageData/Size")
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
    // Of its own the second image has a layer and a blob; the rest is of both.
    let now = usage(&engine);
    let (made, base) = (image(&now, "made:1"), image(&now, "busybox:latest"));
    assert_eq!((made.1, base.1), (base.0, base.0));
    assert!(made.0 - made.1 > 2 * 12_000_000, "{made:?}: layer and blob");
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
