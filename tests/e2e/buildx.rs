//! The unmodified buildx: `docker buildx build` and `docker buildx bake`, and `docker
//! compose build`, on BuildKit's gRPC. The same scripts pass on Docker.

use std::time::{Duration, Instant};

use crate::harness::buildx::{build, run, start};
use crate::harness::compose::Project;
use crate::harness::{Outcome, folder};

const STAGES: &str = "ARG BASE=busybox
FROM $BASE AS one
ARG V
RUN --mount=type=secret,id=word test \"$(cat /run/secrets/word)\" = hidden && echo v=$V >/v
FROM busybox AS never
RUN false
FROM one AS last
COPY dir file /copied/
RUN --mount=type=bind,from=aside,target=/aside cat /aside/there /copied/file /v
LABEL a=b
CMD [\"cat\", \"/v\"]
";

#[test]
fn an_image_is_built_named_and_found_again() {
    let Some(engine) = start(&[]) else { return };
    let dir = folder(
        &engine,
        "context",
        &[
            ("Dockerfile", STAGES),
            ("file", "contents\n"),
            ("dir/inner", "x"),
            ("ignored/large", &"x".repeat(3 << 20)),
            (".dockerignore", "ignored\n"),
            ("secret", "hidden"),
        ],
    );
    let aside = engine.dir().join("aside");
    std::fs::create_dir(&aside).unwrap();
    std::fs::write(aside.join("there"), "beside\n").unwrap();
    let aside = format!("aside={}", aside.display());
    let args = [
        "--build-arg=V=7",
        "--secret=id=word,src=secret",
        "--build-context",
        &aside,
        "--label=c=d",
        "--metadata-file=metadata",
        "--iidfile=iid",
        "-t",
        "built",
        "-t",
        "built:two",
    ];
    let first = build(&engine, &args).ok();
    for words in [
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[one 1/2] FROM docker.io/library/busybox:latest",
        "[last 1/2] COPY dir file /copied/",
        "beside",
        "naming to docker.io/library/built:two ",
    ] {
        let said = first.stderr.contains(words);
        assert!(said, "{words}\n{}", first.stderr);
    }
    assert!(!first.stderr.contains("[never"), "{}", first.stderr);
    let id = engine.inspect("built:two", "{{.Id}}");
    assert_eq!(std::fs::read_to_string(dir.join("iid")).unwrap(), id);
    let metadata = std::fs::read_to_string(dir.join("metadata")).unwrap();
    assert!(metadata.contains(&format!("\"containerimage.config.digest\": \"{id}\"")));
    assert_eq!(
        engine.inspect("built", "{{json .Config.Labels}}"),
        r#"{"a":"b","c":"d"}"#
    );
    engine
        .docker(&["run", "--rm", "built"])
        .ok()
        .prints("v=7\n");

    let again = build(&engine, &args).ok();
    // The image that it begins with is told as found again, or as done.
    let cached = |outcome: &Outcome| outcome.stderr.matches(" CACHED").count();
    assert!((3..=4).contains(&cached(&again)), "{}", again.stderr);
    assert_eq!(engine.inspect("built", "{{.Id}}"), id);
    let anew = build(&engine, &[&["--no-cache"], &args[..]].concat()).ok();
    assert!(cached(&anew) <= 1, "{}", anew.stderr);
}

#[test]
fn only_files_that_changed_travel() {
    let Some(engine) = start(&[]) else { return };
    let files: Vec<(String, String)> = (0..40)
        .map(|number| (format!("f{number}"), "x".repeat(100_000)))
        .collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (&n[..], &t[..])).collect();
    files.push((
        "Dockerfile",
        "FROM busybox\nCOPY . /all/\nRUN cat /all/* | wc -c\n",
    ));
    let dir = folder(&engine, "context", &files);
    let sent = |outcome: &Outcome| -> f64 {
        let mut line = outcome
            .stderr
            .lines()
            .filter(|line| line.contains("transferring context: "));
        let line = line.next_back().expect("what was sent");
        let size = line.split(' ').nth(3).expect("a size");
        let unit = [("MB", 1e6), ("kB", 1e3), ("B", 1.0)];
        let unit = unit
            .iter()
            .find(|(unit, _)| size.ends_with(unit))
            .expect("a unit");
        size.trim_end_matches(unit.0)
            .parse::<f64>()
            .expect("a number")
            * unit.1
    };
    let first = build(&engine, &[]).ok();
    assert!(sent(&first) > 3.9e6, "{}", first.stderr);
    std::fs::write(dir.join("f7"), "y".repeat(100_001)).unwrap();
    std::fs::remove_file(dir.join("f8")).unwrap();
    let second = build(&engine, &[]).ok();
    assert!(sent(&second) < 2e5, "{}", second.stderr);
    let count = second
        .stderr
        .lines()
        .find(|line| line.ends_with(" 3900050"));
    assert!(count.is_some(), "{}", second.stderr);
}

#[test]
fn failures_show_the_lines_that_are_meant() {
    let Some(engine) = start(&[]) else { return };
    folder(
        &engine,
        "context",
        &[
            (
                "Dockerfile",
                "FROM busybox\nRUN echo out; exit 3\nRUN true\n",
            ),
            ("wrong", "FROM busybox\nRNTRYPOINT x\n"),
            ("lint", "FROM busybox\nMAINTAINER me\n"),
        ],
    );
    for (args, words) in [
        (
            ["-f", "Dockerfile"],
            vec![
                " > [2/3] RUN echo out; exit 3:",
                "   2 | >>> RUN echo out; exit 3",
                "process \"/bin/sh -c echo out; exit 3\" did not complete successfully: exit code: 3",
            ],
        ),
        (
            ["-f", "wrong"],
            vec![
                "   2 | >>> RNTRYPOINT x",
                "unknown instruction: RNTRYPOINT (did you mean ENTRYPOINT?)",
            ],
        ),
        (
            ["-f", "nothing"],
            vec!["failed to read dockerfile: open nothing: no such file or directory"],
        ),
    ] {
        let failed = build(&engine, &args).code(1);
        for words in words {
            assert!(failed.stderr.contains(words), "{words}\n{}", failed.stderr);
        }
    }
    let warned = build(&engine, &["-f", "lint"]).ok();
    assert!(
        warned.stderr.contains("MaintainerDeprecated"),
        "{}",
        warned.stderr
    );
    let checked = run(&engine, &["build", "--check", "-f", "lint", "."]).code(1);
    assert!(checked.stdout.contains("lint:2"), "{}", checked.stdout);
    let targets = run(&engine, &["build", "--call=targets", "."]).ok();
    assert!(targets.stdout.contains("(default)"), "{}", targets.stdout);
}

#[test]
fn files_of_a_result_come_back() {
    let Some(engine) = start(&[]) else { return };
    let file = "FROM scratch\nCOPY --chmod=600 f d/\nCOPY f d/g\n";
    let dir = folder(
        &engine,
        "context",
        &[("Dockerfile", file), ("f", "contents")],
    );
    build(&engine, &["-o", "out"]).ok();
    assert_eq!(std::fs::read(dir.join("out/d/f")).unwrap(), b"contents");
    use std::os::unix::fs::PermissionsExt;
    let mode = dir.join("out/d/f").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    build(&engine, &["-o", "type=tar,dest=out.tar"]).ok();
    let listed = std::process::Command::new("tar")
        .args(["tf", "out.tar"])
        .current_dir(&dir)
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line.ends_with("d/g")), "{listed}");
}

#[test]
fn contexts_come_from_standard_input_too() {
    let Some(engine) = start(&[]) else { return };
    let file = "FROM busybox\nCOPY f /f\nRUN cat /f\n";
    let dir = folder(
        &engine,
        "context",
        &[("Dockerfile", file), ("f", "from a pipe"), ("skip", "x")],
    );
    std::fs::write(dir.join(".dockerignore"), "skip\n").unwrap();
    let packed = std::process::Command::new("tar")
        .args(["c", "."])
        .current_dir(&dir)
        .output()
        .unwrap();
    let args = ["buildx", "build", "--progress=plain", "-"];
    let built = engine.docker_with(&args, &packed.stdout).ok();
    assert!(built.stderr.contains("from a pipe"), "{}", built.stderr);
    let alone = engine
        .docker_with(&args, b"FROM busybox\nRUN echo alone\n")
        .ok();
    assert!(alone.stderr.contains(" alone"), "{}", alone.stderr);
}

#[test]
fn a_cancelled_build_ends_its_steps() {
    let Some(engine) = start(&[]) else { return };
    let dir = folder(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nRUN sleep 98765\n")],
    );
    let runs = || {
        let ps = std::process::Command::new("pgrep")
            .args(["-f", "^sleep 98765"])
            .output();
        !ps.unwrap().stdout.is_empty()
    };
    let waits = |wanted: bool| {
        let begun = Instant::now();
        while runs() != wanted && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(runs(), wanted);
    };
    let mut command = engine.docker_command(&["buildx", "build", "."]);
    let mut child = command.current_dir(&dir).spawn().unwrap();
    waits(true);
    // A client that is gone wants nothing any more.
    child.kill().unwrap();
    child.wait().unwrap();
    waits(false);
}

#[test]
fn bake_builds_several_targets() {
    let Some(engine) = start(&[]) else { return };
    let bake = "group \"default\" {\n  targets = [\"one\", \"two\"]\n}\n\
        target \"one\" {\n  tags = [\"one\"]\n  args = { V = \"1\" }\n}\n\
        target \"two\" {\n  inherits = [\"one\"]\n  tags = [\"two\"]\n  args = { V = \"2\" }\n}\n";
    let file = "FROM busybox\nARG V\nRUN echo $V >/v\nCMD cat /v\n";
    folder(
        &engine,
        "context",
        &[("Dockerfile", file), ("docker-bake.hcl", bake)],
    );
    run(&engine, &["bake", "--progress=plain"]).ok();
    engine.docker(&["run", "--rm", "one"]).ok().prints("1\n");
    engine.docker(&["run", "--rm", "two"]).ok().prints("2\n");
}

#[test]
fn a_target_of_a_bake_is_the_base_of_another() {
    let Some(engine) = start(&[]) else { return };
    let bake = "group \"default\" {\n  targets = [\"base\", \"app\"]\n}\n\
        target \"base\" {\n  dockerfile = \"base\"\n  tags = [\"linked-base\"]\n}\n\
        target \"app\" {\n  dockerfile = \"app\"\n  tags = [\"app\"]\n  \
        contexts = {\n    below = \"target:base\"\n  }\n}\n";
    let files = [
        ("base", "FROM busybox\nRUN echo from-base >/made\n"),
        (
            "app",
            "FROM below\nCOPY --from=below /made /copied\nCMD cat /made /copied\n",
        ),
        ("docker-bake.hcl", bake),
    ];
    folder(&engine, "context", &files);
    run(&engine, &["bake", "--progress=plain"]).ok();
    let run = engine.docker(&["run", "--rm", "app"]).ok();
    run.prints("from-base\nfrom-base\n");
}

#[test]
fn compose_builds_by_buildx() {
    let Some(engine) = start(&[]) else { return };
    let text = "services:\n  a:\n    build: {context: ., args: {V: seen}}\n    image: composed\n";
    let Some(project) = Project::of(&engine, text) else {
        return;
    };
    project.write(
        "Dockerfile",
        "FROM busybox\nARG V\nRUN echo $V >/v\nCMD cat /v\n",
    );
    project.docker(&["build"]).ok();
    engine
        .docker(&["run", "--rm", "composed"])
        .ok()
        .prints("seen\n");
}
