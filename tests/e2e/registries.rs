//! How registries are reached: with and without TLS, by mirrors, and as the
//! configuration says at the time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::NamedTempFile;

use crate::gantry_only;
use crate::harness::registry::{Asked, Fault, IMAGE, Registry as Played, gzip};
use crate::harness::relay::{Deed, Relay};
use crate::harness::served::Registry;
use crate::harness::{Engine, command, finish};
use crate::run::wait_for;

/// An address of the machine that is not loopback's: nothing is implied about it.
const ADDRESS: &str = "10.99.0.1";
/// A certificate and its key, of an authority that nobody knows.
const CERTIFICATE: &str = include_str!("../../crates/registry/src/testing/server.pem");

/// An engine whose `daemon.json` can be changed, on a machine with that address.
fn engine(json: &str) -> (Engine, NamedTempFile) {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(&file, json).expect("it can be written");
    let engine = Engine::start_with(&["--config-file", &file.path().to_string_lossy()]);
    if engine.is_gantry() {
        let mut add = inside(&engine, "ip");
        finish(add.args(["addr", "add", ADDRESS, "dev", "lo"]), b"").ok();
        engine.import_busybox();
    }
    (engine, file)
}

fn inside(engine: &Engine, program: &str) -> std::process::Command {
    let netns = format!("--net=/proc/{}/ns/net", engine.pid());
    command("nsenter", &[&netns, program])
}

#[test]
fn registries_without_tls_are_asked_only_where_they_may() {
    let (engine, file) = engine("{}");
    gantry_only!(engine);
    let registry = Registry::ours_at(&engine, "0.0.0.0", 5000, &[]);
    let here = registry.name("team/app:1");
    engine.docker(&["tag", "busybox", &here]).ok();
    engine.docker(&["push", &here]).ok();
    let there = format!("{ADDRESS}:5000/team/app:1");
    let told = format!(
        "Get \"https://{ADDRESS}:5000/v2/\": http: server gave HTTP response to HTTPS client"
    );
    engine.docker(&["pull", &there]).code(1).says(&told);
    engine.docker(&["tag", "busybox", &there]).ok();
    engine.docker(&["push", &there]).code(1).says(&told);
    engine.docker(&["rmi", &there]).ok();
    let json = r#"{"insecure-registries": ["10.99.0.7/24", "other.example:5000"]}"#;
    reconfigure(&engine, &file, json);
    let shown = engine
        .docker(&["info", "--format", "{{json .RegistryConfig}}"])
        .ok();
    assert!(
        shown
            .stdout
            .contains(r#""InsecureRegistryCIDRs":["::1/128","127.0.0.0/8","10.99.0.0/24"]"#)
    );
    assert!(shown.stdout.contains(r#""other.example:5000":{"Mirrors":[],"Name":"other.example:5000","Official":false,"Secure":false}"#));
    engine.docker(&["pull", &there]).ok();
    engine.docker(&["push", &there]).ok();
}

#[test]
fn certificates_that_nobody_vouches_for_are_refused() {
    let (engine, file) = engine("{}");
    gantry_only!(engine);
    let pem = engine.dir().join("server.pem");
    std::fs::write(&pem, CERTIFICATE).expect("a file");
    let pem = pem.display();
    let flags = [format!("--tls-cert={pem}"), format!("--tls-key={pem}")];
    let registry = Registry::ours_at(&engine, "0.0.0.0", 5443, &[&flags[0], &flags[1]]);
    let here = registry.name("team/app:1");
    engine.docker(&["tag", "busybox", &here]).ok();
    // Loopback's certificates are not looked at, as in Docker.
    engine.docker(&["push", &here]).ok();
    let there = format!("{ADDRESS}:5443/team/app:1");
    engine
        .docker(&["pull", &there])
        .code(1)
        .says("tls: failed to verify certificate: x509: certificate signed by unknown authority");
    let json = format!(r#"{{"insecure-registries": ["{ADDRESS}:5443"]}}"#);
    reconfigure(&engine, &file, &json);
    engine.docker(&["pull", &there]).ok();
}

#[test]
fn mirrors_are_asked_first_and_the_registry_last() {
    let json = r#"{
        "registry-mirrors": ["http://127.0.0.1:5009", "http://127.0.0.1:5000/hub"],
        "registries": [
            {"prefix": "127.0.0.1:5000/gone", "mirrors": [{"url": "http://127.0.0.1:5000/team"}]},
            {"prefix": "registry.invalid", "fall-back": false,
             "mirrors": [{"url": "http://127.0.0.1:5009"}, {"url": "http://127.0.0.1:5000"}]}
        ]
    }"#;
    let (engine, file) = engine(json);
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    for name in ["hub/library/thing:1", "team/app:1"] {
        let name = registry.name(name);
        engine.docker(&["tag", "busybox", &name]).ok();
        engine.docker(&["push", &name]).ok();
    }
    for name in [
        "thing:1",
        "127.0.0.1:5000/gone/app:1",
        "registry.invalid/team/app:1",
    ] {
        engine.docker(&["pull", "-q", name]).ok();
        assert!(!engine.inspect(name, "{{.Id}}").is_empty());
    }
    engine
        .docker(&["push", "registry.invalid/team/app:1"])
        .code(1)
        .says("a rule allows only its mirrors");
    let info = engine.docker(&["info"]).ok().stdout;
    assert!(
        info.contains(" Registry Mirrors:\n  http://127.0.0.1:5009/\n"),
        "{info}"
    );
    // What is wrong changes nothing.
    change(&engine, &file, r#"{"registry-mirrors": ["ftp://x"]}"#);
    wait_for(|| {
        engine
            .daemon_log()
            .contains("unsupported scheme \\\"ftp\\\"")
    });
    assert_eq!(
        engine.docker(&["info"]).ok().stdout.lines().count(),
        info.lines().count()
    );
}

#[test]
fn the_folder_of_a_registry_says_who_vouches_for_it_and_who_we_are() {
    let (mut engine, file) = engine("{}");
    gantry_only!(engine);
    let own = |name: &str| engine.dir().join(name).display().to_string();
    let (etc, pem, ca) = (own("etc"), own("server.pem"), own("authority.crt"));
    let certificates: [(&str, &str); 4] = [
        ("server.pem", include_str!("certificates/server.pem")),
        ("authority.crt", include_str!("certificates/authority.crt")),
        ("us.cert", include_str!("certificates/client.cert")),
        ("us.key", include_str!("certificates/client.key")),
    ];
    for (name, text) in certificates {
        std::fs::write(own(name), text).expect("a file");
    }
    // The daemon sees folders that this machine does not have.
    let folder = format!("{etc}/docker/certs.d/{ADDRESS}:5443");
    let before = format!(
        "cp -a /etc {etc} && mkdir -p {folder} && mount --bind {etc} /etc && \
         ip link set lo up && ip addr add {ADDRESS} dev lo"
    );
    let (us, key) = (own("us.cert"), own("us.key"));
    engine.stop_daemon();
    let mut engine = engine.with_mounts(&before);
    engine.boot();
    let flags = [
        format!("--tls-cert={pem}"),
        format!("--tls-key={pem}"),
        format!("--tls-client-ca={ca}"),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let _registry = Registry::ours_at(&engine, "0.0.0.0", 5443, &flags);
    let name = format!("{ADDRESS}:5443/team/app:1");
    engine.docker(&["tag", "busybox", &name]).ok();
    let pushes = || engine.docker(&["push", &name]);
    pushes()
        .code(1)
        .says("x509: certificate signed by unknown authority");
    // Folders are read anew for each push.
    let copy = |from: &str| finish(&mut command("cp", &[from, &folder]), b"").ok();
    copy(&ca);
    pushes().code(1).says("tls: certificate required");
    copy(&us);
    pushes().code(1).says("missing key");
    copy(&key);
    pushes().ok();
    engine.docker(&["rmi", &name]).ok();
    engine.docker(&["pull", &name]).ok();
    // It takes requests for others as well, and so is a proxy that TLS leads to.
    let json = format!(
        r#"{{"insecure-registries": ["r.invalid:5000"],
            "proxies": {{"http-proxy": "https://{ADDRESS}:5443"}}}}"#
    );
    reconfigure(&engine, &file, &json);
    let far = "r.invalid:5000/team/far:1";
    engine.docker(&["tag", &name, far]).ok();
    engine.docker(&["push", far]).ok();
    engine.docker(&["rmi", far, &name, "busybox"]).ok();
    engine.docker(&["pull", far]).ok();
    let unknown = format!("{folder}/authority.crt");
    finish(&mut command("rm", &[&unknown]), b"").ok();
    engine
        .docker(&["pull", far])
        .code(1)
        .says("x509: certificate signed by unknown authority");
}

#[test]
fn how_many_layers_come_at_a_time_is_read_again() {
    let (engine, file) = engine(r#"{"max-concurrent-downloads": 1}"#);
    gantry_only!(engine);
    let registry = crate::harness::registry::Registry::start(&engine);
    let layers: Vec<Vec<u8>> = (0..3)
        .map(|n| {
            let pack = format!("cd $(mktemp -d) && echo {n} >f{n} && tar c f{n} && rm -r $PWD");
            let tar = crate::harness::script(&pack).output();
            tar.expect("a shell").stdout
        })
        .collect();
    let digests: Vec<_> = layers
        .iter()
        .map(|layer| gantry_types::Digest::of(layer))
        .collect();
    registry.image("many", &layers, &digests);
    let (go_on, waiting) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (gate, count) = (Arc::clone(&go_on), Arc::clone(&waiting));
    let held: Vec<String> = layers
        .iter()
        .map(|layer| gantry_types::Digest::of(&gzip(layer)).to_string())
        .collect();
    registry.plan(move |asked| {
        if !held.iter().any(|digest| asked.path.contains(digest)) {
            return Fault::None;
        }
        count.fetch_add(1, Ordering::SeqCst);
        Fault::Wait(Arc::clone(&gate))
    });
    let pull = ["pull", "-q", "127.0.0.1:5000/team/app:many"];
    let mut pull = engine.docker_command(&pull).spawn().expect("a client");
    wait_for(|| waiting.load(Ordering::SeqCst) == 1);
    reconfigure(&engine, &file, r#"{"max-concurrent-downloads": 2}"#);
    wait_for(|| waiting.load(Ordering::SeqCst) == 2);
    reconfigure(&engine, &file, r#"{"max-concurrent-downloads": 3}"#);
    wait_for(|| waiting.load(Ordering::SeqCst) == 3);
    go_on.store(true, Ordering::SeqCst);
    assert!(pull.wait().expect("it ends").success());
    // What cannot be is said, and changes nothing.
    change(&engine, &file, r#"{"max-concurrent-uploads": -1}"#);
    wait_for(|| engine.daemon_log().contains("max-concurrent-uploads"));
    engine.docker(&["version"]).ok();
}

#[test]
fn how_many_layers_leave_at_a_time_is_read_again() {
    let (engine, file) = engine(r#"{"max-concurrent-uploads": 1}"#);
    gantry_only!(engine);
    let registry = Registry::ours(&engine, 5000);
    let name = "127.0.0.1:5002/team/many:1";
    for (base, layer) in [("busybox", "1"), (name, "2"), (name, "3")] {
        engine.docker(&["create", "--name=one", base, "true"]).ok();
        let file = engine.dir().join(layer);
        std::fs::write(&file, layer).expect("a file");
        engine
            .docker(&["cp", &file.to_string_lossy(), "one:/"])
            .ok();
        engine.docker(&["commit", "one", name]).ok();
        engine.docker(&["rm", "one"]).ok();
    }
    let relay = Relay::start(&engine, 5002, 5000);
    let (go_on, waiting) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (gate, count) = (Arc::clone(&go_on), Arc::clone(&waiting));
    relay.plan(move |request| match request.verb.as_str() {
        "POST" => {
            count.fetch_add(1, Ordering::SeqCst);
            Deed::Wait(Arc::clone(&gate))
        }
        _ => Deed::Pass,
    });
    let mut push = engine.docker_command(&["push", "-q", name]);
    let mut push = push.spawn().expect("a client");
    for most in 1..=3 {
        if most > 1 {
            let json = format!(r#"{{"max-concurrent-uploads": {most}}}"#);
            reconfigure(&engine, &file, &json);
        }
        // And the configuration, which takes no layer's place.
        wait_for(|| waiting.load(Ordering::SeqCst) == most + 1);
    }
    go_on.store(true, Ordering::SeqCst);
    assert!(push.wait().expect("it ends").success());
    engine
        .docker(&["pull", "-q", &registry.name("team/many:1")])
        .ok();
}

/// Tells the daemon that its configuration is another one now.
fn change(engine: &Engine, file: &NamedTempFile, json: &str) {
    std::fs::write(file, json).expect("the configuration can be written");
    let pid = engine.pid().to_string();
    finish(&mut command("kill", &["-HUP", &pid]), b"").ok();
}

/// Changes the configuration of the running daemon, and waits until it is taken.
fn reconfigure(engine: &Engine, file: &NamedTempFile, json: &str) {
    let taken = || engine.daemon_log().matches("read again").count();
    let before = taken();
    change(engine, file, json);
    wait_for(|| taken() > before);
}

#[test]
fn what_one_mirror_cuts_off_another_server_ends() {
    let (engine, _file) = engine(
        r#"{"max-download-attempts": 1, "registries": [{"prefix": "127.0.0.1:5002/team",
                            "mirrors": [{"url": "http://127.0.0.1:5000/team"}]}]}"#,
    );
    gantry_only!(engine);
    let mirror = Played::start(&engine);
    let _registry = Registry::ours(&engine, 5001);
    let relay = Relay::start(&engine, 5002, 5001);
    // The same bytes are in both.
    engine.docker(&["pull", IMAGE]).ok();
    let name = "127.0.0.1:5002/team/app:1";
    engine.docker(&["tag", IMAGE, name]).ok();
    engine.docker(&["push", name]).ok();
    engine.docker(&["rmi", IMAGE, name]).ok();
    mirror.plan(|asked: &Asked| match asked.is_blob() {
        // And nothing more, however often it is asked.
        true => Fault::Cut(100_usize.saturating_sub(asked.start)),
        false => Fault::None,
    });
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ranges);
    relay.plan(move |request| {
        if request.verb == "GET" && request.target.contains("/blobs/") {
            let range = request.header("range").to_owned();
            seen.lock().expect("no panic").push(range);
        }
        Deed::Pass
    });
    engine.docker(&["pull", name]).ok();
    engine
        .docker(&["run", "--rm", name])
        .ok()
        .prints("from-the-top\n");
    let ranges = ranges.lock().expect("no panic");
    let goes_on = |range: &&String| range.starts_with("bytes=") && !range.starts_with("bytes=0");
    assert!(ranges.iter().any(|range| goes_on(&range)), "{ranges:?}");
}
