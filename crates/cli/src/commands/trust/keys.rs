//! The user's keys:
//!
//! ```text
//! ~/.docker/trust/private/<name>.key    private, PEM, for the user alone (0600)
//! ~/.docker/trust/<name>.pub            public, PEM: the own ones, and others' that are to be known by name
//! ```
//!
//! A private key may be encrypted as cosign does, with a passphrase that is in
//! `COSIGN_PASSWORD` or is asked for.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use futures_util::future::LocalBoxFuture;
use gantry_trust::{PrivateKey, PublicKey};

use crate::args::Matches;
use crate::commands::Outcome;
use crate::error::Error;
use crate::session::{Session, prompt};

/// No key is longer.
const MAX_KEY: u64 = 64 << 10;

/// Where a passphrase may be, as cosign has it.
const PASSPHRASE: &str = "COSIGN_PASSWORD";

/// The keys of a user.
pub(super) struct Keys<'s> {
    session: &'s Session,
    root: PathBuf,
}

/// A key to sign with.
pub(super) struct Signer {
    pub(super) name: String,
    pub(super) key: PrivateKey,
}

impl<'s> Keys<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Self {
            session,
            root: session.settings.directory().join("trust"),
        }
    }

    fn private(&self, name: &str) -> PathBuf {
        self.root.join("private").join(format!("{name}.key"))
    }

    /// The key of that name or in that file; without either, the only one.
    pub(super) async fn signer(&self, wanted: &str) -> Result<Signer, Error> {
        if wanted.contains('/') || (is_file(wanted) && !is_file(self.private(wanted))) {
            return load(self.session, Path::new(wanted)).await;
        }
        if !wanted.is_empty() {
            return match check_name(wanted).is_ok() && is_file(self.private(wanted)) {
                true => load(self.session, &self.private(wanted)).await,
                false => Err(Error::message(format!("no such key: {wanted}"))),
            };
        }
        let mut all = stems(&self.root.join("private"), "key");
        match (all.pop(), all.pop()) {
            (Some(name), None) => load(self.session, &self.private(&name)).await,
            (None, _) => Err(Error::message(
                "there is no key to sign with: make one with `trust key generate NAME`, or name a \
                 file with --key",
            )),
            (Some(one), Some(other)) => Err(Error::message(format!(
                "there are several keys ({other}, {one}, …): say which one with --key"
            ))),
        }
    }

    /// The public parts of all private keys: none is opened for that, but one whose
    /// public part is not kept.
    pub(super) async fn own(&self) -> Vec<(String, PublicKey)> {
        let mut own = Vec::new();
        for name in stems(&self.root.join("private"), "key") {
            match public(&self.root.join(format!("{name}.pub"))) {
                Ok(key) => own.push((name, key)),
                Err(_) => {
                    if let Ok(signer) = load(self.session, &self.private(&name)).await {
                        own.push((name, signer.key.public()));
                    }
                }
            }
        }
        own
    }

    /// All public keys that are known, with their names.
    pub(super) async fn known(&self) -> Vec<(String, PublicKey)> {
        let names = stems(&self.root, "pub").into_iter();
        let mut all: Vec<(String, PublicKey)> = names
            .filter_map(|name| {
                let path = self.root.join(format!("{name}.pub"));
                Some((name, public(&path).ok()?))
            })
            .collect();
        for (name, key) in self.own().await {
            if !all.iter().any(|(_, known)| *known == key) {
                all.push((name, key));
            }
        }
        all
    }

    /// Keeps a private key and its public part; there must be none of that name.
    fn keep(&self, name: &str, key: &PrivateKey, pem: &str) -> Result<(), Error> {
        let sealed;
        let pem = match said_passphrase() {
            Some(passphrase) if !PrivateKey::is_encrypted(pem) => {
                sealed = PrivateKey::encrypt(pem, &passphrase)
                    .map_err(|error| Error::message(error.to_string()))?;
                &sealed
            }
            _ => pem,
        };
        let directory = self.root.join("private");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| at(&directory, &error))?;
        write_new(&self.private(name), pem, 0o600)?;
        let public = self.root.join(format!("{name}.pub"));
        write_new(&public, &key.public().to_pem(), 0o644).inspect_err(|_| {
            let _ = std::fs::remove_file(self.private(name));
        })
    }
}

fn is_file(path: impl AsRef<Path>) -> bool {
    path.as_ref().is_file()
}

/// The names of the files with an ending, in order.
fn stems(directory: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_key = path.extension().is_some_and(|own| own == ending);
            is_key.then(|| Some(path.file_stem()?.to_str()?.to_owned()))?
        })
        .collect();
    names.sort();
    names
}

fn at(path: &Path, error: &std::io::Error) -> Error {
    Error::message(format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
        .map_err(|error| at(path, &error))?;
    Ok(text)
}

/// The public key in a file.
pub(super) fn public(path: &Path) -> Result<PublicKey, Error> {
    PublicKey::from_pem(&path.display().to_string(), &read(path)?)
        .map_err(|error| Error::message(error.to_string()))
}

fn said_passphrase() -> Option<String> {
    std::env::var(PASSPHRASE)
        .ok()
        .filter(|said| !said.is_empty())
}

/// The passphrase of the key in a file.
async fn passphrase(session: &Session, path: &Path) -> Result<String, Error> {
    if let Some(said) = said_passphrase() {
        return Ok(said);
    }
    let name = path.display();
    if !std::io::stdin().is_terminal() {
        return Err(Error::message(format!(
            "{name} is encrypted: {PASSPHRASE} must have its passphrase where there is no \
             terminal to ask for it"
        )));
    }
    prompt::secret(session.printer, &format!("Passphrase of {name}: ")).await
}

/// The private key in a file that nobody else can read.
async fn load(session: &Session, path: &Path) -> Result<Signer, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| at(path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::message(format!(
            "private key file {} must not be readable or writable by others",
            path.display()
        )));
    }
    let pem = read(path)?;
    let passphrase = match PrivateKey::is_encrypted(&pem) {
        true => passphrase(session, path).await?,
        false => String::new(),
    };
    let key = PrivateKey::from_pem(&path.display().to_string(), &pem, &passphrase)
        .map_err(|error| Error::message(error.to_string()))?;
    let name = path.file_stem().map(|name| name.to_string_lossy());
    Ok(Signer {
        name: name.unwrap_or_default().into_owned(),
        key,
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::message(format!(
            "key file already exists: {:?}",
            path.display().to_string()
        )),
        _ => at(path, &error),
    })
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    match bytes.next().is_some_and(fits) && bytes.all(|byte| fits(byte) || b"-_".contains(&byte)) {
        true => Ok(()),
        false => Err(Error::message(format!(
            "key name {name:?} must start with lowercase alphanumeric characters and can include \
             \"-\" or \"_\" after the first character"
        ))),
    }
}

/// `docker trust key generate`.
pub(crate) fn generate<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let name = &matches.operands[0];
        check_name(name)?;
        let directory = match matches.text("dir") {
            "" => PathBuf::from("."),
            directory => PathBuf::from(directory),
        };
        let directory =
            std::fs::canonicalize(&directory).map_err(|error| at(&directory, &error))?;
        session
            .printer
            .line(&format!("Generating key for {name}..."));
        let (key, pem) =
            PrivateKey::generate().map_err(|error| Error::message(error.to_string()))?;
        let public = directory.join(format!("{name}.pub"));
        if public.exists() {
            return Err(Error::message(format!(
                "public key file already exists: {:?}",
                public.display().to_string()
            )));
        }
        Keys::new(session).keep(name, &key, &pem)?;
        write_new(&public, &key.public().to_pem(), 0o644)?;
        session.printer.line(&format!(
            "Successfully generated and loaded private key. Corresponding public key available: {}",
            public.display()
        ));
        Ok(0)
    })
}

/// `docker trust key load`.
pub(crate) fn import<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (file, name) = (&matches.operands[0], matches.text("name"));
        check_name(name)?;
        session
            .printer
            .line(&format!("Loading key from {file:?}..."));
        let path = Path::new(file);
        let Signer { key, .. } = load(session, path).await?;
        Keys::new(session).keep(name, &key, &read(path)?)?;
        session
            .printer
            .line(&format!("Successfully imported key from {file}"));
        Ok(0)
    })
}
