//! `exec` over the API: what the transcripts cannot show.

use serde_json::Value;

use crate::gantry_only;
use crate::harness::{Engine, finish, script};
use crate::run::wait_for;

/// A running container called `box`, with `sleep` in it.
pub fn with_box() -> Engine {
    let engine = Engine::with_busybox();
    let run = ["run", "-d", "--name", "box", "--network", "none"];
    engine
        .docker(&[&run[..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    engine
}

/// `POST` of a JSON body; status and answer.
pub fn post(engine: &Engine, path: &str, body: &str) -> (u32, String) {
    let url = format!("http://d/v1.51{path}");
    let json = "Content-Type: application/json";
    answer(
        &engine
            .curl(&["-X", "POST", "-H", json, "-d", body, &url])
            .stdout,
    )
}

/// `GET`; status and answer.
pub fn get(engine: &Engine, path: &str) -> (u32, String) {
    answer(&engine.curl(&[&format!("http://d/v1.51{path}")]).stdout)
}

fn answer(text: &str) -> (u32, String) {
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (
        status.parse().expect("a number"),
        body.trim_end().to_owned(),
    )
}

fn create(engine: &Engine, body: &str) -> String {
    let (status, created) = post(engine, "/containers/box/exec", body);
    assert_eq!(status, 201, "{created}");
    let created: Value = serde_json::from_str(&created).expect("JSON");
    created["Id"].as_str().expect("an id").to_owned()
}

fn inspect(engine: &Engine, id: &str) -> Value {
    let (status, text) = get(engine, &format!("/exec/{id}/json"));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn an_exec_goes_through_its_phases() {
    let engine = with_box();
    let body = r#"{"Cmd":["sh","-c","read x; exit 3"],"AttachStdin":true,"User":"user",
        "Tty":true,"Privileged":true,"DetachKeys":"ctrl-a,b"}"#;
    let id = create(&engine, body);
    let exec = inspect(&engine, &id);
    let wanted = format!(
        r#"{{"ID":"{id}","Running":false,"ExitCode":null,"ProcessConfig":{{"tty":true,
        "entrypoint":"sh","arguments":["-c","read x; exit 3"],"privileged":true,"user":"user"}},
        "OpenStdin":true,"OpenStderr":false,"OpenStdout":false,"CanRemove":false,
        "ContainerID":"{}","DetachKeys":"AWI=","Pid":0}}"#,
        engine.inspect("box", "{{.Id}}")
    );
    let wanted: Value = serde_json::from_str(&wanted).expect("JSON");
    assert_eq!(exec, wanted);
    assert_eq!(engine.inspect("box", "{{.ExecIDs}}"), format!("[{id}]"));
    let (status, _) = post(&engine, &format!("/exec/{id}/start"), r#"{"Detach":true}"#);
    assert_eq!(status, 200);
    let exec = inspect(&engine, &id);
    assert_eq!(exec["Running"], true);
    assert!(exec["Pid"].as_i64().expect("a pid") > 0);
    let (status, text) = post(&engine, &format!("/exec/{id}/start"), r#"{"Detach":true}"#);
    assert_eq!(status, 409);
    assert!(
        text.contains(&format!("exec command {id} is already running")),
        "{text}"
    );
    let (status, _) = post(&engine, &format!("/exec/{id}/resize?h=20&w=70"), "");
    assert_eq!(status, 200);
    engine.docker(&["kill", "box"]).ok();
    wait_for(|| inspect(&engine, &id)["ExitCode"] == 137);
    assert_eq!(engine.inspect("box", "{{.ExecIDs}}"), "[]");
    engine.docker(&["rm", "box"]).ok();
    assert_eq!(get(&engine, &format!("/exec/{id}/json")).0, 404);
}

#[test]
fn refusals_are_dockers() {
    let engine = with_box();
    engine
        .docker(&["create", "--name", "still", "busybox", "true"])
        .ok();
    let still = engine.inspect("still", "{{.Id}}");
    for (container, body, status, text) in [
        ("box", "{}", 400, "No exec command specified".to_owned()),
        (
            "box",
            r#"{"Cmd":["true"],"DetachKeys":"foo"}"#,
            500,
            "Invalid escape keys (foo) provided".to_owned(),
        ),
        (
            "box",
            r#"{"Cmd":["true"],"User":"bob"}"#,
            400,
            "unable to find user bob: no matching entries in passwd file".to_owned(),
        ),
        (
            "still",
            r#"{"Cmd":["true"]}"#,
            409,
            format!("container {still} is not running"),
        ),
        (
            "none",
            r#"{"Cmd":["true"]}"#,
            404,
            "No such container: none".to_owned(),
        ),
    ] {
        let answer = post(&engine, &format!("/containers/{container}/exec"), body);
        assert_eq!(
            answer,
            (status, format!(r#"{{"message":"{text}"}}"#)),
            "{body}"
        );
    }
    let unknown = get(&engine, "/exec/abc/json");
    assert_eq!(
        unknown,
        (
            404,
            r#"{"message":"No such exec instance: abc"}"#.to_owned()
        )
    );
    for (cmd, status, code, text) in [
        (
            r#"["nonesuch"]"#,
            400,
            127,
            "executable file not found in $PATH",
        ),
        (r#"["/etc/passwd"]"#, 400, 126, "permission denied"),
    ] {
        let id = create(&engine, &format!(r#"{{"Cmd":{cmd}}}"#));
        let (got, message) = post(&engine, &format!("/exec/{id}/start"), r#"{"Detach":true}"#);
        assert_eq!(got, status, "{message}");
        let prefix =
            "OCI runtime exec failed: exec failed: unable to start container process: exec: ";
        assert!(
            message.contains(prefix) && message.contains(text),
            "{message}"
        );
        assert_eq!(inspect(&engine, &id)["ExitCode"], code);
    }
}

#[test]
fn a_paused_container_takes_no_exec() {
    let engine = with_box();
    let id = create(&engine, r#"{"Cmd":["true"]}"#);
    engine.docker(&["pause", "box"]).ok();
    let text = "is paused, unpause the container before exec";
    engine.docker(&["exec", "box", "true"]).code(1).says(text);
    let (status, message) = post(&engine, &format!("/exec/{id}/start"), "{}");
    assert_eq!(status, 409);
    assert!(message.contains(text), "{message}");
    engine.docker(&["unpause", "box"]).ok();
    engine.docker(&["exec", "box", "true"]).ok();
}

#[test]
fn many_at_once_each_get_their_own() {
    let engine = with_box();
    let text = "for i in $(seq 24); do (head -c 300000 /dev/zero | tr '\\0' $((i % 10)) | \
                docker exec -i box sh -c \"sha256sum; exit $i\"; echo $i $?) >out.$i & done; wait; \
                for i in $(seq 24); do head -c 300000 /dev/zero | tr '\\0' $((i % 10)) | sha256sum \
                >want; echo $i $i >>want; cmp want out.$i && echo same; done";
    let outcome = finish(
        script(text)
            .env("DOCKER_HOST", engine.host())
            .current_dir(engine.dir()),
        b"",
    );
    assert_eq!(outcome.ok().stdout.matches("same").count(), 24);
}

#[test]
fn open_execs_are_there_after_the_daemon_was_killed() {
    let mut engine = with_box();
    gantry_only!(engine);
    let id = create(&engine, r#"{"Cmd":["sh","-c","sleep 2; exit 7"]}"#);
    post(&engine, &format!("/exec/{id}/start"), r#"{"Detach":true}"#);
    engine.kill_daemon();
    engine.boot();
    let exec = inspect(&engine, &id);
    assert_eq!(exec["Running"], true);
    assert_eq!(exec["ProcessConfig"]["entrypoint"], "sh");
    assert_eq!(engine.inspect("box", "{{.ExecIDs}}"), format!("[{id}]"));
    engine
        .docker(&["exec", "box", "echo", "new"])
        .ok()
        .prints("new\n");
    wait_for(|| inspect(&engine, &id)["ExitCode"] == 7);
}

/// What happened to `box` until now: actions and attributes.
pub fn events(engine: &Engine) -> Vec<(String, Value)> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // The end of the running second, which the stream waits for.
    let (status, text) = get(engine, &format!("/events?since=0&until={}", now + 1));
    assert_eq!(status, 200, "{text}");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|event| event["Type"] == "container")
        .map(|mut event| {
            let action = event["Action"].as_str().expect("an action").to_owned();
            (action, event["Actor"]["Attributes"].take())
        })
        .collect()
}

#[test]
fn events_tell_of_execs() {
    let engine = with_box();
    engine
        .docker(&["exec", "box", "sh", "-c", "exit 4"])
        .code(4);
    let events = events(&engine);
    let mut ids = Vec::new();
    for (action, exit_code) in [
        ("exec_create: sh -c exit 4", Value::Null),
        ("exec_start: sh -c exit 4", Value::Null),
        ("exec_die", Value::String("4".to_owned())),
    ] {
        let event = events.iter().rfind(|(found, _)| found == action);
        let (_, attributes) = event.unwrap_or_else(|| panic!("{action} in {events:?}"));
        assert_eq!(attributes["exitCode"], exit_code);
        assert_eq!(attributes["name"], "box");
        ids.push(attributes["execID"].clone());
    }
    assert_eq!(ids[0].as_str().map(str::len), Some(64));
    assert!(ids.iter().all(|id| *id == ids[0]));
}
