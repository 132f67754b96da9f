//! Limits, measuring, stopping.

use gantry_cgroup::{Controller, Memory, Resources};
use gantry_shim::protocol::Event;
use serde_json::json;

use super::environment::{Environment, can_limit, eventually, log_text, possible};

#[test]
fn running_out_of_memory_is_told() {
    if !possible() || !can_limit(&[Controller::Memory]) {
        return;
    }
    let env = Environment::new();
    let request = env.request_with(&["/bin/sh", "-c", "tail /dev/zero; echo $?"], |spec| {
        spec["linux"]["resources"]["memory"] = json!({ "limit": 16 << 20 });
    });
    let log = request.log.clone();
    let connection = env.start(request);
    let mut told = false;
    let record = loop {
        match env
            .events
            .recv_timeout(std::time::Duration::from_secs(30))
            .unwrap()
            .1
        {
            Event::OutOfMemory => told = true,
            Event::Exit(record) => break record,
            other => panic!("{other:?}"),
        }
    };
    assert!(told);
    assert!(record.oom_killed);
    assert!(log_text(&log).contains("137\n"));
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn one_process_is_allowed_where_one_is_the_limit() {
    if !possible() || !can_limit(&[Controller::Pids]) {
        return;
    }
    let env = Environment::new();
    let request = env.request_with(&["/bin/sh", "-c", "sleep 0; echo $?"], |spec| {
        spec["linux"]["resources"]["pids"] = json!({ "limit": 1 });
    });
    let (exit, log) = env.run(request);
    assert_ne!(exit.exit_code, 0, "a second one is not: {log}");
    env.assert_clean();
}

#[test]
fn pausing_measuring_updating() {
    if !possible() || !can_limit(&[Controller::Memory, Controller::Pids]) {
        return;
    }
    let env = Environment::new();
    let request = env.request("while :; do echo tick; sleep 0.02; done");
    let log = request.log.clone();
    let connection = env.start(request);
    eventually("ticks", || log_text(&log).contains("tick"));
    connection.pause().unwrap();
    assert!(connection.status().unwrap().paused);
    let before = log_text(&log).len();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let after = log_text(&log).len();
    assert!(after <= before + 5, "one tick may have been under way");
    connection.resume().unwrap();
    eventually("ticks again", || log_text(&log).len() > after + 10);

    let stats = connection.stats().unwrap();
    assert!(stats.cpu.total > 0 && stats.memory.usage > 0 && stats.pids.current > 0);
    let memory = Memory {
        limit: Some(64 << 20),
        ..Memory::default()
    };
    connection
        .update(Resources {
            memory,
            ..Resources::default()
        })
        .unwrap();
    assert_eq!(connection.stats().unwrap().memory.limit, 64 << 20);

    connection.pause().unwrap();
    connection.signal(libc::SIGKILL, false).unwrap();
    assert_eq!(env.exit().exit_code, 137);
    connection.delete().unwrap();
    env.assert_clean();
}
