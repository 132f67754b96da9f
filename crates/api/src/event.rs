//! What `GET /events` streams, one object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::body::is_default;

/// Something that happened to an object of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Before API 1.52: the action again, for containers and images.
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    /// Before API 1.52: the actor's id again.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// Before API 1.52: the image of a container.
    #[serde(skip_serializing_if = "is_default")]
    pub from: String,
    /// `container`, `image`, `network`, `volume`, `daemon`, `builder` …
    #[serde(rename = "Type")]
    pub kind: String,
    /// `create`, `start`, `die` …
    #[serde(rename = "Action")]
    pub action: String,
    /// The object it happened to.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: String,
    /// Seconds since the epoch.
    #[serde(skip_serializing_if = "is_default")]
    pub time: i64,
    /// Nanoseconds since the epoch.
    #[serde(rename = "timeNano", skip_serializing_if = "is_default")]
    pub time_nano: i64,
}

impl Event {
    /// The event of this kind and action, with the fields that clients before
    /// API 1.52 read (the stock command line and Compose need them).
    pub fn new(kind: &str, action: &str, actor: Actor, time_nano: i64) -> Self {
        let legacy = matches!(kind, "container" | "image");
        let from = match kind {
            "container" => actor.attributes.get("image").cloned().unwrap_or_default(),
            _ => String::new(),
        };
        Self {
            status: if legacy {
                action.to_owned()
            } else {
                String::new()
            },
            id: if legacy {
                actor.id.clone()
            } else {
                String::new()
            },
            from,
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor,
            scope: "local".to_owned(),
            time: time_nano.div_euclid(1_000_000_000),
            time_nano,
        }
    }
}

/// The object an event happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// Its full id, or its name where that is the id.
    #[serde(rename = "ID")]
    pub id: String,
    /// `name`, `image`, labels, and details of the action.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}
