//! The same command by the stock client and by ours, against one engine: exit
//! code, output and messages are the same to the letter.

use crate::harness::{Engine, Outcome};

/// What a user sees, with the program's name and our hints taken out.
fn seen(outcome: &Outcome) -> (i32, String, String) {
    let stderr = outcome.stderr.replace("gantry", "docker");
    let lines = stderr.lines().filter(|line| !line.starts_with("Hint: "));
    (
        outcome.code,
        outcome.stdout.clone(),
        lines.collect::<Vec<_>>().join("\n"),
    )
}

/// Both clients say the same. Numbers that move between the two calls are given
/// a few chances to be the same.
fn same(engine: &Engine, args: &[&str]) {
    let mut last = None;
    for _ in 0..5 {
        let both = (engine.docker(args), engine.gantry(args));
        if seen(&both.0) == seen(&both.1) {
            return;
        }
        last = Some(both);
    }
    let (stock, ours) = last.expect("five rounds were played");
    panic!("{args:?}\nstock: {stock:#?}\nours: {ours:#?}");
}

fn is_stock_28(engine: &Engine) -> bool {
    let version = engine
        .docker(&["version", "--format", "{{.Client.Version}}"])
        .line();
    if !version.starts_with("28.") {
        crate::harness::remark(&format!("SKIPPED: the stock client is {version}, not 28"));
    }
    version.starts_with("28.")
}

/// An engine with a running, a created and an ended container.
fn engine() -> Option<Engine> {
    let engine = Engine::with_busybox();
    if !is_stock_28(&engine) {
        return None;
    }
    engine
        .docker(&[
            "run", "-d", "--name", "one", "-l", "a=b", "busybox", "sleep", "1000",
        ])
        .ok();
    engine
        .docker(&["create", "--name", "two", "busybox", "true"])
        .ok();
    let script = "echo x >/tmp/f; rm /etc/group; exit 3";
    engine
        .docker(&["run", "--name", "three", "busybox", "sh", "-c", script])
        .code(3);
    Some(engine)
}

#[test]
fn containers() {
    let Some(engine) = engine() else { return };
    for args in [
        &["exec", "one", "echo", "hi"][..],
        &["exec", "one", "sh", "-c", "echo err >&2; exit 7"],
        &["exec", "one", "no-such-command"],
        &[
            "exec", "-e", "A=1", "-w", "/tmp", "-u", "user", "one", "env",
        ],
        &["exec", "-e", "=1", "one", "env"],
        &["exec", "-d", "one", "true"],
        &["exec", "two", "true"],
        &["exec", "ghost", "true"],
        &["exec", "-it", "one", "true"],
        &["exec", "-it", "ghost", "true"],
        &["exec", "one"],
        &["top", "one"],
        &["top", "one", "-o", "pid,args"],
        &["top", "two"],
        &["port", "one"],
        &["port", "one", "80"],
        &["port", "one", "x"],
        &["pause", "two"],
        &["unpause", "one"],
        &["rename", "two", ""],
        &["rename", "two", "one"],
        &["rename", "ghost", "x"],
        &["update", "one"],
        &["update", "--memory", "64m", "--memory-swap", "64m", "two"],
        &["update", "--restart", "no", "ghost"],
        &["kill", "-s", "BOGUS", "one"],
        &["wait", "three", "ghost"],
        &["attach", "two"],
        &["stats", "--no-stream", "ghost"],
        &["stats", "--no-stream", "--format", "{{.Name}}", "one"],
        &["logs", "--since", "bogus", "one"],
        &["events", "--since", "bogus"],
        &["run", "--rm", "", "true"],
        &["run", "--rm", "Bad Image", "true"],
        &["run", "--rm", "--dns", "bogus", "busybox"],
        &["run", "--rm", "-v", "/a:/b:ro:rw", "busybox"],
        &["run", "--platform", "a/b/c/d", "busybox"],
    ] {
        same(&engine, args);
    }
}

#[test]
fn files_and_images() {
    let Some(engine) = engine() else { return };
    let missing = engine.dir().join("no/such/file");
    let missing = missing.to_string_lossy();
    for args in [
        &["diff", "three"][..],
        &["diff", "ghost"],
        &["export", "ghost"],
        &["export", "-o", &missing, "three"],
        &["save", "ghost"],
        &["save", "-o", &missing, "busybox"],
        &["commit", "ghost"],
        &["commit", "three", "Bad Name"],
        &["cp", "three:/ghost", "/tmp"],
        &["cp", "ghost:/x", "/tmp"],
        &["cp", "one:/a", "two:/b"],
        &["cp", "a", "b"],
        &["cp", "three:/etc/passwd", "-"],
        &["cp", &missing, "three:/"],
        &["tag", "busybox", "Bad Name"],
        &["image", "inspect", "-f", "{{json .Config}}", "busybox"],
        &["inspect", "-f", "{{.State}}", "two"],
        &[
            "inspect",
            "-f",
            "{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig}}",
            "one",
        ],
        &[
            "inspect",
            "-f",
            "{{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}",
            "one",
        ],
        &["images", "--format", "{{json .}}"],
        &["image", "prune", "-f"],
    ] {
        same(&engine, args);
    }
}

#[test]
fn networks_volumes_and_the_system() {
    let Some(engine) = engine() else { return };
    for args in [
        &["network", "ls"][..],
        &["network", "ls", "-q", "--no-trunc"],
        &["network", "ls", "--format", "json"],
        &["network", "inspect", "ghost"],
        &["network", "rm", "ghost"],
        &["network", "rm", "-f", "ghost"],
        &[
            "network",
            "create",
            "--subnet",
            "10.9.0.0/24",
            "--gateway",
            "1.1.1.1",
            "x",
        ],
        &["network", "connect", "ghost", "one"],
        &["network", "disconnect", "ghost", "one"],
        &["volume", "ls"],
        &["volume", "inspect", "ghost"],
        &["volume", "rm", "ghost"],
        &["volume", "create", "--label", "=x"],
        &["system", "df", "--format", "{{.Type}}"],
        &["search", "busybox"],
        &["inspect", "--type", "volume", "ghost"],
        &["inspect", "../one"],
        &["container", "prune", "-f", "--filter", "label=none"],
        &["context", "ls"],
        &["context", "show"],
        &["context", "inspect"],
        &["context", "inspect", "-f", "{{.Name}}"],
        &["context", "use", "ghost"],
        &["context", "rm", "default", "ghost"],
        &["context", "create", "x", "--docker", "bogus=1"],
        &["bogus"],
        &["network", "bogus"],
        &["help", "bogus"],
        &["ps", "--bogus"],
        &["ps", "extra"],
        &["--bogus", "ps"],
        &["-H", "bogus://x", "ps"],
    ] {
        same(&engine, args);
    }
}

#[test]
fn copying_goes_both_ways() {
    let Some(engine) = engine() else { return };
    let dir = engine.dir().join("files");
    std::fs::create_dir_all(dir.join("sub")).expect("a folder");
    std::fs::write(dir.join("sub/f"), "text").expect("a file");
    let (source, target) = (dir.display().to_string(), dir.join("back"));
    let into = engine.gantry(&["cp", &source, "one:/tmp/new"]);
    if into.code != 0 && into.stderr.contains("not supported") {
        crate::harness::remark("SKIPPED: the daemon has no archives of containers yet");
        return;
    }
    into.ok();
    engine
        .docker(&["exec", "one", "cat", "/tmp/new/sub/f"])
        .ok()
        .prints("text");
    let target = target.display().to_string();
    engine
        .gantry(&["cp", "one:/tmp/new/.", &target])
        .ok()
        .prints("");
    let back = std::fs::read_to_string(format!("{target}/sub/f"));
    assert_eq!(back.expect("the file came back"), "text");
}

#[test]
fn archives_are_the_same_by_both_clients() {
    let engine = Engine::with_busybox();
    let path = |name: &str| engine.dir().join(name).display().to_string();
    let (stock, ours) = (path("stock.tar"), path("ours.tar"));
    let first = engine.docker(&["save", "-o", &stock, "busybox"]);
    let second = engine.gantry(&["save", "-o", &ours, "busybox"]);
    assert_eq!(first.code, second.code, "{first:#?}\n{second:#?}");
    if first.code != 0 {
        crate::harness::remark("SKIPPED: the daemon saves no images yet");
        return;
    }
    let sizes = [stock, ours].map(|path| std::fs::metadata(path).expect("an archive").len());
    assert_eq!(sizes[0], sizes[1]);
}
