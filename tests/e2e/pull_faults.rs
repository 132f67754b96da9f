//! Registries that fail in every way: a clear error, nothing left behind, and the
//! next pull works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gantry_only;
use crate::harness::registry::{Asked, Fault, IMAGE, Registry};
use crate::harness::{Engine, Outcome, busybox_tar};
use crate::pull::nothing_is_left;

/// What a registry does with a request.
type Plan = fn(&Asked) -> Fault;

/// An engine that does not try for minutes what will not work.
fn engine() -> Engine {
    Engine::start_with(&["--max-download-attempts", "1"])
}

/// Pulls what must fail, and proves that nothing is left and that the next pull works.
#[track_caller]
fn fails(engine: &Engine, registry: &Registry, words: &str, plan: Plan) {
    registry.plan(plan);
    let failed = engine.docker(&["pull", IMAGE]).code(1);
    assert!(
        failed.stderr.contains(words),
        "expected {words:?} in {failed:#?}"
    );
    recovers(engine, registry, words);
}

#[track_caller]
fn recovers(engine: &Engine, registry: &Registry, when: &str) {
    nothing_is_left(engine, when);
    registry.plan(|_| Fault::None);
    works(engine);
    engine.docker(&["rmi", IMAGE]).ok();
    nothing_is_left(engine, when);
}

#[track_caller]
fn works(engine: &Engine) -> Outcome {
    engine.docker(&["pull", IMAGE]).ok();
    engine.docker(&["run", "--rm", IMAGE]).ok()
}

#[test]
fn a_registry_may_die_at_every_request() {
    let engine = engine();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    for index in 0..20 {
        let died = Arc::new(AtomicBool::new(false));
        let dying = Arc::clone(&died);
        registry.plan(move |asked| {
            let dies = asked.index >= index;
            dying.fetch_or(dies, Ordering::SeqCst);
            match dies {
                // The first one dies in the middle, all others at once.
                true if asked.index == index => Fault::Cut(1000),
                true => Fault::Raw(Vec::new()),
                false => Fault::None,
            }
        });
        let pulled = engine.docker(&["pull", IMAGE]);
        if !died.load(Ordering::SeqCst) {
            assert!(index >= 4, "only {index} requests");
            pulled.ok();
            return;
        }
        // A short answer may be there as a whole before the registry dies.
        if pulled.code == 0 {
            engine.docker(&["rmi", IMAGE]).ok();
            continue;
        }
        let clear = pulled.stderr.contains("EOF") || pulled.stderr.contains("reset");
        assert!(clear, "{index}: {pulled:#?}");
        recovers(&engine, &registry, &format!("dead at {index}"));
    }
    panic!("a pull needs more than 20 requests");
}

#[test]
fn lies_are_told_from_the_truth() {
    let engine = engine();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let cases: &[(&str, Plan)] = &[
        (
            "verification failed for digest sha256:",
            |asked| match asked.is_blob() {
                true => Fault::Flip,
                false => Fault::None,
            },
        ),
        ("expected", |asked| match asked.is_blob() {
            true => Fault::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
            false => Fault::None,
        }),
        ("expected", |asked| match asked.is_blob() {
            true => Fault::Endless("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
            false => Fault::None,
        }),
        ("longer than", |asked| match asked.is_manifest() {
            true => Fault::Endless("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
            false => Fault::None,
        }),
        ("longer than", |asked| match asked.is_manifest() {
            true => Fault::Endless("HTTP/1.1 200 OK\r\nContent-Length: 5242880\r\n\r\n"),
            false => Fault::None,
        }),
        ("redirect", |asked| {
            let text = format!(
                "HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                asked.path
            );
            match asked.is_blob() {
                true => Fault::Raw(text.into_bytes()),
                false => Fault::None,
            }
        }),
        ("500", |asked| match asked.is_blob() {
            true => Fault::Raw(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_vec()),
            false => Fault::None,
        }),
        ("toomanyrequests", |asked| match asked.is_manifest() {
            true => Fault::Raw(
                b"HTTP/1.1 429 X\r\nContent-Type: application/json\r\nContent-Length: 65\r\n\r\n\
                {\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down, you\"}]}\n"
                    .to_vec(),
            ),
            false => Fault::None,
        }),
        ("", |asked| match asked.is_manifest() {
            true => Fault::Raw(b"SSH-2.0-nonsense\r\n\r\n".to_vec()),
            false => Fault::None,
        }),
    ];
    for (words, plan) in cases {
        fails(&engine, &registry, words, *plan);
    }
}

#[test]
fn a_registry_that_asks_for_patience_gets_it() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    registry.plan(|asked| match asked.index % 3 {
        1 => Fault::Raw(b"HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec()),
        _ => Fault::None,
    });
    works(&engine).prints("from-the-top\n");
}

#[test]
fn an_image_that_is_not_what_it_says_is_refused() {
    let engine = engine();
    gantry_only!(engine);
    let registry = Registry::start(&engine);
    let busybox = std::fs::read(busybox_tar()).expect("the tar");
    let right = gantry_types::Digest::of(&busybox);
    let wrong = gantry_types::Digest::of(b"another");
    let layers = [busybox];
    registry.image("wrong", &layers, &[wrong]);
    registry.image("fewer", &layers, &[right, wrong]);
    registry.image("noise", &[vec![7; 100_000]], &[right]);
    for (tag, words) in [
        (
            "wrong",
            "layers from manifest don't match image configuration",
        ),
        (
            "fewer",
            "layers from manifest don't match image configuration",
        ),
        ("noise", "invalid tar archive"),
    ] {
        let name = format!("127.0.0.1:5000/team/app:{tag}");
        engine.docker(&["pull", &name]).code(1).says(words);
        recovers(&engine, &registry, tag);
    }
}
