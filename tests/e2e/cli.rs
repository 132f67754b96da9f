//! Our own command line: the same words and codes as the stock client.

use crate::gantry_only;
use crate::harness::{Engine, Outcome};

/// Both clients print the same to the letter.
fn same(engine: &Engine, args: &[&str]) {
    // Between the two a second may pass, which shows in "… seconds ago".
    let both = || (engine.docker(args), engine.gantry(args));
    let equal = |a: &Outcome, b: &Outcome| (a.code, &a.stdout) == (b.code, &b.stdout);
    let (stock, ours) = std::iter::repeat_with(both)
        .enumerate()
        .find(|(round, (stock, ours))| *round == 4 || equal(stock, ours))
        .map(|(_, pair)| pair)
        .expect("an endless iterator");
    assert!(
        equal(&stock, &ours),
        "{args:?}\nstock: {stock:#?}\nours: {ours:#?}"
    );
}

#[test]
fn our_client_prints_what_the_stock_client_prints() {
    let engine = Engine::with_busybox();
    let format = ["version", "--format", "{{.Client.Version}}"];
    let stock = engine.docker(&format).ok().line();
    if !stock.starts_with("28.") {
        crate::harness::remark(&format!("SKIPPED: the stock client is {stock}, not 28"));
        return;
    }
    engine.docker(&["tag", "busybox", "second/name:v1"]).ok();
    engine
        .docker(&[
            "run",
            "--name",
            "one",
            "-l",
            "a=b",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ])
        .code(3);
    engine
        .docker(&[
            "create",
            "--name",
            "two",
            "-h",
            "host",
            "busybox",
            "echo",
            "a long command that is cut at twenty",
        ])
        .ok();
    for args in [
        &[
            "ps",
            "-a",
            "--format",
            "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Labels}}",
        ][..],
        &["ps", "-aq"],
        &["ps", "-aq", "--no-trunc", "--filter", "status=exited"],
        &["ps", "-a", "--format", "json", "--filter", "name=two"],
        &["images"],
        &["images", "-q", "--no-trunc"],
        &[
            "images",
            "--format",
            "table {{.Repository}}\t{{.Tag}}\t{{.Size}}",
        ],
        &["image", "ls", "--digests"],
        &["history", "busybox"],
        &[
            "history",
            "--no-trunc",
            "--format",
            "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}",
            "busybox",
        ],
        &["inspect", "two"],
        &["inspect", "--format", "{{json .Config}}", "two"],
        &[
            "inspect",
            "--format",
            "{{.HostConfig.NetworkMode}} {{.Config.Cmd}} {{.Config.Labels}}",
            "one",
        ],
        &["image", "inspect", "busybox"],
        &["logs", "one"],
        &["logs", "-t", "one"],
        &["logs", "--tail", "1", "one"],
        &["wait", "one"],
        &["inspect", "ghost"],
        &["rmi", "ghost"],
        &["start", "ghost"],
        &["logs", "ghost"],
        &["kill", "two"],
        &["version", "--format", "{{.Server.APIVersion}}"],
        &[
            "info",
            "--format",
            "{{.Driver}} {{.Containers}} {{.Images}}",
        ],
    ] {
        same(&engine, args);
    }
}

#[test]
fn our_client_runs_containers() {
    let engine = Engine::with_busybox();
    let outcome = engine
        .gantry(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 4",
        ])
        .code(4);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
    let id = engine
        .gantry(&[
            "run", "-d", "--name", "ours", "-e", "X=1", "-m", "32m", "busybox", "sleep", "1000",
        ])
        .ok()
        .line();
    assert_eq!(id.len(), 64);
    assert_eq!(
        engine.inspect("ours", "{{.Id}} {{.HostConfig.Memory}}"),
        format!("{id} 33554432")
    );
    engine
        .gantry(&["stop", "-t", "0", "ours"])
        .ok()
        .prints("ours\n");
    engine.gantry(&["start", "ours"]).ok().prints("ours\n");
    engine
        .gantry(&["restart", "-t", "0", "ours"])
        .ok()
        .prints("ours\n");
    engine
        .gantry(&["rm", "ours"])
        .code(1)
        .says("container is running");
    engine.gantry(&["rm", "-f", "ours"]).ok().prints("ours\n");
    engine
        .gantry(&["run", "--rm", "busybox", "no-such-command"])
        .code(127)
        .says("executable file not found in $PATH");
    engine.gantry(&["run", "--rm", "busybox", "/etc"]).code(126);
    engine
        .gantry(&["run", "--no-such-flag", "busybox"])
        .code(125)
        .says("no-such-flag");
    engine.gantry(&["run"]).code(1);
    engine
        .gantry(&["no-such-command"])
        .code(1)
        .says("no-such-command");
    engine.gantry(&["plugin", "ls"]).code(1).says("plugin");
}

#[test]
fn our_client_says_what_to_do_when_no_daemon_answers() {
    let engine = Engine::start();
    gantry_only!(engine);
    let outcome = engine
        .gantry(&["-H", "unix:///nowhere/at/all.sock", "ps"])
        .code(1);
    assert!(
        outcome.stderr.contains("/nowhere/at/all.sock") && outcome.stderr.contains("gantry daemon"),
        "{outcome:?}"
    );
}
