//! The work over the Engine API.

use std::path::Path;

use serde_json::{Value, json};

use crate::http::{Answer, Connection};
use crate::rootfs::IMAGE;

/// A version that Docker, Podman and this engine all speak.
const VERSION: &str = "/v1.41";

/// A container to be made.
pub struct Container<'a> {
    /// Its command.
    pub command: &'a [&'a str],
    /// Its network mode.
    pub network: &'a str,
    /// Its cgroup parent, so that its processor time is found.
    pub cgroup: &'a str,
    /// Ports that it publishes, each at the same one of the host.
    pub ports: &'a [u16],
}

/// Creates, starts, waits for and removes one container.
pub fn cycle(socket: &Path, container: &Container<'_>) -> Result<(), String> {
    let mut connection = Connection::open(socket)?;
    let id = create(&mut connection, container)?;
    start(&mut connection, &id)?;
    let path = format!("{VERSION}/containers/{id}/wait");
    let waited = expect(connection.send("POST", &path, "")?, 200)?;
    let waited: Value = serde_json::from_slice(&waited.body).map_err(|error| error.to_string())?;
    if waited["StatusCode"] != 0 {
        return Err(format!("wait answers {waited}"));
    }
    remove(&mut connection, &id)
}

/// Creates and starts one container.
pub fn launch(socket: &Path, container: &Container<'_>) -> Result<String, String> {
    let mut connection = Connection::open(socket)?;
    let id = create(&mut connection, container)?;
    start(&mut connection, &id)?;
    Ok(id)
}

/// Creates one container.
pub fn make(socket: &Path, container: &Container<'_>) -> Result<String, String> {
    create(&mut Connection::open(socket)?, container)
}

/// Lists all containers, of which there must be so many at least.
pub fn list(socket: &Path, least: usize) -> Result<(), String> {
    let path = format!("{VERSION}/containers/json?all=1");
    let listed = expect(Connection::open(socket)?.send("GET", &path, "")?, 200)?;
    let count = listed.body.windows(5).filter(|w| w == b"\"Id\":").count();
    match count >= least {
        true => Ok(()),
        false => Err(format!("{count} containers instead of {least}")),
    }
}

/// Looks at one container.
pub fn inspect(socket: &Path, id: &str) -> Result<Value, String> {
    let path = format!("{VERSION}/containers/{id}/json");
    let told = expect(Connection::open(socket)?.send("GET", &path, "")?, 200)?;
    serde_json::from_slice(&told.body).map_err(|error| error.to_string())
}

/// Stops one container.
pub fn stop(socket: &Path, id: &str) -> Result<(), String> {
    let path = format!("{VERSION}/containers/{id}/stop?t=10");
    expect(Connection::open(socket)?.send("POST", &path, "")?, 204).map(drop)
}

/// Kills and removes one container.
pub fn discard(socket: &Path, id: &str) -> Result<(), String> {
    remove(&mut Connection::open(socket)?, id)
}

/// Runs `true` in a running container, until its output ends and its code is known.
pub fn exec(socket: &Path, id: &str) -> Result<(), String> {
    let mut connection = Connection::open(socket)?;
    let body = json!({"Cmd": ["true"], "AttachStdout": true, "AttachStderr": true}).to_string();
    let path = format!("{VERSION}/containers/{id}/exec");
    let made = expect(connection.send("POST", &path, &body)?, 201)?;
    let exec = id_of(&made)?;
    let body = json!({"Detach": false, "Tty": false}).to_string();
    // The answer's body is the output, and ends with the connection.
    let hijacked = Connection::open(socket)?;
    hijacked.send_until_closed("POST", &format!("{VERSION}/exec/{exec}/start"), &body)?;
    let path = format!("{VERSION}/exec/{exec}/json");
    loop {
        let told = expect(connection.send("GET", &path, "")?, 200)?;
        let told: Value = serde_json::from_slice(&told.body).map_err(|error| error.to_string())?;
        match told["ExitCode"].as_i64() {
            Some(0) => return Ok(()),
            // The output may end a moment earlier than the process.
            _ if told["Running"] == true => {}
            _ => return Err(format!("exec answers {told}")),
        }
    }
}

fn create(connection: &mut Connection, container: &Container<'_>) -> Result<String, String> {
    let port = |port: &u16| {
        (
            format!("{port}/tcp"),
            json!([{"HostPort": port.to_string()}]),
        )
    };
    let ports: serde_json::Map<String, Value> = container.ports.iter().map(port).collect();
    let exposed = ports.keys().map(|port| (port.clone(), json!({})));
    let body = json!({
        "Image": IMAGE,
        "Cmd": container.command,
        "ExposedPorts": exposed.collect::<serde_json::Map<String, Value>>(),
        "HostConfig": {
            "NetworkMode": container.network,
            "CgroupParent": container.cgroup,
            "PortBindings": ports,
        },
    });
    let path = format!("{VERSION}/containers/create");
    let created = expect(connection.send("POST", &path, &body.to_string())?, 201)?;
    id_of(&created)
}

fn start(connection: &mut Connection, id: &str) -> Result<(), String> {
    let path = format!("{VERSION}/containers/{id}/start");
    expect(connection.send("POST", &path, "")?, 204).map(drop)
}

fn remove(connection: &mut Connection, id: &str) -> Result<(), String> {
    let path = format!("{VERSION}/containers/{id}?force=1");
    let removed = connection.send("DELETE", &path, "")?;
    // Podman answers 200, Docker 204.
    if removed.status / 100 == 2 {
        Ok(())
    } else {
        expect(removed, 204).map(drop)
    }
}

fn id_of(answer: &Answer) -> Result<String, String> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let id = body["Id"].as_str().ok_or("an answer without Id")?;
    Ok(id.to_owned())
}

fn expect(answer: Answer, status: u16) -> Result<Answer, String> {
    if answer.status == status {
        return Ok(answer);
    }
    Err(format!(
        "HTTP {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    ))
}
