//! HTTP proxies on the way to registries that can be reached in no other way.

use std::sync::{Arc, Mutex};

use crate::gantry_only;
use crate::harness::relay::{Deed, Relay, answer};
use crate::harness::served::Registry;
use crate::harness::{Engine, finish, tunnel};
use crate::run::wait_for;

/// `user:se cret`.
const AUTHORIZATION: &str = "Basic dXNlcjpzZSBjcmV0";

#[test]
fn images_travel_through_a_proxy_and_its_password_is_not_shown() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let json = r#"{"insecure-registries": ["r.invalid:5000"], "proxies": {
        "http-proxy": "http://user:se%20cret@127.0.0.1:5003",
        "https-proxy": "127.0.0.1:5003", "no-proxy": "other.invalid"}}"#;
    std::fs::write(&file, json).expect("it can be written");
    let engine = Engine::start_with(&["--config-file", &file.path().to_string_lossy()]);
    gantry_only!(engine);
    engine.import_busybox();
    let _registry = Registry::ours(&engine, 5000);
    let proxy = Relay::start(&engine, 5003, 5000);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    proxy.plan(move |request| {
        let line = format!("{} {}", request.verb, request.target);
        asked.lock().expect("no panic").push(line);
        match request.header("proxy-authorization") {
            // TLS is tried first, with its own proxy.
            "" if request.verb == "CONNECT" => answer("502 X", "", ""),
            AUTHORIZATION if request.target.starts_with("http://r.invalid:5000/v2/") => Deed::Pass,
            _ => answer("407 X", "", ""),
        }
    });
    let name = "r.invalid:5000/team/app:1";
    engine.docker(&["tag", "busybox", name]).ok();
    engine.docker(&["push", name]).ok();
    engine.docker(&["rmi", name, "busybox"]).ok();
    engine.docker(&["pull", name]).ok();
    let seen = seen.lock().expect("no panic").clone();
    assert!(
        seen.iter().any(|line| line == "CONNECT r.invalid:5000"),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .any(|line| line.starts_with("PUT http://r.invalid")),
        "{seen:?}"
    );
    let info = engine.docker(&["info"]).ok().stdout;
    for line in [
        " HTTP Proxy: http://xxxxx:xxxxx@127.0.0.1:5003\n",
        " HTTPS Proxy: http://127.0.0.1:5003\n",
        " No Proxy: other.invalid\n",
    ] {
        assert!(info.contains(line), "{line}: {info}");
    }
    // Who needs none is asked himself, and nobody is there.
    let failed = engine.docker(&["pull", "other.invalid/app:1"]).code(1);
    assert!(!failed.stderr.contains("proxyconnect"), "{failed:?}");
    let failed = engine.docker(&["pull", "third.invalid/app:1"]).code(1);
    assert!(
        failed.stderr.contains("proxyconnect tcp: 502 Bad Gateway"),
        "{failed:?}"
    );
    // Another configuration counts without a restart.
    let json = r#"{"insecure-registries": ["r.invalid:5000"], "proxies": {"no-proxy": "*"}}"#;
    std::fs::write(&file, json).expect("it can be written");
    let pid = engine.pid().to_string();
    finish(&mut crate::harness::command("kill", &["-HUP", &pid]), b"").ok();
    wait_for(|| engine.daemon_log().contains("read again"));
    engine.docker(&["pull", name]).code(1);
    assert!(!engine.daemon_log().contains("se%20cret"));
}

#[test]
fn tls_goes_through_a_proxy_that_has_tls_of_its_own() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let json = r#"{"insecure-registries": ["r.invalid:5443", "127.0.0.0/8"],
        "proxies": {"https-proxy": "https://user:se%20cret@127.0.0.1:5003"}}"#;
    std::fs::write(&file, json).expect("it can be written");
    let engine = Engine::start_with(&["--config-file", &file.path().to_string_lossy()]);
    gantry_only!(engine);
    engine.import_busybox();
    let certificate = include_str!("certificates/server.pem");
    let pem = engine.dir().join("server.pem").display().to_string();
    std::fs::write(&pem, certificate).expect("a file");
    let flags = [format!("--tls-cert={pem}"), format!("--tls-key={pem}")];
    let flags = flags.each_ref().map(String::as_str);
    let _registry = Registry::ours_at(&engine, "127.0.0.1", 5443, &flags);
    let heads = tunnel::start(&engine, 5003, certificate, 5443);

    let name = "r.invalid:5443/team/app:1";
    engine.docker(&["tag", "busybox", name]).ok();
    engine.docker(&["push", name]).ok();
    engine.docker(&["rmi", name, "busybox"]).ok();
    engine.docker(&["pull", name]).ok();
    engine
        .docker(&["run", "--rm", name, "echo", "ran"])
        .ok()
        .prints("ran\n");
    let heads = std::mem::take(&mut *heads.lock().expect("no panic"));
    let expected = format!("\r\nProxy-Authorization: {AUTHORIZATION}\r\n");
    assert!(!heads.is_empty());
    for head in heads {
        let is_tunnel = head.starts_with("CONNECT r.invalid:5443 HTTP/1.1\r\n");
        assert!(is_tunnel && head.contains(&expected), "{head}");
    }
    // The tunnel vouches for nobody.
    engine
        .docker(&["pull", "s.invalid:5443/team/app:1"])
        .code(1)
        .says("x509: certificate signed by unknown authority");
    assert!(!engine.daemon_log().contains("se%20cret"));
}
