//! Nothing is left over: after two hundred containers, eight at a time, and
//! after a thousand, one after another, the kernel and the disk hold what they
//! held before, and the daemon has not grown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gantry_only;
use crate::harness::api::Api;
use crate::harness::traces::{Traces, status};
use crate::harness::{Engine, remark};

/// How long what is taken down in the background may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn body(network: &str, command: &[&str]) -> Value {
    json!({"Image": "busybox", "Cmd": command, "HostConfig": {"NetworkMode": network}})
}

fn create(api: &mut Api, body: &Value) -> String {
    let created = api.post("/containers/create", Some(body)).expect(201);
    let json = created.json();
    json["Id"].as_str().expect("an id").to_owned()
}

/// One container from its creation to its removal.
fn whole_life(api: &mut Api, network: &str) {
    let id = create(api, &body(network, &["true"]));
    api.post(&format!("/containers/{id}/start"), None)
        .expect(204);
    let ended = api
        .post(&format!("/containers/{id}/wait"), None)
        .expect(200);
    assert_eq!(ended.json()["StatusCode"], 0, "{ended:?}");
    api.delete(&format!("/containers/{id}")).expect(204);
}

/// Fails unless everything that is here now was here `before`, soon.
fn settles(engine: &Engine, before: &Traces) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = Traces::of(engine).since(before);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Lets every pool and cache fill, and looks when all is at rest.
fn at_rest(engine: &Engine) -> Traces {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| whole_life(&mut Api::connect(engine), "bridge"));
        }
    });
    let mut last = Traces::of(engine);
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(500));
        let now = Traces::of(engine);
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the engine does not come to rest: {:?}", last.counts);
}

#[test]
fn two_hundred_eight_at_a_time() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let before = at_rest(&engine);
    let share = |work: &(dyn Fn(&mut Api) + Sync)| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut api = Api::connect(&engine);
                    for _ in 0..25 {
                        work(&mut api);
                    }
                });
            }
        });
    };
    let ids = std::sync::Mutex::new(Vec::new());
    share(&|api| {
        let id = create(api, &body("bridge", &["sleep", "1000"]));
        api.post(&format!("/containers/{id}/start"), None)
            .expect(204);
        ids.lock().expect("no panic").push(id);
    });
    let running = Api::connect(&engine).get("/containers/json").json();
    assert_eq!(running.as_array().map(Vec::len), Some(200));
    share(&|api| {
        let id = ids
            .lock()
            .expect("no panic")
            .pop()
            .expect("as many as created");
        api.delete(&format!("/containers/{id}?force=1")).expect(204);
    });
    settles(&engine, &before);
}

#[test]
fn a_thousand_one_after_another() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let before = at_rest(&engine);
    let mut api = Api::connect(&engine);
    let mut memory = Vec::new();
    for round in 0..1000 {
        if round % 250 == 0 {
            memory.push(status(engine.pid(), "VmRSS"));
        }
        let network = if round % 10 == 0 { "bridge" } else { "none" };
        whole_life(&mut api, network);
    }
    memory.push(status(engine.pid(), "VmRSS"));
    drop(api);
    settles(&engine, &before);
    // Threads for blocking calls end when they are idle; there may be a few.
    let threads = status(engine.pid(), "Threads");
    assert!(threads < 64, "{threads} threads");
    remark(&format!(
        "resident kB after 0, 250, … 1000 containers: {memory:?}"
    ));
    // Caches fill in the first half. Four megabytes are no leak of a thousand containers.
    assert!(
        memory[4] < memory[2] + 4096,
        "the daemon grows: {memory:?} kB"
    );
}
