//! The client against canned answers on a socket of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::{Call, Client};
use crate::error::Error;
use crate::settings::{Endpoint, Settings};

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nApi-Version: 1.44\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Reads one request: its first line and its body.
fn request(reader: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.trim().to_owned(), String::from_utf8(body).ok()?))
}

/// Answers requests with what `script` makes of them, on one connection after
/// the other; each connection's number is told.
fn serve(listener: UnixListener, script: impl Fn(usize, &str, &str) -> String + Send + 'static) {
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let mut writer = stream.try_clone().unwrap();
            let mut reader = BufReader::new(stream);
            while let Some((line, body)) = request(&mut reader) {
                if writer
                    .write_all(script(number, &line, &body).as_bytes())
                    .is_err()
                {
                    break;
                }
            }
        }
    });
}

fn settings(socket: &Path) -> Settings {
    Settings::for_endpoint(Endpoint::Unix(socket.to_owned()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn socket(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("s.sock")
}

#[test]
fn one_connection_and_no_ping() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket(&directory);
    serve(UnixListener::bind(&path).unwrap(), |number, line, _| {
        answer("200 OK", &format!("\"{number} {line}\""))
    });
    let client = Client::new(&settings(&path), None);
    block_on(async {
        let first: String = client.json(&Call::get("/a").query("x", "1")).await.unwrap();
        assert_eq!(first, "0 GET /v1.51/a?x=1 HTTP/1.1");
        let second: String = client.json(&Call::get("/b")).await.unwrap();
        assert_eq!(second, "0 GET /v1.51/b HTTP/1.1");
    });
}

#[test]
fn takes_the_version_of_an_older_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket(&directory);
    serve(UnixListener::bind(&path).unwrap(), |_, line, body| {
        if line.contains("/v1.51/") {
            let message = "client version 1.51 is too new. Maximum supported API version is 1.44";
            return answer("400 Bad Request", &format!("{{\"message\":\"{message}\"}}"));
        }
        answer(
            "200 OK",
            &format!("{{\"line\":\"{line}\",\"body\":{body}}}"),
        )
    });
    let client = Client::new(&settings(&path), None);
    block_on(async {
        let call = Call::post("/x").json(&serde_json::json!({"a": 1})).unwrap();
        let found: serde_json::Value = client.json(&call).await.unwrap();
        assert_eq!(found["line"], "POST /v1.44/x HTTP/1.1");
        assert_eq!(found["body"]["a"], 1);
        assert_eq!(client.version().to_string(), "1.44");
    });
}

#[test]
fn errors_carry_the_message() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket(&directory);
    serve(UnixListener::bind(&path).unwrap(), |_, line, _| {
        if line.contains("/plain") {
            return answer("500 Internal Server Error", "broken\n");
        }
        answer("404 Not Found", "{\"message\":\"No such container: x\"}")
    });
    let client = Client::new(&settings(&path), None);
    block_on(async {
        let error = client.done(&Call::get("/x")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Error response from daemon: No such container: x"
        );
        let error = client.done(&Call::get("/plain")).await.unwrap_err();
        assert_eq!(error.to_string(), "Error response from daemon: broken");
    });
}

#[test]
fn waits_for_a_daemon_that_starts() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket(&directory);
    let left = std::sync::atomic::AtomicUsize::new(3);
    serve(UnixListener::bind(&path).unwrap(), move |_, _, _| {
        use std::sync::atomic::Ordering::SeqCst;
        if left.load(SeqCst) == 0 {
            return answer("200 OK", "7");
        }
        left.fetch_sub(1, SeqCst);
        let message = "the daemon is starting and not ready yet: try again in a moment";
        answer(
            "503 Service Unavailable",
            &format!("{{\"message\":\"{message}\"}}"),
        )
    });
    let client = Client::new(&settings(&path), None);
    let found: i32 = block_on(client.json(&Call::get("/x"))).unwrap();
    assert_eq!(found, 7);
}

#[test]
fn nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::new(&settings(&socket(&directory)), None);
    let error = block_on(client.done(&Call::get("/x"))).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

fn start(socket: &Path) -> Result<Option<PathBuf>, String> {
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        serve(UnixListener::bind(&socket).unwrap(), |_, _, _| {
            answer("200 OK", "")
        });
    });
    Ok(None)
}

fn cannot_start(_: &Path) -> Result<Option<PathBuf>, String> {
    Err("no root".to_owned())
}

#[test]
fn a_daemon_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket(&directory);
    let client = Client::new(&settings(&path), Some(cannot_start));
    let error = block_on(client.done(&Call::get("/x"))).unwrap_err();
    assert!(
        error.to_string().contains("cannot start a daemon"),
        "{error}"
    );
    let client = Client::new(&settings(&path), Some(start));
    block_on(client.done(&Call::get("/x"))).unwrap();
}
