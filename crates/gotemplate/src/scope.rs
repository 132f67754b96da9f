//! What a template cannot know by itself: methods of its data, and what a
//! field means that is null or not there.

use serde_json::{Map, Value};

/// The answer for a field that an object does not have.
#[derive(Debug, Clone, PartialEq)]
pub enum Absent {
    /// Use this value.
    Value(Value),
    /// Print `<no value>`, as Go does for a missing key of a map.
    NoValue,
    /// Fail with this message.
    Error(String),
}

/// Knowledge about the data of one rendering.
pub trait Scope {
    /// Calls a method of the dot at the top, as in `{{.Label "x"}}`. `None`
    /// means that there is no such method.
    fn method(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let _ = (name, arguments);
        None
    }

    /// How a field that is null prints: `<nil>`, `[]`, `map[]` or `<no value>`.
    fn nil(&self, field: &str) -> &'static str {
        let _ = field;
        "<no value>"
    }

    /// The key of `object` that a field means. Fails when the field has no
    /// such name in Go, whatever the JSON calls it.
    fn key<'a>(&self, field: &'a str, object: &Map<String, Value>) -> Result<&'a str, String> {
        let _ = object;
        Ok(field)
    }

    /// How a list or an object prints that Go does not print as a plain one.
    fn shown(&self, value: &Value) -> Option<String> {
        let _ = value;
        None
    }

    /// What `{{json .}}` of the dot at the top encodes, when that has other names
    /// than the fields.
    fn wire(&self) -> Option<&Value> {
        None
    }

    /// What a field means that its object does not have.
    fn absent(&self, field: &str) -> Absent {
        let _ = field;
        Absent::NoValue
    }

    /// Whether functions leave their text argument alone, as in the header of a
    /// table.
    fn is_header(&self) -> bool {
        false
    }

    /// Whether maps of text are typed, as in Go's structs: `index` then gives the
    /// empty text for a key that is not there.
    fn has_typed_maps(&self) -> bool {
        false
    }

    /// Whether `{{json .}}` of the dot at the top writes `<`, `>` and `&` as
    /// escapes, as Go's own encoder does for a row.
    fn escapes_dot(&self) -> bool {
        false
    }
}

/// A missing key is `<no value>`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lenient;

impl Scope for Lenient {}

/// A missing key is an error (Go's `missingkey=error`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Strict;

impl Scope for Strict {
    fn absent(&self, field: &str) -> Absent {
        Absent::Error(format!("map has no entry for key {field:?}"))
    }
}

/// The header line of a table: the data maps fields to column titles, and
/// `{{.Label "a.b-c"}}` is titled `b c`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header;

impl Scope for Header {
    fn method(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        if name != "Label" {
            return None;
        }
        let label = arguments.first().and_then(Value::as_str).unwrap_or("");
        let last = label.rsplit('.').next().unwrap_or(label);
        Some(Ok(Value::String(last.replace(['-', '_'], " "))))
    }

    fn is_header(&self) -> bool {
        true
    }
}
