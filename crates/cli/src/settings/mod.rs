//! Flags, environment, contexts and config.json, resolved to one [`Settings`].

mod config_file;
mod context_store;
mod endpoint;

pub(crate) use config_file::ConfigFile;
pub(crate) use context_store::{
    ContextStore, DEFAULT as DEFAULT_CONTEXT, DOCKER as DOCKER_ENDPOINT, Files, Meta,
    check_name as check_context_name, write as write_file,
};
pub(crate) use endpoint::{Endpoint, TlsFiles};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_api::ApiVersion;

use crate::args::{Flag, Kind, Matches, Values, flag};
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
    .values(Values::Contexts)
    .short('c'),
    flag("debug", Kind::Bool, "Print debugging messages").short('D'),
    flag("host", Kind::List, "Socket of the daemon to talk to").short('H'),
    flag(
        "log-level",
        Kind::Text,
        "Level of the client's messages (debug, info, warn, error, fatal)",
    )
    .values(Values::OneOf(&["debug", "info", "warn", "error", "fatal"]))
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
    /// Why there is no endpoint, which only matters to who needs one.
    pub(crate) unresolved: Option<Error>,
    /// The name of the context, as `version` and `info` show it.
    pub(crate) context: String,
    pub(crate) contexts: ContextStore,
    /// The daemon of the default context, as a URL.
    pub(crate) default_host: String,
    pub(crate) config: ConfigFile,
    directory: PathBuf,
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
    /// Fails when flags contradict each other or config.json is not JSON. A host
    /// that is no URL, and a context that does not exist, are left to commands
    /// that need them.
    pub(crate) fn resolve(globals: &Matches) -> Result<Self, Error> {
        let directory = config_directory(globals);
        let mut config = ConfigFile::load(&directory)?;
        if let Some(text) = environment("DOCKER_CUSTOM_HEADERS") {
            config.http_headers = custom_headers(&text)?;
        }
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
        let contexts = ContextStore::new(&directory);
        let host = host.or_else(|| environment("DOCKER_HOST").filter(|_| named.is_none()));
        let default_host = host
            .clone()
            .or_else(|| environment("DOCKER_HOST"))
            .unwrap_or_else(|| format!("unix://{DEFAULT_SOCKET}"));
        let context = match (&host, named) {
            (Some(_), _) => DEFAULT_CONTEXT.to_owned(),
            (None, Some(name)) => name,
            (None, None) => environment("DOCKER_CONTEXT")
                .or_else(|| config.current_context.clone())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| DEFAULT_CONTEXT.to_owned()),
        };
        let is_default =
            host.is_none() && context == DEFAULT_CONTEXT && environment("DOCKER_HOST").is_none();
        let found = match context.as_str() {
            DEFAULT_CONTEXT => Endpoint::parse(&default_host, tls).map_err(|error| match error {
                Error::Message(reason) => Error::message(format!(
                    "Failed to initialize: unable to resolve docker endpoint: {reason}"
                )),
                other => other,
            }),
            name => contexts.endpoint(name, tls),
        };
        let (endpoint, unresolved) = match found {
            Ok(endpoint) => (endpoint, None),
            Err(error) => (Endpoint::Unix(DEFAULT_SOCKET.into()), Some(error)),
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
            unresolved,
            context,
            contexts,
            default_host,
            config,
            directory,
            api_version,
            auto_start: is_default && !forbidden,
            debug: globals.bool("debug"),
        })
    }

    /// Settings for a daemon at `endpoint`, and nothing else.
    #[cfg(test)]
    pub(crate) fn for_endpoint(endpoint: Endpoint) -> Self {
        Self {
            default_host: endpoint.url(),
            endpoint,
            unresolved: None,
            context: DEFAULT_CONTEXT.to_owned(),
            contexts: ContextStore::new(std::path::Path::new("/nonexistent")),
            config: ConfigFile::default(),
            directory: PathBuf::from("/nonexistent"),
            api_version: None,
            auto_start: true,
            debug: false,
        }
    }

    /// Where this user's files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration of this client.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    /// Makes `name` the context of commands to come; the empty name is the
    /// default one. Keys that other programs keep there stay as they are.
    pub(crate) fn save_current_context(&self, name: &str) -> Result<(), Error> {
        let current = self.config.current_context.as_deref().unwrap_or("");
        match current == name {
            true => Ok(()),
            false => ConfigFile::save_key(&self.directory, "currentContext", name),
        }
    }
}

/// `NAME=VALUE,NAME=VALUE`; a field with a comma stands in quotes.
fn custom_headers(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let invalid = |reason: &str| {
        Error::message(format!(
            "failed to parse custom headers from DOCKER_CUSTOM_HEADERS environment variable: {reason}"
        ))
    };
    let fields =
        crate::container_options::mount::fields(text).map_err(|reason| invalid(&reason))?;
    let mut headers = BTreeMap::new();
    for field in fields {
        let Some((name, value)) = field.split_once('=') else {
            return Err(invalid(&format!(
                "value must be formatted as comma-separated key=value pairs: missing \"=\" in {field}"
            )));
        };
        let name = name.trim();
        if name.is_empty() {
            return Err(invalid(&format!(
                "value contains a key=value pair with an empty key: '{field}'"
            )));
        }
        headers.insert(name.to_owned(), value.to_owned());
    }
    Ok(headers)
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
