//! How containers end, and how they do not begin.

use std::time::{Duration, Instant};

use gantry_runtime::Step;
use gantry_shim::client::Error;
use gantry_shim::protocol::Refusal;
use serde_json::json;

use super::environment::{Environment, possible};

#[test]
fn exit_codes_and_output() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let (exit, log) = env.run(env.request("echo out; echo err >&2; exit 7"));
    assert_eq!(
        (exit.exit_code, exit.signal, exit.oom_killed),
        (7, None, false)
    );
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    let (exit, _) = env.run(env.request("kill -TERM $$; sleep 1; exit 3"));
    assert_eq!(
        exit.exit_code, 3,
        "the first process of a pid namespace has no default action"
    );
    env.assert_clean();
}

#[test]
fn signals_arrive() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done");
    let log = request.log.clone();
    let connection = env.start(request);
    super::environment::eventually("ready", || {
        super::environment::log_text(&log).contains("ready")
    });
    connection.signal(libc::SIGTERM, false).unwrap();
    assert_eq!(env.exit().exit_code, 42);
    assert!(matches!(
        connection.signal(libc::SIGTERM, false),
        Err(Error::Refused(Refusal::NotRunning) | Error::Gone(_))
    ));
    connection.delete().unwrap();

    let connection = env.start(env.request("sleep 100"));
    assert_eq!(
        connection.processes().unwrap().first().copied(),
        Some(connection.pid())
    );
    connection.signal(libc::SIGKILL, false).unwrap();
    let exit = env.exit();
    assert_eq!((exit.exit_code, exit.signal), (137, Some(9)));
    connection.delete().unwrap();
    env.assert_clean();
}

#[test]
fn failures_are_data_and_leave_nothing() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let missing = env.request_with(&["nosuch"], |_| {});
    let failure = match env.try_start(missing) {
        Err(Error::Start(failure)) => failure.runtime_error().unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(failure.step, Step::Lookup);
    assert!(failure.is_not_found());

    let limit = env.request_with(&["/bin/true"], |spec| {
        spec["linux"]["resources"]["cpu"] = json!({ "cpus": "9999" });
    });
    assert!(matches!(env.try_start(limit), Err(Error::Start(_))));
    env.assert_clean();
}

#[test]
fn one_id_runs_once_and_again_when_it_is_over() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request("sleep 100");
    let connection = env.start(request.clone());
    let again = env.try_start(request.clone());
    assert!(matches!(again, Err(Error::Start(_))), "{again:?}");
    connection.signal(libc::SIGKILL, false).unwrap();
    env.exit();
    // Not acknowledged: the old shim lingers, and is in nobody's way.
    let second = env.start(request);
    second.signal(libc::SIGKILL, false).unwrap();
    assert_eq!(env.exit().exit_code, 137);
    connection.delete().unwrap();
    second.delete().unwrap();
    env.assert_clean();
}

#[test]
fn processes_in_the_hosts_pid_namespace_are_killed() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    let request = env.request_with(
        &["/bin/sh", "-c", "sleep 1000 & echo started; exit 5"],
        |spec| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "pid");
        },
    );
    let start = Instant::now();
    let (exit, log) = env.run(request);
    assert_eq!(exit.exit_code, 5);
    assert_eq!(log, "started\n");
    assert!(start.elapsed() < Duration::from_secs(10));
    env.assert_clean();
}
