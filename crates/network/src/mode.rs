//! Which network a container asked for.

use serde::{Deserialize, Serialize};

use crate::error::Error;

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
}

impl NetworkMode {
    /// Understands Docker's `HostConfig.NetworkMode`; empty and `default` are `bridge`.
    ///
    /// Fails with `NotYet` for `container:…`, and with `NetworkNotFound` for
    /// any other name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "" | "default" | "bridge" => Ok(Self::Bridge),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ if text.starts_with("container:") => {
                Err(Error::NotYet(format!("option --network {text}")))
            }
            _ => Err(Error::NetworkNotFound(text.to_owned())),
        }
    }

    /// The name of the network, as `NetworkSettings.Networks` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Bridge => "bridge",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_told_apart() {
        for (text, mode) in [
            ("", NetworkMode::Bridge),
            ("default", NetworkMode::Bridge),
            ("bridge", NetworkMode::Bridge),
            ("none", NetworkMode::None),
            ("host", NetworkMode::Host),
        ] {
            assert_eq!(NetworkMode::parse(text).unwrap(), mode);
        }
        let error = NetworkMode::parse("backend").unwrap_err();
        assert_eq!(error.to_string(), "network backend not found");
        assert_eq!(error.kind(), gantry_types::ErrorKind::NotFound);
        let error = NetworkMode::parse("container:web").unwrap_err();
        assert_eq!(
            error.to_string(),
            "option --network container:web is not supported yet"
        );
        assert_eq!(error.kind(), gantry_types::ErrorKind::Unsupported);
    }
}
