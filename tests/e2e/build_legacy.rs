//! `POST /build?version=2`: BuildKit as clients older than `/grpc` ask for it. What is
//! expected is what the real Docker answers.

use std::thread;

use crate::harness::api::{Api, Response};
use crate::harness::{Engine, finish, folder, script};

/// An archive of a context.
fn archive(engine: &Engine, dockerfile: &str) -> Vec<u8> {
    let files = [("Dockerfile", dockerfile), ("f", "a file\n")];
    let dir = folder(engine, "context", &files);
    let mut tar = script("tar -C \"$DIR\" -cf \"$DIR.tar\" .");
    finish(tar.env("DIR", &dir), b"").ok();
    std::fs::read(dir.with_extension("tar")).expect("an archive")
}

fn post(engine: &Engine, query: &str, body: &[u8]) -> Response {
    let path = format!("/v1.50/build?version=2&{query}");
    Api::connect(engine).call("POST", &path, body)
}

/// The lines of an answer, without what is told of the steps.
fn said(answer: &Response) -> Vec<&str> {
    let lines = answer.body.lines();
    let trace = "{\"id\":\"moby.buildkit.trace\",";
    lines.filter(|line| !line.starts_with(trace)).collect()
}

const COPY: &str = "FROM busybox\nARG A\nCOPY f /f\nRUN echo $A >>/f\nCMD [\"cat\", \"/f\"]\n";

#[test]
fn a_body_is_built_and_named_without_a_session() {
    let engine = Engine::with_busybox();
    let tar = archive(&engine, COPY);
    let arguments = "t=one&t=two:2&buildargs=%7B%22A%22:%22b%22%7D";
    let built = post(&engine, arguments, &tar).expect(200);
    let id = engine.inspect("one", "{{.Id}}");
    let made = format!("{{\"id\":\"moby.image.id\",\"aux\":{{\"ID\":\"{id}\"}}}}");
    assert_eq!(said(&built), [made]);
    let traces = built.body.lines().count() - 1;
    assert!(traces > 5, "the steps are told of: {traces}");
    let told = engine.docker(&["run", "--rm", "two:2"]);
    told.ok().prints("a file\nb\n");
    let quiet = post(&engine, &format!("q=1&{arguments}"), &tar).expect(200);
    assert_eq!(quiet.body.trim_end(), format!("{{\"stream\":\"{id}\\n\"}}"));
    let alone = post(
        &engine,
        "q=1&t=three",
        b"FROM busybox\nCMD [\"echo\", \"alone\"]\n",
    );
    alone.expect(200);
    engine
        .docker(&["run", "--rm", "three"])
        .ok()
        .prints("alone\n");
    engine.docker(&["rmi", "one", "two:2", "three"]).ok();
}

#[test]
fn a_context_may_come_by_a_request_of_its_own() {
    let engine = Engine::with_busybox();
    let tar = archive(&engine, COPY);
    thread::scope(|scope| {
        let build = scope.spawn(|| post(&engine, "remote=upload-request&buildid=b&q=1&t=x", b""));
        let brought = post(&engine, "buildid=upload-request:b", &tar).expect(200);
        assert_eq!(brought.body, "");
        build.join().expect("an answer").expect(200);
    });
    engine
        .docker(&["run", "--rm", "x"])
        .ok()
        .prints("a file\n\n");
    for query in [
        "remote=upload-request&buildid=c",
        "buildid=upload-request:c",
    ] {
        let late = post(&engine, query, b"x").expect(500);
        assert_eq!(late.json()["message"], "context deadline exceeded");
    }
    engine.docker(&["rmi", "x"]).ok();
}

#[test]
fn what_is_wrong_is_said_before_or_within_the_answer() {
    let engine = Engine::with_busybox();
    let tar = archive(&engine, &format!("{COPY}RUN exit 3\n"));
    for (query, status, text) in [
        (
            "networkmode=x",
            500,
            "network mode \"x\" not supported by buildkit",
        ),
        ("extrahosts=x", 500, "invalid host x"),
        (
            "outputs=[%7B%22Type%22:%22x%22%7D]",
            500,
            "exporter \"x\" could not be found",
        ),
        (
            "outputs=[%7B%22Type%22:%22tar%22%7D,%7B%22Type%22:%22tar%22%7D]",
            500,
            "multiple outputs not supported",
        ),
    ] {
        let refused = post(&engine, query, &tar).expect(status);
        assert_eq!(refused.json()["message"], text, "{query}");
    }
    let exit = "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3";
    for (query, text) in [
        ("t=x", exit),
        ("q=1", exit),
        ("target=x", "target stage \"x\" could not be found"),
        (
            "dockerfile=x",
            "failed to read dockerfile: open x: no such file or directory",
        ),
    ] {
        let failed = post(&engine, query, &tar).expect(200);
        let line = serde_json::json!({"errorDetail": {"message": text}, "error": text});
        let [said] = said(&failed)[..] else {
            panic!("{failed:?}");
        };
        let said: serde_json::Value = serde_json::from_str(said).expect("JSON");
        assert_eq!(said, line, "{query}");
    }
    let other = Api::connect(&engine).call("POST", "/v1.50/build?version=3", &tar);
    assert_eq!(other.expect(400).json()["message"], "invalid version \"3\"");
}

#[test]
fn it_is_ended_by_its_id() {
    let engine = Engine::with_busybox();
    let tar = archive(&engine, "FROM busybox\nRUN sleep 1000\n");
    let none = Api::connect(&engine).post("/v1.50/build/cancel", None);
    assert_eq!(none.expect(400).json()["message"], "build ID not provided");
    thread::scope(|scope| {
        let build = scope.spawn(|| post(&engine, "buildid=long", &tar));
        while !build.is_finished() {
            let mut api = Api::connect(&engine);
            api.post("/v1.50/build/cancel?id=long", None).expect(200);
            thread::sleep(std::time::Duration::from_millis(200));
        }
        let ended = build.join().expect("an answer");
        assert!(ended.body.contains("context canceled"), "{ended:?}");
    });
}
