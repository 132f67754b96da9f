//! A container's whole life over the Engine API.

use std::path::Path;

use crate::http::{Answer, Connection};
use crate::rootfs::IMAGE;

/// Creates, starts, waits for and removes one container that runs `true`.
pub fn cycle(socket: &Path, network: &str) -> Result<(), String> {
    let mut connection = Connection::open(socket)?;
    let body = serde_json::json!({"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": network}});
    let created = expect(
        connection.send("POST", "/v1.41/containers/create", &body.to_string())?,
        201,
    )?;
    let created: serde_json::Value =
        serde_json::from_slice(&created.body).map_err(|error| error.to_string())?;
    let id = created["Id"].as_str().ok_or("create answers no Id")?;
    expect(
        connection.send("POST", &format!("/v1.41/containers/{id}/start"), "")?,
        204,
    )?;
    let waited = expect(
        connection.send("POST", &format!("/v1.41/containers/{id}/wait"), "")?,
        200,
    )?;
    let waited: serde_json::Value =
        serde_json::from_slice(&waited.body).map_err(|error| error.to_string())?;
    if waited["StatusCode"] != 0 {
        return Err(format!("wait answers {waited}"));
    }
    let removed = connection.send("DELETE", &format!("/v1.41/containers/{id}?force=1"), "")?;
    // Podman answers 200, Docker 204.
    if removed.status / 100 == 2 {
        Ok(())
    } else {
        expect(removed, 204).map(drop)
    }
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
