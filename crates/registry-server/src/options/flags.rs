//! The table of flags.

use std::fmt;

use super::quantity::{bytes, duration, switch};
use super::settings::Settings;

/// What `gantry registry` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Serve,
    Collect,
}

impl Command {
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Serve => "Serve a registry (OCI distribution spec 1.1)",
            Self::Collect => "Remove what nobody needs, also while the registry serves",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serve => "serve",
            Self::Collect => "gc",
        })
    }
}

/// One flag.
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// What kind of value; nothing for a switch.
    pub(super) value: &'static str,
    /// What Docker's registry reads for it.
    pub(super) variable: Option<&'static str>,
    pub(super) help: &'static str,
    /// Takes over the value.
    pub(super) set: fn(&mut Settings, &str) -> Result<(), String>,
}

impl Flag {
    /// Whether a command knows this flag.
    pub(super) fn belongs_to(&self, command: Command) -> bool {
        let of_both = self.name == "root";
        let of_collect = matches!(self.name, "grace" | "untagged");
        match command {
            Command::Serve => !of_collect,
            Command::Collect => of_both || of_collect,
        }
    }
}

/// A row of the table, with what takes over a `$text`.
macro_rules! flag {
    ($name:literal, $value:literal, $variable:expr, $help:literal, |$settings:ident, $text:ident| $set:expr) => {
        Flag {
            name: $name,
            value: $value,
            variable: $variable,
            help: $help,
            set: |$settings, $text| {
                $set;
                Ok(())
            },
        }
    };
}

/// All flags, in the order of `--help`.
#[rustfmt::skip]
pub(super) const FLAGS: &[Flag] = &[
    flag!("addr", "string", Some("REGISTRY_HTTP_ADDR"),
        "Address to listen on (default \":5000\")",
        |s, text| text.clone_into(&mut s.addr)),
    flag!("root", "string", Some("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"),
        "Where the data are kept (default \"/var/lib/registry\")",
        |s, text| s.root = text.into()),
    flag!("read-only", "", Some("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"),
        "Refuse everything that changes anything",
        |s, text| s.read_only = switch(text)?),
    flag!("tls-cert", "string", Some("REGISTRY_HTTP_TLS_CERTIFICATE"),
        "Certificate file: serve with TLS",
        |s, text| s.tls.certificate = Some(text.into())),
    flag!("tls-key", "string", Some("REGISTRY_HTTP_TLS_KEY"),
        "Its key file",
        |s, text| s.tls.key = Some(text.into())),
    flag!("tls-client-ca", "string", None,
        "Let in only clients with a certificate that one of these authorities has signed",
        |s, text| s.tls.client_ca = Some(text.into())),
    flag!("htpasswd", "string", Some("REGISTRY_AUTH_HTPASSWD_PATH"),
        "File of users and bcrypt hashes: only they are let in",
        |s, text| s.htpasswd = Some(text.into())),
    flag!("realm", "string", Some("REGISTRY_AUTH_HTPASSWD_REALM"),
        "What clients are told they log in to (default \"gantry registry\")",
        |s, text| text.clone_into(&mut s.realm)),
    flag!("auth", "string", None,
        "How clients show who they are: \"basic\" or \"token\" (default \"basic\")",
        |s, text| s.tokens = match text {
            "basic" => false,
            "token" => true,
            _ => return Err("must be \"basic\" or \"token\"".to_owned()),
        }),
    flag!("token-realm", "string", None,
        "URL of this registry's token server, where clients see another one",
        |s, text| s.token_realm = Some(text.to_owned())),
    flag!("anonymous-pull", "", None,
        "Let everybody pull (Docker's client needs --auth token for that)",
        |s, text| s.rules.anonymous_pull = switch(text)?),
    flag!("allow-push", "USER=PREFIX", None,
        "Let a user (* for all others) push and delete below this name only; repeatable",
        |s, text| {
            let rule = text.split_once('=').filter(|(user, _)| !user.is_empty());
            let (user, prefix) = rule.ok_or("must be USER=PREFIX")?;
            s.rules.push.push((user.to_owned(), prefix.to_owned()))
        }),
    flag!("proxy", "string", Some("REGISTRY_PROXY_REMOTEURL"),
        "Be a cache of the registry at this URL: fetch what is asked for, and keep it",
        |s, text| s.proxy = Some(text.to_owned())),
    flag!("proxy-username", "string", Some("REGISTRY_PROXY_USERNAME"),
        "User there; the password is read from REGISTRY_PROXY_PASSWORD",
        |s, text| text.clone_into(&mut s.proxy_username)),
    flag!("proxy-keep", "duration", None,
        "How long the cache keeps what nobody pulls; 0 for ever (default 7d)",
        |s, text| s.proxy_keep = duration(text)?),
    flag!("gc-interval", "duration", None,
        "How often garbage is collected; 0 never (default 24h)",
        |s, text| s.gc_interval = duration(text)?),
    flag!("gc-grace", "duration", None,
        "What was pushed or looked for since stays in any case (default 24h)",
        |s, text| s.gc_grace = duration(text)?),
    flag!("gc-untagged", "", None,
        "Collect manifests without a tag too",
        |s, text| s.gc_untagged = switch(text)?),
    flag!("grace", "duration", None,
        "What was pushed or looked for since stays in any case (default 24h)",
        |s, text| s.gc_grace = duration(text)?),
    flag!("untagged", "", None,
        "Remove manifests without a tag too",
        |s, text| s.gc_untagged = switch(text)?),
    flag!("max-blob-size", "bytes", None,
        "The most bytes of one blob, such as 10g (default: no limit)",
        |s, text| s.max_blob = bytes(text)?),
    flag!("max-uploads", "int", None,
        "The most uploads at a time (default 10000)",
        |s, text| s.max_uploads = text.parse().map_err(|_| "must be a number")?),
    flag!("upload-timeout", "duration", None,
        "When an unfinished upload is removed (default 7d)",
        |s, text| s.upload_timeout = duration(text)?),
    flag!("debug-addr", "string", Some("REGISTRY_HTTP_DEBUG_ADDR"),
        "Address for /metrics and /healthz without a password or TLS",
        |s, text| s.debug_addr = Some(text.to_owned())),
    flag!("access-log", "", None,
        "Write a line for each request (default true)",
        |s, text| s.access_log = switch(text)?),
    flag!("log-format", "string", Some("REGISTRY_LOG_FORMATTER"),
        "\"text\" or \"json\" (default \"text\")",
        |s, text| s.json_log = match text {
            "text" => false,
            "json" => true,
            _ => return Err("must be \"text\" or \"json\"".to_owned()),
        }),
    flag!("debug", "", None,
        "Write more into the log",
        |s, text| s.debug = switch(text)?),
];
