//! Bodies of `/containers/{id}/exec` and `/exec/*`.

use serde::{Deserialize, Serialize};

use crate::body::is_default;

body! {
    /// What to run in a container.
    pub struct ExecCreate {
        /// `name|uid[:group|gid]`; empty is the container's.
        pub user: String,
        /// With all capabilities.
        pub privileged: bool,
        /// On a terminal of its own.
        pub tty: bool,
        /// Height and width of that terminal.
        #[serde(skip_serializing_if = "is_default")]
        pub console_size: Option<Vec<u32>>,
        /// Whether what the client sends is its standard input.
        pub attach_stdin: bool,
        /// Whether the client gets its standard error.
        pub attach_stderr: bool,
        /// Whether the client gets its standard output.
        pub attach_stdout: bool,
        /// What to press to leave it; `ctrl-p,ctrl-q` when empty.
        pub detach_keys: String,
        /// `KEY=value`, besides those of the container.
        pub env: Option<Vec<String>>,
        /// The container's when empty.
        pub working_dir: String,
        /// The program and its arguments.
        pub cmd: Option<Vec<String>>,
    }

    /// The answer.
    pub struct ExecCreated {
        /// The new exec's id.
        pub id: String,
    }

    /// How an exec is started.
    pub struct ExecStartOptions {
        /// Without a client.
        pub detach: bool,
        /// Whether the client wants raw output, not frames.
        pub tty: bool,
        /// Height and width of the terminal.
        #[serde(skip_serializing_if = "is_default")]
        pub console_size: Option<Vec<u32>>,
    }
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecInspect {
    /// All 64 digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// Whether it was started and has not ended.
    pub running: bool,
    /// Once it has ended.
    pub exit_code: Option<i64>,
    /// What it runs.
    pub process_config: ExecProcessConfig,
    /// Whether its standard input is connected.
    pub open_stdin: bool,
    /// Whether its standard error is connected.
    pub open_stderr: bool,
    /// Whether its standard output is connected.
    pub open_stdout: bool,
    /// Whether it will be forgotten soon.
    pub can_remove: bool,
    /// All 64 digits.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// In base64; empty for the default ones.
    pub detach_keys: String,
    /// As the host numbers it.
    pub pid: i64,
}

/// What an exec runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecProcessConfig {
    /// On a terminal of its own.
    pub tty: bool,
    /// The program.
    pub entrypoint: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// With all capabilities.
    pub privileged: bool,
    /// `name|uid[:group|gid]`.
    #[serde(skip_serializing_if = "is_default")]
    pub user: String,
}
