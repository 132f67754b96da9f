//! What registries are told of the user: kept by a program of the user's choice
//! (`credsStore`, `credPrograms`), or unencrypted in `config.json`, as in Docker.
//!
//! Secrets go to the programs by their standard input and to the daemon in a
//! header or body; they are in no argument, no environment and no message.

mod entry;
mod program;

pub(crate) use entry::Entry;
pub(crate) use program::ended;

use gantry_api::AuthConfig;
use gantry_types::Reference;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::session::Session;
use crate::settings::{ConfigFile, Settings};
use program::Program;

/// Docker's own registry, as credentials for it are filed.
pub(crate) const INDEX: &str = "https://index.docker.io/v1/";
const DOCKER_IO: &str = "docker.io";

/// Where the credentials of one registry are.
enum Place {
    File,
    Program(Program),
}

/// The user's credentials.
pub(crate) struct Keyring<'a> {
    settings: &'a Settings,
}

impl<'a> Keyring<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings }
    }

    fn config(&self) -> &ConfigFile {
        &self.settings.config
    }

    /// Where those of `server` are: with the program for it, with the one for
    /// all, or, when nothing was ever chosen or stored, with one that is there.
    fn place(&self, server: &str) -> Place {
        let config = self.config();
        let chosen = config
            .cred_helpers
            .get(server)
            .filter(|name| !name.is_empty())
            .or(Some(&config.creds_store).filter(|name| !name.is_empty()));
        let found = match chosen {
            Some(name) => Some(Program::new(name)),
            None if config.cred_helpers.is_empty() && config.auths.is_empty() => Program::usual(),
            None => None,
        };
        found.map_or(Place::File, Place::Program)
    }

    /// The credentials of a server, by the name that they are filed under; empty
    /// when there are none.
    ///
    /// # Errors
    /// When the program fails, or the entry cannot be read.
    pub(crate) fn get(&self, server: &str) -> Result<AuthConfig, Error> {
        match self.place(server) {
            // What a program cannot say, the file may still know.
            Place::Program(program) => program.get(server).or_else(|error| {
                let filed = self.of_file(server).ok();
                filed
                    .filter(|auth| *auth != AuthConfig::default())
                    .ok_or(error)
            }),
            Place::File => self.of_file(server),
        }
    }

    /// The entry of a server: under its name, or under an old form of it.
    fn of_file(&self, server: &str) -> Result<AuthConfig, Error> {
        let auths = &self.config().auths;
        let found = auths.get_key_value(server);
        let found = found.or_else(|| auths.iter().find(|(key, _)| hostname(key) == server));
        match found {
            None => Ok(AuthConfig::default()),
            Some((key, entry)) => entry.decode(key).map_err(|reason| {
                let path = self.settings.config_path();
                let path = path.display();
                Error::message(format!("Error parsing config file ({path}): {reason}"))
            }),
        }
    }

    /// Keeps credentials, and gives the text of a warning that is due.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub(crate) fn store(&self, auth: &AuthConfig) -> Result<Option<String>, Error> {
        let server = auth.server_address.clone();
        let failed = |error: Error| Error::message(format!("Error saving credentials: {error}"));
        if let Place::Program(program) = self.place(&server) {
            program.store(auth).map_err(failed)?;
            let listed = self.config().auths.get(&server);
            if listed.is_none_or(|entry| !entry.is_empty()) {
                self.edit(|auths| drop(auths.insert(server, Value::Object(Map::new()))))
                    .map_err(failed)?;
            }
            return Ok(None);
        }
        let unchanged = self.config().auths.get(&server);
        if unchanged.is_some_and(|entry| entry.decode(&server).as_ref() == Ok(auth)) {
            return Ok(None);
        }
        let entry = Entry::encode(auth);
        self.edit(|auths| drop(auths.insert(server, entry)))
            .map_err(failed)?;
        let path = self.settings.config_path();
        Ok((!auth.password.is_empty()).then(|| {
            format!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
                 Configure a credential helper to remove this warning. See\n\
                 https://docs.docker.com/go/credential-store/\n",
                path.display()
            )
        }))
    }

    /// Forgets the credentials that are filed under a name.
    ///
    /// # Errors
    /// When the program or the file says no.
    pub(crate) fn erase(&self, server: &str) -> Result<(), Error> {
        if let Place::Program(program) = self.place(server) {
            program.erase(server)?;
        }
        if !self.config().auths.contains_key(server) {
            return Ok(());
        }
        self.edit(|auths| drop(auths.shift_remove(server)))
    }

    fn edit(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Error> {
        ConfigFile::edit_auths(self.settings.directory(), change)
    }
}

/// The registry of an address: without scheme and path.
pub(crate) fn hostname(address: &str) -> &str {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address);
    rest.split('/').next().unwrap_or(rest)
}

/// The name that credentials for a repository are filed under.
fn filed_under(reference: &Reference) -> &str {
    match reference.domain() {
        DOCKER_IO => INDEX,
        domain => domain,
    }
}

impl Session {
    /// The credentials for a repository. What goes wrong with them is no reason
    /// not to ask the registry, as in Docker; a damaged file is told of.
    pub(crate) fn credentials(&self, reference: &Reference) -> AuthConfig {
        self.credentials_of(filed_under(reference))
    }

    /// The same, of a registry's name.
    pub(crate) fn credentials_of(&self, server: &str) -> AuthConfig {
        Keyring::new(&self.settings)
            .get(server)
            .unwrap_or_else(|error| {
                let text = error.to_string();
                if text.starts_with("Error parsing config file") {
                    self.printer.error_line(&format!("WARNING: {text}"));
                }
                AuthConfig::default()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_filed_by_their_hosts() {
        for (address, host) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("http://r.example/v1/", "r.example"),
            ("https://r.example:443", "r.example:443"),
            (INDEX, "index.docker.io"),
        ] {
            assert_eq!(hostname(address), host);
        }
        let under = |name: &str| filed_under(&name.parse().unwrap()).to_owned();
        assert_eq!(under("busybox"), INDEX);
        assert_eq!(under("r.example/busybox"), "r.example");
    }
}
