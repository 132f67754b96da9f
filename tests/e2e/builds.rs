//! `docker build` as the classic builder has it: what comes of a Dockerfile, what is
//! found again, what a failure says, and that nothing is left.

use crate::gantry_only;
use crate::harness::{Engine, Outcome, folder};

const STAGES: &str = "ARG BASE=busybox
FROM $BASE AS one
ARG A=1
ENV X=y Z=\"a b\"
RUN echo $A $X >/made; echo seen
COPY --chown=user:extra file dir /copied/
WORKDIR /work
EXPOSE 80 90/udp
FROM busybox AS never
RUN exit 9
FROM one
COPY --from=one /made /again
USER user
ENTRYPOINT [\"/bin/sh\", \"-c\"]
CMD [\"cat /again; id -un; pwd\"]
";

#[test]
fn stages_are_built_and_found_again() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let files = [
        ("Dockerfile", STAGES),
        ("file", "a file\n"),
        ("dir/in", "a file in a folder\n"),
    ];
    let dir = folder(&engine, "context", &files);
    let flags = [
        "-t",
        "made",
        "-t",
        "made:two",
        "--build-arg",
        "A=2",
        "--label",
        "l=m",
    ];
    let told = engine.classic_build(&dir, &flags).ok().stdout;
    let words = [
        "Step 1/14 : ARG BASE=busybox",
        "seen\n",
        "Successfully tagged made:two",
    ];
    assert!(words.iter().all(|words| told.contains(words)), "{told}");
    let ran = engine.docker(&["run", "--rm", "made"]);
    ran.ok().prints("2 y\nuser\n/work\n");
    let listed = engine.docker(&["run", "--rm", "made", "ls -ln /copied; cat /copied/in"]);
    let listed = listed.ok().stdout;
    let words = ["1000     2000", "a file in a folder"];
    assert!(words.iter().all(|words| listed.contains(words)), "{listed}");
    let config = engine.inspect(
        "made",
        "{{json .Config.ExposedPorts}} {{json .Config.Labels}}",
    );
    assert_eq!(config, "{\"80/tcp\":{},\"90/udp\":{}} {\"l\":\"m\"}");
    let id = engine.inspect("made", "{{.Id}}");
    engine.kill_daemon();
    engine.boot();
    let again = engine.classic_build(&dir, &flags).ok();
    assert_eq!(
        again.stdout.matches("Using cache").count(),
        11,
        "{}",
        again.stdout
    );
    assert_eq!(engine.inspect("made", "{{.Id}}"), id);
}

#[test]
fn only_what_has_changed_is_run_again() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let text = "FROM busybox AS a\nCOPY one /one\nRUN date +%N >/a\n\
                FROM busybox\nCOPY two /two\nRUN date +%N >/b\nCOPY --from=a /one /one\n";
    let files = [("Dockerfile", text), ("one", "1"), ("two", "2")];
    let dir = folder(&engine, "context", &files);
    engine.classic_build(&dir, &["-t", "x"]).ok();
    let touched = |path: &str, text: &str| std::fs::write(dir.join(path), text).expect("a file");
    // A time is no change.
    touched("one", "1");
    let used = |outcome: Outcome| outcome.ok().stdout.matches("Using cache").count();
    assert_eq!(used(engine.classic_build(&dir, &["-t", "x"])), 5);
    touched("two", "3");
    assert_eq!(used(engine.classic_build(&dir, &["-t", "x"])), 2);
    assert_eq!(
        used(engine.classic_build(&dir, &["-t", "x", "--no-cache"])),
        0
    );
}

#[test]
fn failures_say_what_dockers_say_and_leave_nothing() {
    let engine = Engine::with_busybox();
    for (text, code, words) in [
        (
            "FROM busybox\nRUN exit 3\n",
            3,
            "The command '/bin/sh -c exit 3' returned a non-zero code: 3",
        ),
        (
            "FROM busybox\nRNTRYPOINT x\n",
            1,
            "dockerfile parse error on line 2: unknown instruction: RNTRYPOINT (did you mean \
             ENTRYPOINT?)",
        ),
        (
            "FROM busybox\nCOPY nope /x\n",
            1,
            "COPY failed: file not found in build context or excluded by .dockerignore: stat \
             nope: file does not exist",
        ),
        (
            "FROM busybox\nCOPY ../x /x\n",
            1,
            "COPY failed: forbidden path outside the build context: ../x ()",
        ),
        (
            "FROM busybox\nUSER nobodyx\nRUN id\n",
            1,
            "unable to find user nobodyx: no matching entries in passwd file",
        ),
    ] {
        let dir = folder(&engine, "context", &[("Dockerfile", text)]);
        engine
            .classic_build(&dir, &["--force-rm"])
            .code(code)
            .says(words);
    }
    engine.docker(&["ps", "-aq"]).ok().prints("");
}

#[test]
fn a_build_whose_client_goes_ends_with_it() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let dir = folder(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nRUN sleep 1000\n")],
    );
    let begin = |engine: &Engine| {
        let mut command = engine.docker_command(&["build", dir.to_str().expect("a path")]);
        command.env("DOCKER_BUILDKIT", "0");
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let child = command.spawn().expect("a client");
        until(engine, |ids| !ids.is_empty());
        child
    };
    let mut client = begin(&engine);
    client.kill().expect("its end");
    client.wait().expect("its end");
    until(&engine, str::is_empty);
    // What a killed daemon leaves, the next one removes.
    let mut client = begin(&engine);
    engine.kill_daemon();
    client.wait().expect("its end");
    engine.boot();
    until(&engine, str::is_empty);
    let left = std::fs::read_dir(engine.data_root().join("builds"));
    assert_eq!(left.into_iter().flatten().count(), 0);
}

/// Waits for the list of containers to be so.
fn until(engine: &Engine, wanted: impl Fn(&str) -> bool) {
    for _ in 0..600 {
        let listed = engine.docker(&["ps", "-aq"]).ok().stdout;
        if wanted(&listed) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the containers are not as they should be");
}

#[test]
fn what_the_ignore_file_names_does_not_come_along() {
    let engine = Engine::with_busybox();
    let files = [
        (
            "Dockerfile",
            "FROM busybox\nCOPY . /c\nRUN cd /c && find . -type f | sort\n",
        ),
        (".dockerignore", "*.log\n!kept.log\nsecret\n"),
        ("a.log", "x"),
        ("kept.log", "x"),
        ("secret/key", "x"),
        ("b", "x"),
    ];
    let dir = folder(&engine, "context", &files);
    let out = engine.classic_build(&dir, &["--no-cache"]).ok().stdout;
    assert!(out.contains("./b\n./kept.log\n"), "{out}");
    assert!(!out.contains("a.log") && !out.contains("secret"), "{out}");
}

const LANGUAGE: &str = "# syntax=docker/dockerfile:1
FROM busybox AS base
ARG TARGETARCH
RUN --mount=type=cache,target=/cache echo x >>/cache/log && wc -l </cache/log
RUN --mount=type=bind,target=/ctx,rw cat /ctx/file && echo z >/ctx/file
RUN --mount=type=secret,id=s cat /run/secrets/s
RUN <<END
echo two >/two
END
COPY <<END /etc/conf
for $TARGETARCH
END
COPY --chmod=u=rw,go= --chown=user file /x
COPY --parents sub/./deep/*.txt /par/
COPY --exclude=*.md . /all/
FROM busybox
RUN --mount=from=base,target=/b,rw cat /b/two && echo z >/b/two
COPY --from=base /etc/conf /x /c/
COPY --from=base /all /all
CMD ls -ln /c /all; ls /; cat /all/file
";

#[test]
fn our_client_builds_the_whole_language() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let files = [
        ("Dockerfile", LANGUAGE),
        ("file", "a file\n"),
        ("sub/deep/a.txt", "t"),
        ("r.md", "m"),
        ("../secret", "hidden\n"),
    ];
    let dir = folder(&engine, "context", &files);
    let (dir, id) = (dir.to_str().expect("a path"), engine.dir().join("id"));
    let secret = format!("id=s,src={}", engine.dir().join("secret").display());
    let id = id.to_str().expect("a path");
    let flags = ["build", "-t", "made", "--secret", &secret, "--iidfile", id];
    let build = |more: &[&str]| {
        let mut args = flags.to_vec();
        args.extend(more);
        args.push(dir);
        engine.gantry(&args).ok().stderr
    };
    let told = build(&[]);
    assert!(
        told.contains(" hidden\n") && told.contains(" 1\n"),
        "{told}"
    );
    let ran = engine.docker(&["run", "--rm", "made"]).ok().stdout;
    for words in ["-rw-------    1 1000     1000", "conf", "a file\n"] {
        assert!(ran.contains(words), "{words}: {ran}");
    }
    // What was made for mounts, and what was left out, is in no layer.
    assert!(!ran.contains("\nb\n") && !ran.contains("r.md"), "{ran}");
    let first = std::fs::read_to_string(id).expect("an id");
    assert_eq!(first, engine.inspect("made", "{{.Id}}"));
    assert_eq!(build(&[]).matches(" CACHED\n").count(), 11);
    let why = build(&["--explain-cache", "--build-arg", "TARGETARCH=x"]);
    assert!(why.contains("changed from \"amd64\" to \"x\""), "{why}");
    engine
        .gantry(&["build", "--no-such", dir])
        .code(125)
        .says("no-such");
}

#[test]
fn a_link_in_the_context_leads_nowhere_outside() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let text = "FROM busybox\nRUN --mount=type=bind,source=out,target=/in ls /in\n";
    let dir = folder(&engine, "context", &[("Dockerfile", text)]);
    std::os::unix::fs::symlink("/etc", dir.join("out")).expect("a link");
    let path = dir.to_str().expect("a path");
    engine.gantry(&["build", path]).code(1).says("out");
    let text = "FROM busybox\nCOPY out/passwd /x\n";
    std::fs::write(dir.join("Dockerfile"), text).expect("a file");
    engine.gantry(&["build", path]).code(1).says("not found");
}

/// As Docker has it: each instruction is one step, which has its time from when it was
/// first done on the same image.
#[test]
fn what_only_changes_the_configuration_is_found_again() {
    let engine = Engine::with_busybox();
    let built = |text: &str, flags: &[&str]| {
        let dir = folder(&engine, "configured", &[("Dockerfile", text)]);
        let all = engine.classic_build(&dir, flags).ok().stdout;
        let id = all
            .lines()
            .find_map(|line| line.strip_prefix("Successfully built "));
        let found = all.matches(" ---> Using cache\n").count();
        (id.expect("an id").to_owned(), found)
    };
    for file in [
        "FROM scratch\nMAINTAINER me\nEXPOSE 80\n",
        "FROM busybox\nENV A=b\nRUN echo $A >/a\nLABEL l=1\nCMD a\n",
    ] {
        let steps = file.lines().count() - 1;
        let (first, found) = built(file, &[]);
        assert_eq!(found, 0, "{file}");
        assert_eq!(built(file, &[]), (first.clone(), steps), "{file}");
        let (anew, found) = built(file, &["--no-cache"]);
        assert_eq!(found, 0, "{file}");
        assert_ne!(anew, first, "{file}");
        assert_eq!(built(file, &[]), (anew, steps), "the newest is found");
    }
    let other = "FROM busybox\nENV A=b\nRUN echo $A >/a\nLABEL l=2\nCMD a\n";
    assert_eq!(built(other, &[]).1, 2, "what is above another label");
    engine.docker(&["image", "prune", "-af"]).ok();
}
