//! The engine on temporary roots, in a network namespace of its own, with a
//! busybox image: needs root, overlayfs and Debian's `busybox-static`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on panics"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gantry_api::{ContainerCreate, Filters, WaitCondition};
use gantry_engine::{
    AttachQuery, Engine, EngineConfig, EventsQuery, ImportQuery, ListQuery, LogsQuery,
    RemoveOptions, ShimProgram,
};
use gantry_network::BridgeChoice;
use gantry_types::ErrorKind;

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 12] = [
    "sh", "ls", "cat", "true", "false", "sleep", "echo", "id", "env", "hostname", "kill", "ip",
];

/// Why the tests cannot run here, if so.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    if !Path::new(BUSYBOX).exists() {
        return Some(format!("no {BUSYBOX}: apt install busybox-static"));
    }
    None
}

macro_rules! require {
    () => {
        if let Some(why) = obstacle() {
            eprintln!("SKIPPED: {why}");
            return;
        }
    };
}

/// The shim, built beside this test.
fn shim_program() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let test = std::env::current_exe().unwrap();
            let profile = test.parent().unwrap().parent().unwrap();
            let shim = profile.join("gantry-shim");
            if !shim.exists() {
                // `<target>/debug`, or `<target>/<triple>/debug`.
                let above = profile.parent().unwrap();
                let name = above.file_name().unwrap().to_string_lossy();
                let triple = name.contains("-linux-");
                let target = match triple {
                    true => above.parent().unwrap(),
                    false => above,
                };
                let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
                let status = std::process::Command::new(cargo)
                    .args([
                        "build",
                        "--quiet",
                        "--package",
                        "gantry-shim",
                        "--target-dir",
                    ])
                    .arg(target)
                    .status()
                    .unwrap();
                assert!(status.success(), "gantry-shim cannot be built");
            }
            assert!(shim.exists(), "no shim at {}", shim.display());
            shim
        })
        .clone()
}

/// A data root, an exec root and a cgroup, gone with the value.
struct Home {
    dir: tempfile::TempDir,
    cgroup: String,
}

impl Home {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // This thread, and all that it makes, get a network of their own.
        gantry_sys::netns::unshare().unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            dir: tempfile::Builder::new()
                .prefix("gantry-")
                .tempdir_in("/var/tmp")
                .unwrap(),
            cgroup: format!("/gantry-test-{}-{number}", std::process::id()),
        }
    }

    fn open(&self) -> Engine {
        let program = ShimProgram::Path(shim_program());
        let (data, exec) = (self.dir.path().join("data"), self.dir.path().join("exec"));
        let mut config = EngineConfig::new(data, exec, program);
        config.cgroup_parent.clone_from(&self.cgroup);
        config.network.bridge = BridgeChoice::Own("gantrytest".to_owned());
        config.network.pool_size = 1;
        config.warm_shims = 1;
        Engine::open(config).unwrap()
    }

    fn with_image() -> (Self, Engine) {
        let home = Self::new();
        let engine = home.open();
        let archive = busybox();
        let query = ImportQuery {
            source: "-".to_owned(),
            repo: "bb".to_owned(),
            tag: "1".to_owned(),
            ..ImportQuery::default()
        };
        engine
            .images
            .import(archive.as_slice(), &query, &mut |_| true)
            .unwrap();
        (home, engine)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Whatever a failed test left running ends with its cgroup.
        if let Ok(cgroup) = gantry_cgroup::Cgroup::open(&self.cgroup) {
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
    }
}

fn busybox() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for dir in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive
            .append_data(&mut header, dir, std::io::empty())
            .unwrap();
    }
    archive
        .append_path_with_name(BUSYBOX, "bin/busybox")
        .unwrap();
    for applet in APPLETS {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        let path = format!("bin/{applet}");
        archive.append_link(&mut header, path, "busybox").unwrap();
    }
    let files = [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nbob:x:1000:\nwheel:x:10:bob\n"),
    ];
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

fn request(json: &str) -> ContainerCreate {
    let mut request: ContainerCreate = serde_json::from_str(json).unwrap();
    request.config.image = "bb:1".to_owned();
    request
}

fn create(engine: &Engine, name: &str, json: &str) -> String {
    let created = engine.containers.create(Some(name), request(json), None);
    created.unwrap().id
}

/// Waits for a container to end, on a runtime of its own.
fn wait(engine: &Engine, name: &str, condition: WaitCondition) -> i64 {
    let handle = engine.containers.wait(name, condition).unwrap();
    outcome(handle)
}

fn outcome(handle: gantry_engine::WaitHandle) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(30), handle.outcome()).await };
    runtime
        .block_on(limited)
        .expect("the container ends")
        .status_code
}

fn log(engine: &Engine, name: &str) -> String {
    let query = LogsQuery {
        stdout: true,
        stderr: true,
        ..LogsQuery::default()
    };
    let mut stream = engine.containers.logs(name, &query).unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunks.blocking_recv() {
        bytes.extend(chunk.unwrap());
    }
    let (mut text, mut rest) = (Vec::new(), bytes.as_slice());
    let mut frames = gantry_api::Demultiplexer::new();
    while let Some((_, payload)) = frames.next(&mut rest).unwrap() {
        text.extend(payload);
    }
    String::from_utf8(text).unwrap()
}

/// Runs a command to its end; its exit code and all that it wrote.
fn run(engine: &Engine, json: &str) -> (i64, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("run{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    create(engine, &name, json);
    engine.containers.start(&name).unwrap();
    let code = wait(engine, &name, WaitCondition::NotRunning);
    let text = log(engine, &name);
    engine
        .containers
        .remove(&name, RemoveOptions::default())
        .unwrap();
    (code, text)
}

fn ended(engine: &Engine, home: &Home) {
    engine.shutdown();
    assert!(engine.containers.list(&all()).unwrap().is_empty());
    let left = std::fs::read_dir(home.dir.path().join("data/containers"));
    assert_eq!(
        left.map_or(0, Iterator::count),
        0,
        "container directories are left"
    );
}

fn all() -> ListQuery {
    ListQuery {
        all: true,
        ..ListQuery::default()
    }
}

#[test]
fn a_container_runs_and_goes() {
    require!();
    let (home, engine) = Home::with_image();
    let (code, text) = run(
        &engine,
        r#"{"Cmd":["sh","-c","echo out; echo err >&2; exit 3"]}"#,
    );
    assert_eq!(
        (code, text.contains("out\n"), text.contains("err\n")),
        (3, true, true)
    );
    let (_, text) = run(
        &engine,
        r#"{"Cmd":["env"],"Env":["A=1"],"User":"bob","Hostname":"h"}"#,
    );
    for line in ["A=1", "HOSTNAME=h", "HOME=/home/bob"] {
        assert!(text.lines().any(|have| have == line), "{line} in {text}");
    }
    let (_, text) = run(&engine, r#"{"Cmd":["id"],"User":"bob"}"#);
    assert!(
        text.contains("uid=1000(bob) gid=1000(bob) groups=10(wheel),1000(bob)"),
        "{text}"
    );
    let (_, text) = run(
        &engine,
        r#"{"Cmd":["sh","-c","echo $PWD"],"WorkingDir":"/new/dir"}"#,
    );
    assert_eq!(text, "/new/dir\n");
    let (_, text) = run(&engine, r#"{"Cmd":["cat","/etc/hosts"],"Hostname":"me"}"#);
    assert!(text.contains("localhost") && text.contains("me"), "{text}");
    ended(&engine, &home);
}

#[test]
fn failed_starts_leave_nothing_and_say_why() {
    require!();
    let (home, engine) = Home::with_image();
    for (json, text, exit_code) in [
        (
            r#"{"Cmd":["nonesuch"]}"#,
            "exec: \"nonesuch\": executable file not found in $PATH",
            127,
        ),
        (
            r#"{"Cmd":["/etc/passwd"]}"#,
            "exec: \"/etc/passwd\": permission denied",
            126,
        ),
        (
            r#"{"Cmd":["/etc"]}"#,
            "exec: \"/etc\": is a directory: permission denied",
            126,
        ),
        (
            r#"{"Cmd":["true"],"User":"x"}"#,
            "unable to find user x: no matching entries in passwd file",
            128,
        ),
        (
            r#"{"Cmd":["true"],"HostConfig":{"NetworkMode":"x"}}"#,
            "failed to set up container networking: network x not found",
            128,
        ),
        (
            r#"{"Cmd":["true"],"HostConfig":{"Binds":["/tmp:/etc/passwd"]}}"#,
            "Are you trying to mount a directory onto a file",
            127,
        ),
    ] {
        create(&engine, "bad", json);
        let error = engine.containers.start("bad").unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        let state = engine.containers.inspect("bad", false).unwrap().state;
        assert_eq!(
            (state.exit_code, state.status.as_str()),
            (exit_code, "created"),
            "{json}"
        );
        assert_eq!(state.error, error);
        let runs = home.dir.path().join("exec");
        let left = std::fs::read_dir(runs).unwrap().flatten();
        let left = left.filter(|entry| entry.file_name().len() == 64).count();
        assert_eq!(left, 0, "{json}");
        engine
            .containers
            .remove("bad", RemoveOptions::default())
            .unwrap();
    }
    ended(&engine, &home);
}

#[test]
fn verbs_answer_as_dockers() {
    require!();
    let (home, engine) = Home::with_image();
    let containers = &engine.containers;
    let id = create(
        &engine,
        "web",
        r#"{"Cmd":["sleep","100"],"Labels":{"k":"v"}}"#,
    );
    let kind = |result: gantry_engine::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(containers.stop("web", None, None)),
        ErrorKind::NotModified
    );
    let text = containers.kill("web", None).unwrap_err().to_string();
    assert_eq!(
        text,
        format!("cannot kill container: web: container {id} is not running")
    );
    containers.start("web").unwrap();
    assert_eq!(kind(containers.start("web")), ErrorKind::NotModified);
    let text = containers
        .remove("web", RemoveOptions::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "cannot remove container \"web\": container is running: stop the container before removing or force remove"
    );
    let inspected = containers.inspect(&id[..10], true).unwrap();
    assert!(inspected.state.running && inspected.state.pid > 1);
    assert!(
        !inspected.network_settings.networks["bridge"]
            .ip_address
            .is_empty()
    );
    containers.kill("web", Some("USR1")).unwrap();
    containers.restart("web", None, Some(0)).unwrap();
    containers.stop("web", None, Some(0)).unwrap();
    assert_eq!(wait(&engine, "web", WaitCondition::NotRunning), 137);
    let gone = containers.wait("web", WaitCondition::Removed).unwrap();
    containers.remove("web", RemoveOptions::default()).unwrap();
    assert_eq!(outcome(gone), 137);
    assert_eq!(kind(containers.start("web")), ErrorKind::NotFound);
    let events: Vec<String> = events(&engine);
    for action in [
        "create", "start", "kill", "die", "stop", "restart", "destroy",
    ] {
        assert!(
            events.iter().any(|have| have == action),
            "{action} in {events:?}"
        );
    }
    ended(&engine, &home);
}

fn events(engine: &Engine) -> Vec<String> {
    let query = EventsQuery {
        since: Some("0".to_owned()),
        until: Some("9000000000".to_owned()),
        filters: Filters::parse(r#"{"type":["container"]}"#).unwrap(),
    };
    let mut subscription = engine.events.subscribe(&query).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut actions = Vec::new();
        let patience = Duration::from_millis(200);
        while let Ok(Some(event)) = tokio::time::timeout(patience, subscription.next()).await {
            actions.push(event.action);
        }
        actions
    })
}

#[test]
fn clients_that_attach_first_miss_nothing() {
    require!();
    let (home, engine) = Home::with_image();
    let json = r#"{"Cmd":["cat"],"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,
        "HostConfig":{"AutoRemove":true}}"#;
    create(&engine, "cat", json);
    let query = AttachQuery {
        stdin: true,
        stdout: true,
        stderr: true,
        stream: true,
        ..AttachQuery::default()
    };
    let stream = engine.containers.attach("cat", &query).unwrap();
    let gone = engine
        .containers
        .wait("cat", WaitCondition::Removed)
        .unwrap();
    engine.containers.start("cat").unwrap();
    use std::io::{Read, Write};
    let mut socket = stream.socket.unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket.write_all(b"hello\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"\x01\0\0\0\0\0\0\x06hello\n");
    assert_eq!(outcome(gone), 0);
    ended(&engine, &home);
}

#[test]
fn containers_outlive_the_engine() {
    require!();
    let (home, engine) = Home::with_image();
    for (name, seconds) in [("long", "100"), ("short", "1")] {
        create(
            &engine,
            name,
            &format!(r#"{{"Cmd":["sleep","{seconds}"]}}"#),
        );
        engine.containers.start(name).unwrap();
    }
    create(&engine, "never", r#"{"Cmd":["true"]}"#);
    let before = engine.containers.inspect("long", false).unwrap();
    engine.shutdown();
    drop(engine);
    std::thread::sleep(Duration::from_millis(1500));

    let engine = home.open();
    let after = engine.containers.inspect("long", false).unwrap();
    assert_eq!(after.state, before.state);
    assert_eq!(after.network_settings, before.network_settings);
    let short = engine.containers.inspect("short", false).unwrap().state;
    assert_eq!((short.status.as_str(), short.exit_code), ("exited", 0));
    let never = engine.containers.inspect("never", false).unwrap().state;
    assert_eq!(never.status, "created");
    engine.containers.start("short").unwrap();
    for name in ["long", "short", "never"] {
        let options = RemoveOptions {
            force: true,
            ..RemoveOptions::default()
        };
        engine.containers.remove(name, options).unwrap();
    }
    ended(&engine, &home);
}

#[test]
fn twenty_start_at_once() {
    require!();
    let (home, engine) = Home::with_image();
    let names: Vec<String> = (0..20).map(|number| format!("many{number}")).collect();
    for name in &names {
        create(&engine, name, r#"{"Cmd":["sh","-c","echo hello"]}"#);
    }
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| engine.containers.start(name).unwrap());
        }
    });
    eprintln!("20 starts at once: {:?}", begun.elapsed());
    for name in &names {
        assert_eq!(wait(&engine, name, WaitCondition::NotRunning), 0);
        assert_eq!(log(&engine, name), "hello\n");
    }
    let pruned = engine.containers.prune(&Filters::new()).unwrap();
    assert_eq!(pruned.containers_deleted.unwrap().len(), 20);
    ended(&engine, &home);
}

#[test]
fn one_of_two_wins() {
    require!();
    let (home, engine) = Home::with_image();
    create(&engine, "one", r#"{"Cmd":["sleep","100"]}"#);
    let kinds = std::thread::scope(|scope| {
        let starts = [(); 2].map(|()| scope.spawn(|| engine.containers.start("one")));
        starts.map(|start| start.join().unwrap().map_err(|error| error.kind()))
    });
    assert!(
        kinds.contains(&Ok(())) && kinds.contains(&Err(ErrorKind::NotModified)),
        "{kinds:?}"
    );
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    let kinds = std::thread::scope(|scope| {
        let removals = [(); 2].map(|()| scope.spawn(|| engine.containers.remove("one", force)));
        removals.map(|removal| removal.join().unwrap().map_err(|error| error.kind()))
    });
    assert!(kinds.contains(&Ok(())), "{kinds:?}");
    ended(&engine, &home);
}
