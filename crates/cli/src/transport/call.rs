//! One request, before a connection and a version are chosen for it.

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use crate::error::Error;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) json: Option<Bytes>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Percent-encodes everything but what may stand in a path.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A path without `.` and `..`: a name that holds them is no way around.
fn clean(path: String) -> String {
    if !path.contains("/.") {
        return path;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts.first() {
        Some(&"") => parts.join("/"),
        _ => format!("/{}", parts.join("/")),
    }
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: clean(path.into()),
            query: String::new(),
            json: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn head(path: impl Into<String>) -> Self {
        Self::new(Method::HEAD, path)
    }

    pub(crate) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        self.query
            .push_str(&encode(value).replace('/', "%2F").replace(':', "%3A"));
        self
    }

    /// Adds a parameter unless its value is empty.
    pub(crate) fn query_some(self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.query(name, value)
    }

    /// Adds `name=1` when `value` holds.
    pub(crate) fn query_if(self, name: &str, value: bool) -> Self {
        if value { self.query(name, "1") } else { self }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::message(format!("cannot encode the request: {error}")))?;
        self.json = Some(bytes.into());
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_clean() {
        assert_eq!(Call::get("/containers/../c/json").path, "/c/json");
        assert_eq!(Call::get("/images/a.b/./x/json").path, "/images/a.b/x/json");
        assert_eq!(Call::get("/../../x").path, "/x");
    }

    #[test]
    fn encodes() {
        let call = Call::get("/x")
            .query("name", "a b/c")
            .query_some("no", "")
            .query_if("v", true);
        assert_eq!(call.query, "name=a%20b%2Fc&v=1");
        assert_eq!(encode("repo/x:tag@sha256:1?#"), "repo/x:tag@sha256:1%3F%23");
    }
}
