//! Many at once.

use std::thread;
use std::time::Instant;

use super::environment::{Environment, measuring, possible};

#[test]
fn fifty_at_once() {
    if !possible() {
        return;
    }
    let env = Environment::new();
    thread::scope(|scope| {
        let starts: Vec<_> = (0..50)
            .map(|number| {
                let request = env.request(&format!("exit {number}"));
                let env = &env.pool;
                scope.spawn(move || {
                    let fds = gantry_shim::client::StartFds::default();
                    let connection = env.start(request, None, &fds).unwrap();
                    connection.watch().unwrap();
                    connection
                })
            })
            .collect();
        let connections: Vec<_> = starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        let mut codes: Vec<_> = connections.iter().map(|_| env.exit().exit_code).collect();
        codes.sort_unstable();
        assert_eq!(codes, (0..50).collect::<Vec<_>>());
        for connection in connections {
            connection.delete().unwrap();
        }
    });
    env.assert_clean();
}

/// Prints how long a start takes; `--nocapture` shows it.
#[test]
fn start_latency() {
    if !possible() || !measuring() {
        return;
    }
    let env = Environment::new();
    thread::sleep(std::time::Duration::from_millis(300));
    let (mut starts, mut wholes) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        thread::sleep(std::time::Duration::from_millis(100));
        let request = env.request_with(&["/bin/true"], |_| {});
        let begin = Instant::now();
        let connection = env.start(request);
        starts.push(begin.elapsed().as_micros());
        env.exit();
        wholes.push(begin.elapsed().as_micros());
        connection.delete().unwrap();
    }
    starts.sort_unstable();
    wholes.sort_unstable();
    eprintln!(
        "start: median {} µs, best {}, worst {}",
        starts[15], starts[0], starts[29]
    );
    eprintln!(
        "start to exit: median {} µs, best {}, worst {}",
        wholes[15], wholes[0], wholes[29]
    );
    env.assert_clean();
}
