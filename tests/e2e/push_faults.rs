//! Pushes to registries that fail in every way: a clear error, nothing that holds
//! the daemon up, and the next push works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::relay::{Deed, Relay, Request, answer};
use crate::harness::served::Registry;
use crate::harness::{Engine, busybox_tar, remark};

/// Where pushes go: from there on to the registry.
const PORT: u16 = 5002;

/// An engine that does not try for minutes what will not work, its registry, and
/// what is between them.
fn start() -> Option<(Engine, Registry, Relay)> {
    let engine = Engine::start_with(&["--max-download-attempts", "1"]);
    if !engine.is_gantry() {
        remark("SKIPPED: push faults are tested with gantry only");
        return None;
    }
    engine.import_busybox();
    let registry = Registry::ours(&engine, 5000);
    let relay = Relay::start(&engine, PORT, 5000);
    Some((engine, registry, relay))
}

/// Lets an image of two layers be `made:1`.
fn make(engine: &Engine) -> String {
    engine.docker(&["create", "--name=source", "busybox"]).ok();
    let from = busybox_tar().to_string_lossy();
    engine.docker(&["cp", &from, "source:/layer.tar"]).ok();
    engine.docker(&["commit", "source", "made:1"]).ok();
    engine.docker(&["rm", "source"]).ok();
    engine.inspect("made:1", "{{.Id}}")
}

/// A push to a repository that is there works, and what comes back is the same.
#[track_caller]
fn works(engine: &Engine, registry: &Registry, path: &str, id: &str) {
    let name = format!("127.0.0.1:{PORT}/{path}");
    engine.docker(&["push", &name]).ok();
    engine.docker(&["rmi", &name]).ok();
    let direct = registry.name(path);
    engine.docker(&["pull", &direct]).ok();
    assert_eq!(engine.inspect(&direct, "{{.Id}}"), id);
    // Nobody shall know that the registry has these layers.
    engine.docker(&["rmi", &direct]).ok();
}

#[test]
fn a_registry_may_die_at_every_request() {
    let Some((engine, registry, relay)) = start() else {
        return;
    };
    let id = make(&engine);
    for index in 0..40 {
        let died = Arc::new(AtomicBool::new(false));
        let dying = Arc::clone(&died);
        relay.plan(move |request| {
            let dies = request.index >= index;
            dying.fetch_or(dies, Ordering::SeqCst);
            match dies {
                // The first one dies in the middle, all others at once.
                true if request.index == index => Deed::Half,
                true => Deed::Hang,
                false => Deed::Pass,
            }
        });
        let path = format!("team/app{index}:1");
        let name = format!("127.0.0.1:{PORT}/{path}");
        engine.docker(&["tag", "made:1", &name]).ok();
        let pushed = engine.docker(&["push", &name]);
        if !died.load(Ordering::SeqCst) {
            assert!(index >= 8, "only {index} requests");
            pushed.ok();
            return;
        }
        let pushed = pushed.code(1);
        let clear = ["EOF", "reset", "broken pipe"];
        assert!(
            clear.iter().any(|words| pushed.stderr.contains(words)),
            "{index}: {pushed:#?}"
        );
        relay.plan(|_| Deed::Pass);
        works(&engine, &registry, &path, &id);
    }
    panic!("a push needs more than 40 requests");
}

#[test]
fn what_a_registry_says_to_a_push_is_told_and_bounded() {
    let Some((engine, registry, relay)) = start() else {
        return;
    };
    let id = make(&engine);
    type Plan = fn(&Request) -> Deed;
    fn writes(request: &Request) -> bool {
        matches!(request.verb.as_str(), "POST" | "PATCH" | "PUT")
    }
    let cases: &[(&str, Plan)] = &[
        ("500", |request| match writes(request) {
            true => answer("500 X", "", ""),
            false => Deed::Pass,
        }),
        ("slow down, you", |request| match writes(request) {
            true => answer(
                "429 X",
                "Content-Type: application/json\r\n",
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down, you"}]}"#,
            ),
            false => Deed::Pass,
        }),
        ("not for you", |request| match writes(request) {
            true => answer(
                "403 X",
                "Content-Type: application/json\r\n",
                r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#,
            ),
            false => Deed::Pass,
        }),
        ("unexpected HTTP status: 307", |request| {
            match writes(request) {
                true => answer("307 X", &format!("Location: {}\r\n", request.target), ""),
                false => Deed::Pass,
            }
        }),
        // Less has come than was sent, or nothing at all, again and again.
        ("", |request| match request.verb.as_str() {
            "PATCH" => {
                let place = format!("Location: {}\r\nRange: 0-3\r\n", request.target);
                answer("202 X", &place, "")
            }
            "PUT" => answer("400 X", "", ""),
            _ => Deed::Pass,
        }),
        // Another manifest than ours.
        ("", |request| match request.verb.as_str() {
            "PUT" if request.target.contains("/manifests/") => {
                let digest = format!("Docker-Content-Digest: sha256:{}\r\n", "ab".repeat(32));
                answer("201 X", &digest, "")
            }
            _ => Deed::Pass,
        }),
        // Uploads that lead nowhere, and to places that are none.
        ("", |request| match request.verb.as_str() {
            "POST" => answer("202 X", "Location: file:///etc/passwd\r\n", ""),
            _ => Deed::Pass,
        }),
        ("", |request| match request.verb.as_str() {
            "POST" => answer("202 X", "", ""),
            _ => Deed::Pass,
        }),
        ("", |request| match writes(request) {
            true => Deed::Endless("HTTP/1.1 400 X\r\nConnection: close\r\n\r\n"),
            false => Deed::Pass,
        }),
        ("", |request| match writes(request) {
            true => Deed::Say(b"SSH-2.0-nonsense\r\n\r\n".to_vec()),
            false => Deed::Pass,
        }),
    ];
    for (index, (words, plan)) in cases.iter().enumerate() {
        let path = format!("team/app{index}:1");
        let name = format!("127.0.0.1:{PORT}/{path}");
        engine.docker(&["tag", "made:1", &name]).ok();
        relay.plan(*plan);
        let failed = engine.docker(&["push", &name]).code(1);
        assert!(failed.stderr.contains(words), "{words}: {failed:#?}");
        assert!(!failed.stderr.contains("panic"), "{failed:#?}");
        relay.plan(|_| Deed::Pass);
        works(&engine, &registry, &path, &id);
    }
}

#[test]
fn nobody_sends_our_password_to_another_host() {
    let Some((engine, _registry, relay)) = start() else {
        return;
    };
    let seen = Arc::new(AtomicBool::new(false));
    let other = Relay::start(&engine, 5003, 5000);
    let told = Arc::clone(&seen);
    other.plan(move |request| {
        told.fetch_or(
            !request.header("authorization").is_empty(),
            Ordering::SeqCst,
        );
        answer("404 X", "", "")
    });
    relay.plan(|request| match request.header("authorization") {
        "" => answer("401 X", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
        _ if request.verb == "POST" => {
            answer("202 X", "Location: http://127.0.0.1:5003/elsewhere\r\n", "")
        }
        _ if request.target == "/v2/" => answer("200 OK", "", ""),
        _ => answer("404 X", "", ""),
    });
    let host = format!("127.0.0.1:{PORT}");
    engine
        .docker_with(
            &["login", "-u", "ann", "--password-stdin", &host],
            b"secret",
        )
        .ok();
    let name = format!("{host}/team/app:1");
    engine.docker(&["tag", "busybox", &name]).ok();
    let failed = engine.docker(&["push", &name]).code(1);
    assert!(!failed.stderr.contains("secret"), "{failed:?}");
    assert!(!seen.load(Ordering::SeqCst));
    assert!(!engine.daemon_log().contains("secret"));
}
