//! Starts that fail: the client's exit code, the words, and what the container's
//! state says from then on.

use crate::harness::Engine;

/// Options and command; the client's code; the end of the message; the state's
/// exit code, where a container is left.
type Form<'a> = (&'a [&'a str], &'a [&'a str], i32, &'a str, Option<i32>);

const FORMS: [Form<'_>; 19] = [
    (
        &[],
        &["nope"],
        127,
        "exec: \"nope\": executable file not found in $PATH",
        Some(127),
    ),
    (
        &[],
        &["/nope"],
        127,
        "exec: \"/nope\": stat /nope: no such file or directory",
        Some(127),
    ),
    (
        &[],
        &["/etc"],
        126,
        "exec: \"/etc\": is a directory: permission denied",
        Some(126),
    ),
    (
        &[],
        &["/etc/passwd"],
        126,
        "exec: \"/etc/passwd\": permission denied",
        Some(126),
    ),
    (
        &[],
        &["/etc/passwd/x"],
        125,
        "exec: \"/etc/passwd/x\": stat /etc/passwd/x: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type",
        Some(127),
    ),
    (
        &[],
        &[""],
        127,
        "exec: \"\": executable file not found in $PATH",
        Some(127),
    ),
    (
        &["-u", "nope"],
        &["true"],
        125,
        "unable to find user nope: no matching entries in passwd file",
        Some(128),
    ),
    (
        &["-u", "0:nope"],
        &["true"],
        125,
        "unable to find group nope: no matching entries in group file",
        Some(128),
    ),
    (
        &["-u", "99999999999"],
        &["true"],
        125,
        "uids and gids must be in range 0-2147483647",
        Some(128),
    ),
    (
        &["--device", "/dev/nope"],
        &["true"],
        127,
        "\"/dev/nope\": no such file or directory",
        Some(128),
    ),
    (
        &["--ulimit", "nproc=-1"],
        &["true"],
        125,
        "error setting rlimits for ready process: error setting rlimit type 6: operation not permitted",
        Some(128),
    ),
    (
        &["--sysctl", "net.nope=1"],
        &["true"],
        127,
        "no such file or directory",
        Some(127),
    ),
    (
        &["--tmpfs", "/t:size=x"],
        &["true"],
        125,
        "invalid argument",
        Some(128),
    ),
    (
        &["--network", "nope"],
        &["true"],
        125,
        "failed to set up container networking: network nope not found",
        Some(128),
    ),
    (
        &["-w", "x"],
        &["true"],
        125,
        "the working directory 'x' is invalid, it needs to be an absolute path",
        None,
    ),
    (
        &["-v", "/tmp:/x:y"],
        &["true"],
        125,
        "invalid mode: y",
        None,
    ),
    (
        &["-m", "1m"],
        &["true"],
        125,
        "Minimum memory limit allowed is 6MB",
        None,
    ),
    (
        &["--mount", "type=bind,src=/nope,dst=/x"],
        &["true"],
        125,
        "bind source path does not exist: /nope",
        None,
    ),
    (
        &["--runtime", "nope"],
        &["true"],
        125,
        "unknown or invalid runtime name: nope",
        None,
    ),
];

#[test]
fn failed_starts_are_told_by_code_text_and_state() {
    let engine = Engine::with_busybox();
    for (options, command, code, words, left) in FORMS {
        let head = ["run", "--name", "failed"];
        let args = [&head[..], options, &["busybox"], command].concat();
        let outcome = engine.docker(&args).code(code);
        let told = outcome.stderr.lines().next().unwrap_or_default();
        assert!(told.ends_with(words), "{options:?} {command:?}: {told}");
        let Some(exit_code) = left else {
            engine.docker(&["inspect", "failed"]).code(1);
            continue;
        };
        let state = engine.inspect("failed", "{{.State.Status}} {{.State.ExitCode}}");
        assert_eq!(
            state,
            format!("created {exit_code}"),
            "{options:?} {command:?}"
        );
        let error = engine.inspect("failed", "{{.State.Error}}");
        assert!(error.ends_with(words), "{options:?} {command:?}: {error}");
        engine.docker(&["rm", "failed"]).ok();
    }
}

#[test]
fn a_failed_start_keeps_what_the_last_run_said() {
    let engine = Engine::with_busybox();
    let program = engine.dir().join("busybox");
    std::fs::copy("/bin/busybox", &program).expect("a busybox on this machine");
    let folder = format!("{}:/w", engine.dir().display());
    let run = [
        "run",
        "--name",
        "late",
        "-v",
        &folder,
        "busybox",
        "/w/busybox",
        "sh",
        "-c",
        "exit 3",
    ];
    engine.docker(&run).code(3);
    assert_eq!(
        engine.inspect("late", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 3"
    );
    std::fs::remove_file(&program).expect("the program is there");
    engine
        .docker(&["start", "late"])
        .code(1)
        .says("stat /w/busybox: no such file or directory");
    assert_eq!(
        engine.inspect("late", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 127"
    );
    std::fs::copy("/bin/busybox", &program).expect("a busybox on this machine");
    engine.docker(&["start", "-a", "late"]).code(3);
    assert_eq!(
        engine.inspect("late", "{{.State.ExitCode}}{{.State.Error}}"),
        "3"
    );
}

#[test]
fn verbs_on_what_is_not_there_or_does_not_run() {
    let engine = Engine::with_busybox();
    for verb in [
        "start", "stop", "kill", "restart", "rm", "wait", "pause", "unpause", "top", "logs",
    ] {
        engine
            .docker(&[verb, "nobody"])
            .code(1)
            .says("No such container: nobody");
    }
    engine
        .docker(&["create", "--name", "idle", "busybox", "true"])
        .ok();
    engine.docker(&["stop", "idle"]).ok();
    for (verb, words) in [
        (&["kill", "idle"][..], "is not running"),
        (&["kill", "-s", "FOO", "idle"], "FOO"),
        (&["pause", "idle"], "is not running"),
        (&["unpause", "idle"], "is not paused"),
        (&["top", "idle"], "is not running"),
        (&["exec", "idle", "true"], "is not running"),
    ] {
        engine.docker(verb).code(1).says(words);
    }
    let taken = engine
        .docker(&["create", "--name", "idle", "busybox"])
        .code(1);
    taken.says("Conflict. The container name \"/idle\" is already in use by container");
    for name in ["a", "a/b", "-x", "ü"] {
        let created = engine.docker(&["create", &format!("--name={name}"), "busybox"]);
        created.code(1).says("Invalid container name");
    }
}
