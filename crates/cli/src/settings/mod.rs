//! Flags, environment, contexts and config.json, resolved to one [`Settings`].

mod config_file;
mod context;
mod endpoint;

pub(crate) use config_file::ConfigFile;
pub(crate) use endpoint::{Endpoint, TlsFiles};

use std::path::PathBuf;

use gantry_api::ApiVersion;

use crate::args::{Flag, Kind, Matches, flag};
use crate::error::Error;

/// The socket that is used when nothing else is named.
pub(crate) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The flags before the command.
pub(crate) static GLOBAL_FLAGS: &[Flag] = &[
    flag(
        "config",
        Kind::Text,
        "Directory of the client's config files",
    )
    .default("~/.docker"),
    flag(
        "context",
        Kind::Text,
        "Context that names the daemon to talk to (beats DOCKER_HOST)",
    )
    .short('c'),
    flag("debug", Kind::Bool, "Print debugging messages").short('D'),
    flag("host", Kind::List, "Socket of the daemon to talk to").short('H'),
    flag(
        "log-level",
        Kind::Text,
        "Level of the client's messages (debug, info, warn, error, fatal)",
    )
    .short('l')
    .default("info"),
    flag(
        "no-auto-start",
        Kind::Bool,
        "Do not start a daemon when none answers on the default socket",
    ),
    flag("tls", Kind::Bool, "Use TLS; implied by --tlsverify"),
    flag(
        "tlscacert",
        Kind::Text,
        "Trust only certificates signed by this CA",
    ),
    flag("tlscert", Kind::Text, "This client's TLS certificate"),
    flag(
        "tlskey",
        Kind::Text,
        "The key of this client's TLS certificate",
    ),
    flag("tlsverify", Kind::Bool, "Use TLS and verify the daemon"),
    flag("version", Kind::Bool, "Print the version and exit").short('v'),
];

/// Everything about the daemon to talk to, and about this user.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    /// The name of the context, as `version` and `info` show it.
    pub(crate) context: String,
    pub(crate) config: ConfigFile,
    /// Pinned by DOCKER_API_VERSION.
    pub(crate) api_version: Option<ApiVersion>,
    /// Whether a daemon may be started for the user.
    pub(crate) auto_start: bool,
    pub(crate) debug: bool,
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Resolves the flags before the command against the environment.
    ///
    /// Fails when the host is not a URL this client speaks, when the context
    /// does not exist, or when config.json is not JSON.
    pub(crate) fn resolve(globals: &Matches) -> Result<Self, Error> {
        let directory = config_directory(globals);
        let config = ConfigFile::load(&directory)?;
        let hosts = globals.list("host");
        if hosts.len() > 1 {
            return Err(Error::message("Specify only one -H"));
        }
        let host = hosts.into_iter().next().filter(|host| !host.is_empty());
        let named = Some(globals.text("context").to_owned()).filter(|name| !name.is_empty());
        if host.is_some() && named.is_some() {
            return Err(Error::message(
                "conflicting options: cannot specify both --host and --context",
            ));
        }
        let tls = endpoint::tls_files(globals, &directory);
        let (context, endpoint, is_default) = if let Some(host) = host {
            ("default".to_owned(), Endpoint::parse(&host, tls)?, false)
        } else if let Some(name) = named {
            Self::in_context(&directory, name, tls)?
        } else if let Some(host) = environment("DOCKER_HOST") {
            ("default".to_owned(), Endpoint::parse(&host, tls)?, false)
        } else {
            let name = environment("DOCKER_CONTEXT")
                .or_else(|| config.current_context.clone())
                .unwrap_or_default();
            Self::in_context(&directory, name, tls)?
        };
        let api_version =
            match environment("DOCKER_API_VERSION") {
                Some(text) => Some(text.trim_start_matches('v').parse().map_err(|error| {
                    Error::message(format!("invalid DOCKER_API_VERSION: {error}"))
                })?),
                None => None,
            };
        let forbidden = globals.bool("no-auto-start")
            || environment("GANTRY_NO_AUTO_START").is_some_and(|value| value != "0")
            || config.auto_start == Some(false);
        Ok(Self {
            endpoint,
            context,
            config,
            api_version,
            auto_start: is_default && !forbidden,
            debug: globals.bool("debug"),
        })
    }

    fn in_context(
        directory: &std::path::Path,
        name: String,
        tls: Option<TlsFiles>,
    ) -> Result<(String, Endpoint, bool), Error> {
        if name.is_empty() || name == "default" {
            let socket = Endpoint::Unix(DEFAULT_SOCKET.into());
            return Ok(("default".to_owned(), socket, true));
        }
        let endpoint = context::endpoint(directory, &name, tls)?;
        Ok((name, endpoint, false))
    }
}

fn config_directory(globals: &Matches) -> PathBuf {
    if globals.changed("config") {
        return globals.text("config").into();
    }
    match environment("DOCKER_CONFIG") {
        Some(directory) => directory.into(),
        None => {
            PathBuf::from(environment("HOME").unwrap_or_else(|| "/root".to_owned())).join(".docker")
        }
    }
}
