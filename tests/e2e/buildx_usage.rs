//! What the unmodified buildx shows of the cache and of builds that were, and what of
//! them it removes: all filters, as with Docker.

use crate::harness::Engine;
use crate::harness::buildx::{build, run, start};

const FILE: &str = "FROM busybox\nCOPY f /f\nRUN echo x >/v\n";
const FILES: &[(&str, &str)] = &[("Dockerfile", FILE), ("f", "contents\n")];

/// How many records `du` shows.
fn records(engine: &Engine, filters: &[&str]) -> usize {
    let shown = run(engine, &[&["du", "--verbose"], filters].concat())
        .ok()
        .stdout;
    shown.matches("ID:").count()
}

#[test]
fn the_cache_is_shown_and_goes_by_what_it_is() {
    let Some(engine) = start(FILES) else { return };
    build(&engine, &["-o=type=local,dest=out"]).ok();
    let all = records(&engine, &[]);
    assert_eq!(all, 2);
    assert_eq!(records(&engine, &["--filter=type=regular"]), all);
    assert_eq!(records(&engine, &["--filter=description~=COPY"]), 1);
    assert_eq!(records(&engine, &["--filter=type=exec.cachemount"]), 0);
    assert_eq!(records(&engine, &["--filter=nosuch=1"]), 0);
    for filter in ["id=nosuch", "type=source.local", "inuse=1"] {
        let filter = format!("--filter={filter}");
        let pruned = run(&engine, &["prune", "-f", &filter]).ok();
        assert!(pruned.stdout.contains("Total:\t0B"), "{}", pruned.stdout);
    }
    assert_eq!(records(&engine, &[]), all);
    run(&engine, &["prune", "-f", "--filter=description~=RUN"]).ok();
    assert_eq!(records(&engine, &[]), all - 1);
    run(&engine, &["prune", "-af"]).ok();
    assert_eq!(records(&engine, &[]), 0);
    let shown = run(&engine, &["inspect"]).ok().stdout;
    assert!(
        shown.contains("GC Policy rule#0:") && shown.contains("Max Used Space:"),
        "{shown}"
    );
}

#[test]
fn builds_that_were_are_found_by_what_became_of_them() {
    let Some(engine) = start(FILES) else { return };
    build(&engine, &[]).ok();
    build(&engine, &["--target=nosuch"]).code(1);
    let list = |filter: &str| {
        let args = ["history", "ls", "--format={{.Status}}", filter];
        let listed = run(&engine, &args).ok().stdout;
        let mut found: Vec<&str> = listed.split_whitespace().collect();
        found.sort_unstable();
        found.join(" ")
    };
    assert_eq!(list("--filter=duration>0s"), "Completed Error");
    assert_eq!(list("--filter=status=completed"), "Completed");
    assert_eq!(list("--filter=status=error"), "Error");
    assert_eq!(list("--filter=startedAt<1h"), "");
    let args = [
        "history",
        "ls",
        "--format=json",
        "--filter=status=completed",
    ];
    let told = run(&engine, &args).ok().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["completed_steps"], told["total_steps"]);
    let id = run(
        &engine,
        &[
            "history",
            "ls",
            "--format={{.Ref}}",
            "--filter=status=error",
        ],
    )
    .ok()
    .stdout;
    let id = id.trim().rsplit('/').next().unwrap_or_default().to_owned();
    run(&engine, &["history", "rm", &id]).ok();
    // What is gone may go.
    run(&engine, &["history", "rm", &id]).ok();
    assert_eq!(list("--filter=status=error"), "");
}

#[test]
fn what_there_is_not_is_said_in_dockers_words() {
    let Some(engine) = start(FILES) else { return };
    for (args, says) in [
        (
            ["--output=type=nosuch"],
            "exporter \"nosuch\" could not be found",
        ),
        (
            ["--attest=type=nosuch"],
            "unknown attestation type \"nosuch\"",
        ),
        (
            ["--cache-to=type=nosuch"],
            "unknown cache exporter: \"nosuch\"",
        ),
        (["--call=nosuch"], "unsupported request frontend.nosuch"),
        (
            ["--output=type=image,push=maybe"],
            "non-bool value specified for push",
        ),
    ] {
        build(&engine, &args).code(1).says(says);
    }
    let checked = build(&engine, &["--call=check,format=json"]).ok().stdout;
    assert!(checked.starts_with("{\n  \"warnings\": null,"), "{checked}");
}
