//! An answer that tells of an error (OCI distribution spec, "Error Codes"), in
//! the words in which Docker shows it.

use std::fmt;
use std::time::Duration;

use gantry_types::ErrorKind;
use serde::Deserialize;

/// What a server has answered in place of what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code of the first error, such as `DENIED`; empty if there is none.
    pub code: String,
    /// What it says to people.
    pub message: String,
    /// How long the server wants not to be asked.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    /// What some registries, and token servers, answer instead.
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default, alias = "Code")]
    code: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// Reads an answer's body.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let made = |code: &str, message: String| Self {
            status,
            code: code.to_owned(),
            message: printable(&message),
            retry_after,
        };
        let parsed = serde_json::from_slice::<Body>(body).ok();
        let code = match status {
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            429 => "TOOMANYREQUESTS",
            _ => "",
        };
        if let Some(details) = parsed.as_ref().and_then(|body| body.details.clone()) {
            return made(if code.is_empty() { "UNKNOWN" } else { code }, details);
        }
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let is_plain = parsed.is_none() && !text.is_empty() && !text.starts_with('<');
        if is_plain && (400..500).contains(&status) {
            let code = if code.is_empty() { "UNKNOWN" } else { code };
            return made(code, text.to_owned());
        }
        if let Some(item) = parsed.and_then(|body| body.errors.into_iter().next()) {
            let message = match item.message.is_empty() {
                true => words(&item.code),
                false => item.message,
            };
            return made(&item.code, message);
        }
        let message = match status {
            401 => "authentication required".to_owned(),
            403 => "requested access to the resource is denied".to_owned(),
            429 => "too many requests".to_owned(),
            _ => format!("received unexpected HTTP status: {}", reason(status)),
        };
        made(code, message)
    }

    /// What this means to the one who asked.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.status {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            _ => ErrorKind::Internal,
        }
    }

    /// The status with its name.
    pub(crate) fn status_line(&self) -> String {
        reason(self.status)
    }

    /// Whether the server may answer otherwise later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// Whether the code is this one.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => f.write_str(&self.message),
            code => write!(f, "{}: {}", words(code), self.message),
        }
    }
}

/// `MANIFEST_UNKNOWN` as words.
fn words(code: &str) -> String {
    printable(&code.to_ascii_lowercase().replace('_', " "))
}

/// A server's text may neither move a terminal's cursor nor fill a screen.
fn printable(text: &str) -> String {
    let fits = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(1000).map(fits).collect()
}

/// A status with its name.
pub(crate) fn reason(status: u16) -> String {
    let name = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        416 => "Requested Range Not Satisfiable",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return status.to_string(),
    };
    format!("{status} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_dockers_words() {
        for (status, body, text) in [
            (
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (
                429,
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#,
                "toomanyrequests: slow down",
            ),
            (429, r#"{"details":"x"}"#, "toomanyrequests: x"),
            (401, "", "unauthorized: authentication required"),
            (
                403,
                "<html>",
                "denied: requested access to the resource is denied",
            ),
            (
                502,
                "<html>",
                "received unexpected HTTP status: 502 Bad Gateway",
            ),
            (403, "no way\n", "denied: no way"),
            (400, "use HTTPS", "unknown: use HTTPS"),
            (
                401,
                r#"{"errors":[{"Code":"UNAUTHORIZED","message":"a word"}]}"#,
                "unauthorized: a word",
            ),
            (418, "{}", "received unexpected HTTP status: 418"),
            (
                400,
                r#"{"errors":[{"code":"X","message":"a\u001b[2Jb"}]}"#,
                "x: a [2Jb",
            ),
        ] {
            assert_eq!(
                Refusal::read(status, body.as_bytes(), None).to_string(),
                text
            );
        }
    }
}
