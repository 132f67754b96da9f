//! What a registry is to do, as flags and environment say it.

use std::path::PathBuf;
use std::time::Duration;

use crate::auth::Rules;
use crate::tls::Files;

/// What the registry is to do.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) addr: String,
    /// Where counters are read without a password.
    pub(crate) debug_addr: Option<String>,
    pub(crate) root: PathBuf,
    pub(crate) tls: Files,
    pub(crate) htpasswd: Option<PathBuf>,
    /// The name of what is protected.
    pub(crate) realm: String,
    /// Whether users are asked for tokens, which they get for their passwords.
    pub(crate) tokens: bool,
    /// Where clients get tokens, if not here.
    pub(crate) token_realm: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) read_only: bool,
    pub(crate) access_log: bool,
    pub(crate) json_log: bool,
    pub(crate) debug: bool,
    /// The most bytes of one blob.
    pub(crate) max_blob: u64,
    /// The most uploads that have begun and not ended.
    pub(crate) max_uploads: u64,
    /// How long an upload may rest.
    pub(crate) upload_timeout: Duration,
    /// How often garbage is collected; zero: never by itself.
    pub(crate) gc_interval: Duration,
    pub(crate) gc_grace: Duration,
    pub(crate) gc_untagged: bool,
    /// The registry that this one is a cache of.
    pub(crate) proxy: Option<String>,
    pub(crate) proxy_username: String,
    pub(crate) proxy_password: String,
    /// How long the cache keeps what nobody pulls; zero: for ever.
    pub(crate) proxy_keep: Duration,
}

const DAY: u64 = 86_400;

impl Default for Settings {
    fn default() -> Self {
        Self {
            addr: ":5000".to_owned(),
            debug_addr: None,
            root: "/var/lib/registry".into(),
            tls: Files::default(),
            htpasswd: None,
            realm: "gantry registry".to_owned(),
            tokens: false,
            token_realm: None,
            rules: Rules::default(),
            read_only: false,
            access_log: true,
            json_log: false,
            debug: false,
            max_blob: u64::MAX,
            max_uploads: 10_000,
            upload_timeout: Duration::from_secs(7 * DAY),
            gc_interval: Duration::from_secs(DAY),
            gc_grace: Duration::from_secs(DAY),
            gc_untagged: false,
            proxy: None,
            proxy_username: String::new(),
            proxy_password: String::new(),
            proxy_keep: Duration::from_secs(7 * DAY),
        }
    }
}

impl Settings {
    /// Checks that the flags fit together.
    ///
    /// # Errors
    /// Names the flag that needs another one.
    pub(super) fn check(&self) -> Result<(), String> {
        let rules = self.tokens || self.rules.anonymous_pull || !self.rules.push.is_empty();
        if self.htpasswd.is_none() && rules {
            let text = "--auth token, --anonymous-pull and --allow-push need --htpasswd";
            return Err(text.to_owned());
        }
        if self.proxy.is_none() && !self.proxy_username.is_empty() {
            return Err("--proxy-username needs --proxy".to_owned());
        }
        Ok(())
    }

    /// How long what nobody pulls is kept, if that matters.
    pub(crate) fn unused(&self) -> Option<Duration> {
        let matters = self.proxy.is_some() && !self.proxy_keep.is_zero();
        matters.then_some(self.proxy_keep)
    }
}

impl std::fmt::Debug for Settings {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({} {})", self.addr, self.root.display())
    }
}
