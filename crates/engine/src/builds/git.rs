//! Repositories that a build takes files from, and who asks for them.

use std::path::Path;

use base64::Engine as _;
use gantry_git::Source;
use gantry_registry::Cancel;

use super::request::Secret;
use super::{Builds, Inner};
use crate::error::{Error, Result};

/// The secrets that let somebody in: a whole `Authorization`, and a token.
const HEADER: &str = "GIT_AUTH_HEADER";
const TOKEN: &str = "GIT_AUTH_TOKEN";

impl Builds {
    /// Checks a commit of a repository out into an empty directory.
    ///
    /// # Errors
    /// When it cannot be got, or something is wrong with it.
    pub fn check_out(
        &self,
        source: &Source,
        secret: &Secret,
        cancel: &Cancel,
        directory: &Path,
    ) -> Result<()> {
        self.inner.check_out(source, secret, cancel, directory)
    }

    /// A context from the web: an archive, or a Dockerfile alone.
    ///
    /// # Errors
    /// When it cannot be got, or is neither.
    pub fn fetch_context(&self, url: &str, directory: &Path) -> Result<()> {
        self.inner.fetch_context(url, directory)
    }
}

impl Inner {
    pub(super) fn check_out(
        &self,
        source: &Source,
        secret: &Secret,
        cancel: &Cancel,
        directory: &Path,
    ) -> Result<()> {
        let scratch = self.space()?;
        let client = gantry_git::Client {
            web: &self.registries.client,
            authorization: &|host| authorization(secret, host, source.host()),
            cancel,
        };
        let done = gantry_git::checkout(&client, source, directory, scratch.path());
        let done = done.map_err(|error| Error::Build(gantry_build::Error::of_git(error)))?;
        tracing::debug!(%source, commit = %done.commit, "checked out");
        Ok(())
    }
}

/// What a host is shown, as in BuildKit: its own secrets first. Those for any host are only
/// for the repository's own, not for those of submodules.
fn authorization(secret: &Secret, host: &str, own: &str) -> Option<String> {
    let read = |name: &str| {
        let bytes = secret(name)?;
        let text = String::from_utf8(bytes).ok()?;
        let text = text.trim();
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
    };
    let token = |token: String| {
        let user = format!("x-access-token:{token}");
        let code = base64::engine::general_purpose::STANDARD.encode(user);
        format!("Basic {code}")
    };
    let named = |name: &str| read(&format!("{name}.{host}"));
    let any = |name: &str| read(name).filter(|_| host == own);
    named(HEADER)
        .or_else(|| named(TOKEN).map(token))
        .or_else(|| any(HEADER))
        .or_else(|| any(TOKEN).map(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_for_any_host_is_for_the_repositorys_own() {
        let secret = |name: &str| match name {
            "GIT_AUTH_TOKEN" => Some(b"t\n".to_vec()),
            "GIT_AUTH_HEADER.other" => Some(b"bearer x".to_vec()),
            _ => None,
        };
        let shown = |host| authorization(&secret, host, "own");
        assert_eq!(
            shown("own").as_deref(),
            Some("Basic eC1hY2Nlc3MtdG9rZW46dA==")
        );
        assert_eq!(shown("other").as_deref(), Some("bearer x"));
        assert_eq!(shown("third"), None);
    }
}
