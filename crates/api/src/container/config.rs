//! What a container runs, independent of the host it runs on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::StrSlice;
use crate::body::is_default;

/// The value of a map that is used as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

body! {
    /// The `Config` of a container.
    pub struct Config {
        /// Host name; the engine fills in the short id.
        pub hostname: String,
        /// Domain name.
        pub domainname: String,
        /// `name|uid[:group|gid]`.
        pub user: String,
        /// Whether the creating client attaches to stdin.
        pub attach_stdin: bool,
        /// Whether the creating client attaches to stdout.
        pub attach_stdout: bool,
        /// Whether the creating client attaches to stderr.
        pub attach_stderr: bool,
        /// Keys such as `80/tcp`.
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: Option<BTreeMap<String, Empty>>,
        /// Whether it has a terminal.
        pub tty: bool,
        /// Whether its stdin is open.
        pub open_stdin: bool,
        /// Whether stdin closes when the first client leaves.
        pub stdin_once: bool,
        /// `KEY=value`.
        pub env: Option<Vec<String>>,
        /// Arguments, or all of the command where there is no entrypoint.
        pub cmd: Option<StrSlice>,
        /// How to see whether the container is well.
        #[serde(skip_serializing_if = "is_default")]
        pub healthcheck: Option<HealthCheck>,
        /// Windows only.
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        /// The image as the user named it.
        pub image: String,
        /// Paths of anonymous volumes.
        pub volumes: Option<BTreeMap<String, Empty>>,
        /// Absolute path.
        pub working_dir: String,
        /// The program, with its first arguments.
        pub entrypoint: Option<StrSlice>,
        /// Whether it has no network at all.
        #[serde(skip_serializing_if = "is_default")]
        pub network_disabled: bool,
        /// Before API 1.44; now in the endpoint.
        #[serde(skip_serializing_if = "is_default")]
        pub mac_address: String,
        /// Triggers, when it is committed to an image.
        pub on_build: Option<Vec<String>>,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
        /// Name or number.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        /// Seconds between the stop signal and SIGKILL.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_timeout: Option<i64>,
        /// The shell of shell-form commands.
        #[serde(skip_serializing_if = "is_default")]
        pub shell: Option<StrSlice>,
    }

    /// How to see whether a container is well; times are in nanoseconds.
    pub struct HealthCheck {
        /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
        #[serde(skip_serializing_if = "is_default")]
        pub test: Option<Vec<String>>,
        /// Between two probes.
        #[serde(skip_serializing_if = "is_default")]
        pub interval: i64,
        /// Of one probe.
        #[serde(skip_serializing_if = "is_default")]
        pub timeout: i64,
        /// During which failures do not count.
        #[serde(skip_serializing_if = "is_default")]
        pub start_period: i64,
        /// Between two probes during the start period.
        #[serde(skip_serializing_if = "is_default")]
        pub start_interval: i64,
        /// Failures in a row until it is unhealthy.
        #[serde(skip_serializing_if = "is_default")]
        pub retries: i64,
    }
}
