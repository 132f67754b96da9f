//! `--log-opt`: what is kept, for how long, and with what.

use crate::harness::{Engine, Outcome};

/// Runs a container with these options to its end, and keeps it.
fn run(engine: &Engine, name: &str, options: &[&str], script: &str) -> Outcome {
    let mut args = vec!["run", "--name", name];
    args.extend(options);
    args.extend(["busybox", "sh", "-c", script]);
    engine.docker(&args)
}

/// The names of the container's log files, its id cut off, sorted.
fn files(engine: &Engine, name: &str) -> Vec<String> {
    let path = engine.inspect(name, "{{.LogPath}}");
    let directory = std::path::Path::new(&path).parent().expect("a directory");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the log's directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.split_once("-json.log")?.1.to_owned()))
        .collect();
    names.sort();
    names
}

/// The number of each line that is kept: without a gap to the last.
fn kept(engine: &Engine, name: &str, last: usize) -> usize {
    let text = engine.docker(&["logs", name]).ok().stdout;
    let lines: Vec<usize> = text
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let expected: Vec<usize> = (last + 1 - lines.len()..=last).collect();
    assert_eq!(lines, expected);
    lines.len()
}

#[test]
fn rotated_files_are_kept_and_compressed() {
    let engine = Engine::with_busybox();
    let limits = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3"];
    run(&engine, "plain", &limits, "seq 1 2000").ok();
    assert_eq!(files(&engine, "plain"), ["", ".1", ".2"]);
    let plain = kept(&engine, "plain", 2000);
    let packed = [&limits[..], &["--log-opt", "compress=true"]].concat();
    run(&engine, "packed", &packed, "seq 1 2000").ok();
    assert_eq!(files(&engine, "packed"), ["", ".1.gz", ".2.gz"]);
    let count = kept(&engine, "packed", 2000);
    // Docker counts on from where a restart found the file; ours too.
    assert!(count.abs_diff(plain) < 200, "{count} and {plain}");
    for tail in ["0", "1", "150", "300"] {
        let wanted: usize = tail.parse().expect("a number");
        let text = engine.docker(&["logs", "--tail", tail, "packed"]).ok();
        assert_eq!(text.stdout.lines().count(), wanted.min(count), "{tail}");
        assert!(wanted == 0 || text.stdout.ends_with("\n2000\n") || text.stdout == "2000\n");
    }
}

#[test]
fn the_local_driver_rotates_too() {
    let engine = Engine::with_busybox();
    let options = [
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=10k",
        "--log-opt",
        "max-file=4",
    ];
    run(&engine, "local", &options, "seq 1 3000").ok();
    let count = kept(&engine, "local", 3000);
    assert!((200..2900).contains(&count), "{count}");
    let last = engine.docker(&["logs", "--tail", "2", "local"]).ok();
    assert_eq!(last.stdout, "2999\n3000\n");
}

#[test]
fn details_are_what_options_choose() {
    let engine = Engine::with_busybox();
    let options = [
        "-e",
        "A=1",
        "-e",
        "B=x y",
        "-l",
        "team=red&blue",
        "-l",
        "other=1",
        "--log-opt",
        "env=B",
        "--log-opt",
        "env-regex=^A$",
        "--log-opt",
        "labels=team,missing",
        "--log-opt",
        "labels-regex=^oth",
        "--log-opt",
        "tag={{.Name}}-{{.ImageName}}",
    ];
    run(&engine, "detailed", &options, "echo hello").ok();
    let logs = engine.docker(&["logs", "--details", "detailed"]).ok();
    assert_eq!(
        logs.stdout,
        "A=1,B=x+y,other=1,tag=detailed-busybox,team=red%26blue hello\n"
    );
    let path = engine.inspect("detailed", "{{.LogPath}}");
    let record = std::fs::read_to_string(path).expect("the log");
    let attributes = "\"attrs\":{\"A\":\"1\",\"B\":\"x y\",\"other\":\"1\",\
                      \"tag\":\"detailed-busybox\",\"team\":\"red\\u0026blue\"}";
    assert!(record.contains(attributes), "{record}");
}

#[test]
fn mistakes_are_told_when_docker_tells_them() {
    let engine = Engine::with_busybox();
    // Names, when it is made.
    for (options, words) in [
        (
            &["--log-opt", "nonsense=1"][..],
            "unknown log opt 'nonsense' for json-file log driver",
        ),
        (
            &["--log-driver", "local", "--log-opt", "labels=a"],
            "unknown log opt 'labels' for log driver local",
        ),
        (
            &["--log-opt", "mode=x"],
            "logger: logging mode not supported: x",
        ),
        (
            &["--log-opt", "max-buffer-size=4m"],
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
    ] {
        run(&engine, "made", options, "true").code(125).says(words);
        engine.docker(&["rm", "made"]).code(1);
    }
    // Values, when it starts.
    for (options, words) in [
        (
            &["--log-opt", "max-size=0"][..],
            "max-size must be a positive number",
        ),
        (&["--log-opt", "max-size=x"], "invalid size: 'x'"),
        (
            &["--log-opt", "max-size=1k", "--log-opt", "max-file=0"],
            "max-file cannot be less than 1",
        ),
        (
            &["--log-opt", "compress=true"],
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (
            &["--log-driver", "local", "--log-opt", "max-file=1"],
            "compression cannot be enabled when max file count is 1",
        ),
        (
            &["--log-opt", "tag={{.Nope}}"],
            "can't evaluate field Nope in type *logger.Info",
        ),
    ] {
        let text = format!("failed to initialize logging driver: {words}");
        let outcome = run(&engine, "started", options, "true").code(125);
        if words.starts_with("can't") {
            outcome.says(words);
        } else {
            outcome.says(&text);
        }
        engine.docker(&["rm", "started"]).ok();
    }
}

#[test]
fn a_follower_goes_through_rotations() {
    let engine = Engine::with_busybox();
    let script =
        "sleep 0.5; for i in $(seq 1 40); do seq $((i*100+1)) $((i*100+100)); sleep 0.02; done";
    let options = [
        "-d",
        "--log-opt",
        "max-size=20k",
        "--log-opt",
        "max-file=5",
        "--log-opt",
        "compress=true",
    ];
    run(&engine, "busy", &options, script).ok();
    let followed = engine.docker(&["logs", "-f", "busy"]).ok().stdout;
    let expected: String = (101..=4100).map(|number| format!("{number}\n")).collect();
    assert_eq!(followed, expected);
}
