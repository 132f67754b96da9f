//! What a build tells: BuildKit's `StatusResponse`, as `POST /build` passes it on, read and
//! told again as `--progress=rawjson` has it.
//!
//! ```text
//!  1 vertexes: 1 digest, 2 inputs, 3 name, 4 cached, 5 started, 6 completed, 7 error
//!  2 statuses: 1 id, 2 vertex, 3 name, 4 current, 5 total, 6 timestamp, 7 started, 8 completed
//!  3 logs:     1 vertex, 2 timestamp, 3 stream, 4 data
//!  4 warnings: 1 vertex, 2 level, 3 short, 4 detail, 5 url
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_grpc::Status;
use gantry_grpc::wire::fields;
use serde_json::{Value, json};

/// A time, in nanoseconds since 1970.
pub(super) type Time = i128;

/// A step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Vertex {
    pub(super) digest: String,
    pub(super) inputs: Vec<String>,
    pub(super) name: String,
    pub(super) cached: bool,
    pub(super) started: Option<Time>,
    pub(super) completed: Option<Time>,
    pub(super) error: String,
}

/// Something that is done in a step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) vertex: String,
    pub(super) id: String,
    pub(super) current: i64,
    pub(super) total: i64,
    pub(super) at: Option<Time>,
    pub(super) started: Option<Time>,
    pub(super) completed: Option<Time>,
}

/// What a step says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) vertex: String,
    pub(super) at: Option<Time>,
    pub(super) stream: u64,
    pub(super) data: Vec<u8>,
}

/// Something to be aware of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Warning {
    pub(super) vertex: String,
    pub(super) level: u64,
    pub(super) short: String,
    pub(super) detail: String,
    pub(super) url: String,
}

/// One message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) vertexes: Vec<Vertex>,
    pub(super) tasks: Vec<Task>,
    pub(super) logs: Vec<Log>,
    pub(super) warnings: Vec<Warning>,
}

impl Events {
    /// Reads a message.
    ///
    /// # Errors
    /// For what is none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Status> {
        let mut events = Self::default();
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => events.vertexes.push(vertex(field.bytes()?)?),
                2 => events.tasks.push(task(field.bytes()?)?),
                3 => events.logs.push(log(field.bytes()?)?),
                4 => events.warnings.push(warning(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(events)
    }

    /// As `--progress=rawjson` shows it.
    pub(super) fn json(&self) -> Value {
        let mut all = json!({});
        let mut add = |name: &str, values: Vec<Value>| {
            if !values.is_empty() {
                all[name] = values.into();
            }
        };
        let vertexes = self.vertexes.iter().map(|vertex| {
            let mut shown = json!({"digest": vertex.digest, "name": vertex.name});
            if !vertex.inputs.is_empty() {
                shown["inputs"] = vertex.inputs.clone().into();
            }
            times(&mut shown, vertex.started, vertex.completed);
            if vertex.cached {
                shown["cached"] = true.into();
            }
            if !vertex.error.is_empty() {
                shown["error"] = vertex.error.clone().into();
            }
            shown
        });
        add("vertexes", vertexes.collect());
        let tasks = self.tasks.iter().map(|task| {
            let mut shown = json!({
                "id": task.id, "vertex": task.vertex, "current": task.current,
                "timestamp": stamp(task.at.unwrap_or(0)),
            });
            if task.total != 0 {
                shown["total"] = task.total.into();
            }
            times(&mut shown, task.started, task.completed);
            shown
        });
        add("statuses", tasks.collect());
        let logs = self.logs.iter().map(|log| {
            json!({
                "vertex": log.vertex, "stream": log.stream, "data": STANDARD.encode(&log.data),
                "timestamp": stamp(log.at.unwrap_or(0)),
            })
        });
        add("logs", logs.collect());
        let warnings = self.warnings.iter().map(|warning| {
            json!({
                "vertex": warning.vertex, "level": warning.level,
                "short": STANDARD.encode(&warning.short),
                "detail": [STANDARD.encode(&warning.detail)], "url": warning.url,
            })
        });
        add("warnings", warnings.collect());
        all
    }
}

fn times(shown: &mut Value, started: Option<Time>, completed: Option<Time>) {
    for (name, time) in [("started", started), ("completed", completed)] {
        if let Some(time) = time {
            shown[name] = stamp(time).into();
        }
    }
}

fn stamp(time: Time) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(time).unwrap_or_default();
    stamp.to_string()
}

fn vertex(bytes: &[u8]) -> Result<Vertex, Status> {
    let mut vertex = Vertex::default();
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => vertex.digest = field.text()?,
            2 => vertex.inputs.push(field.text()?),
            3 => vertex.name = field.text()?,
            4 => vertex.cached = field.number()? != 0,
            5 => vertex.started = Some(time(field.bytes()?)?),
            6 => vertex.completed = Some(time(field.bytes()?)?),
            7 => vertex.error = field.text()?,
            _ => {}
        }
    }
    Ok(vertex)
}

fn task(bytes: &[u8]) -> Result<Task, Status> {
    let mut task = Task::default();
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => task.id = field.text()?,
            2 => task.vertex = field.text()?,
            4 => task.current = field.signed()?,
            5 => task.total = field.signed()?,
            6 => task.at = Some(time(field.bytes()?)?),
            7 => task.started = Some(time(field.bytes()?)?),
            8 => task.completed = Some(time(field.bytes()?)?),
            _ => {}
        }
    }
    Ok(task)
}

fn log(bytes: &[u8]) -> Result<Log, Status> {
    let mut log = Log::default();
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => log.vertex = field.text()?,
            2 => log.at = Some(time(field.bytes()?)?),
            3 => log.stream = field.number()?,
            4 => log.data = field.bytes()?.to_vec(),
            _ => {}
        }
    }
    Ok(log)
}

fn warning(bytes: &[u8]) -> Result<Warning, Status> {
    let mut warning = Warning::default();
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => warning.vertex = field.text()?,
            2 => warning.level = field.number()?,
            3 => warning.short = field.text()?,
            4 => warning.detail = field.text()?,
            5 => warning.url = field.text()?,
            _ => {}
        }
    }
    Ok(warning)
}

fn time(bytes: &[u8]) -> Result<Time, Status> {
    let mut time = 0;
    for field in fields(bytes) {
        let field = field?;
        let part = Time::from(field.signed()?);
        match field.number {
            1 => time += part * 1_000_000_000,
            2 => time += part,
            _ => {}
        }
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_told_again() {
        let vertex = [
            &b"\x0a\x08sha256:1"[..],
            b"\x1a\x01n\x20\x01",
            b"\x2a\x04\x08\x01\x10\x05",
        ]
        .concat();
        let mut message = vec![0x0a, u8::try_from(vertex.len()).unwrap()];
        message.extend(&vertex);
        message.extend(b"\x1a\x08\x0a\x01v\x18\x02\x22\x01x");
        let events = Events::read(&message).unwrap();
        let told = serde_json::json!({
            "logs": [{"data": "eA==", "stream": 2, "timestamp": "1970-01-01T00:00:00Z", "vertex": "v"}],
            "vertexes": [{
                "cached": true,
                "digest": "sha256:1",
                "name": "n",
                "started": "1970-01-01T00:00:01.000000005Z",
            }],
        });
        let text = events.json().to_string();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            told
        );
        for end in 0..message.len() {
            // What is cut off is none, or less; it never breaks the reader.
            drop(Events::read(&message[..end]));
        }
        assert!(Events::read(b"\x0a\xff").is_err());
    }
}
