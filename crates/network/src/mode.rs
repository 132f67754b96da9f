//! Which network a container asked for.

use serde::{Deserialize, Serialize};

/// The network of a container, as `--network` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A namespace with nothing but loopback.
    None,
    /// The host's own namespace.
    Host,
    /// The default bridge.
    Bridge,
    /// Networks that users made.
    User,
}

impl NetworkMode {
    /// Understands Docker's `HostConfig.NetworkMode`; empty and `default` are
    /// `bridge`. What is none of the predefined networks is a user's.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "default" | "bridge" => Self::Bridge,
            "none" => Self::None,
            "host" => Self::Host,
            _ => Self::User,
        }
    }

    /// The name of the predefined network; empty for users' ones.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Bridge => "bridge",
            Self::User => "",
        }
    }
}
