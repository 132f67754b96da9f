//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, with
//! the question on standard input and the answer on standard output.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use gantry_api::AuthConfig;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What such a program says when it has nothing.
const NOT_FOUND: [&str; 3] = [
    "credentials not found in native keychain",
    "no credentials server URL",
    "no credentials username",
];
/// The user that stands for "the secret is a refresh token".
const TOKEN_USER: &str = "<token>";
/// No answer is longer.
const MAX_ANSWER: u64 = 1 << 20;
/// Those that are taken when nothing was chosen, if they are there.
const USUAL: [&str; 2] = ["pass", "secretservice"];

/// One of these programs.
pub(super) struct Program {
    program: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Credentials {
    #[serde(rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

/// Why there is no answer.
struct Failure {
    /// How the program ended, or why it did not begin.
    reason: String,
    /// What it had to say.
    said: String,
}

impl Failure {
    fn told(self, doing: &str) -> Error {
        let Self { reason, said } = self;
        Error::message(format!(
            "error {doing} credentials - err: {reason}, out: `{said}`"
        ))
    }
}

impl Program {
    pub(super) fn new(name: &str) -> Self {
        Self {
            program: format!("docker-credential-{name}"),
        }
    }

    /// The one that Docker takes by itself: `pass` where that is installed,
    /// otherwise the desktop's.
    pub(super) fn usual() -> Option<Self> {
        let name = USUAL[usize::from(!is_program("pass"))];
        let found = Self::new(name);
        is_program(&found.program).then_some(found)
    }

    /// The credentials of a server; empty when there are none.
    pub(super) fn get(&self, server: &str) -> Result<AuthConfig, Error> {
        let answer = match self.call("get", server.as_bytes()) {
            Ok(answer) => answer,
            Err(failure) if NOT_FOUND.contains(&failure.said.as_str()) => {
                return Ok(AuthConfig::default());
            }
            Err(failure) => return Err(failure.told("getting")),
        };
        // The reason could quote the secret.
        let found: Credentials = serde_json::from_slice(&answer).map_err(|_| {
            Error::message(format!(
                "error getting credentials: {} answers nonsense",
                self.program
            ))
        })?;
        let mut auth = AuthConfig {
            server_address: server.to_owned(),
            ..AuthConfig::default()
        };
        if found.username == TOKEN_USER {
            auth.identity_token = found.secret;
        } else {
            auth.username = found.username;
            auth.password = found.secret;
        }
        Ok(auth)
    }

    /// Keeps credentials.
    pub(super) fn store(&self, auth: &AuthConfig) -> Result<(), Error> {
        let is_token = !auth.identity_token.is_empty();
        let credentials = Credentials {
            server: auth.server_address.clone(),
            username: if is_token { TOKEN_USER } else { &auth.username }.to_owned(),
            secret: if is_token {
                &auth.identity_token
            } else {
                &auth.password
            }
            .clone(),
        };
        let mut text = serde_json::to_vec(&credentials)
            .map_err(|_| Error::message("error storing credentials: cannot be encoded"))?;
        text.push(b'\n');
        let stored = self.call("store", &text);
        stored.map(drop).map_err(|failure| failure.told("storing"))
    }

    /// Forgets the credentials of a server.
    pub(super) fn erase(&self, server: &str) -> Result<(), Error> {
        match self.call("erase", server.as_bytes()) {
            Err(failure) if !NOT_FOUND.contains(&failure.said.as_str()) => {
                Err(failure.told("erasing"))
            }
            _ => Ok(()),
        }
    }

    fn call(&self, action: &str, question: &[u8]) -> Result<Vec<u8>, Failure> {
        let failed = |reason: String| Failure {
            reason,
            said: String::new(),
        };
        // A name with a slash would be a program of somebody's choice anywhere.
        if self.program.contains('/') || !is_program(&self.program) {
            return Err(failed(format!(
                "exec: {:?}: executable file not found in $PATH",
                self.program
            )));
        }
        let io = |error: std::io::Error| failed(format!("exec: {:?}: {error}", self.program));
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io)?;
        if let Some(mut input) = child.stdin.take() {
            // One that does not read its question says why in its answer.
            let _ = input.write_all(question);
        }
        let mut answer = Vec::new();
        let read = match child.stdout.take() {
            Some(output) => output.take(MAX_ANSWER).read_to_end(&mut answer),
            None => Ok(0),
        };
        if answer.len() as u64 == MAX_ANSWER {
            let _ = child.kill();
        }
        let status = child.wait().map_err(io)?;
        read.map_err(io)?;
        match status.success() {
            true => Ok(answer),
            false => Err(Failure {
                reason: ended(status),
                said: String::from_utf8_lossy(&answer).trim().to_owned(),
            }),
        }
    }
}

/// How a program ended, in Go's words.
pub(crate) fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

/// Whether a program of that name is in `$PATH`.
fn is_program(name: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|directory| {
        let found = std::fs::metadata(directory.join(name));
        found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}
