//! The policy: rules by prefixes of repositories' names, the longest one wins.
//!
//! ```text
//! daemon.json              "trust-policy": [RULE, …]
//! <trust directory>/policy.json            [RULE, …]     read again when it changes
//! <trust directory>/<name>                 public keys, PEM
//!
//! RULE  {"prefix": "registry.example/team", "mode": "require" | "warn" | "off",
//!        "keys": ["team.pub", "/path/key.pub", "-----BEGIN PUBLIC KEY-----…"],
//!        "signed-as": "other.example/team", "revoked": ["sha256:…"], "bundles": true}
//! ```
//!
//! A prefix is a whole name or whole parts of it (`r.example/a` is no prefix of
//! `r.example/ab`); `*` is any. Of two rules with one prefix, that of daemon.json
//! holds. A file that cannot be understood lets nothing in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_types::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::{Error, KeyId, PublicKey};

const FILE: &str = "policy.json";
/// No policy and no key is longer than this.
const MAX_FILE: u64 = 1 << 20;
const ANY: &str = "*";

/// What is done about signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing.
    Off,
    /// A missing or wrong one is told of.
    Warn,
    /// Without a right one, nothing comes in.
    Require,
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Which repositories it is about; `*` is all.
    pub prefix: String,
    /// What is done.
    pub mode: Mode,
    /// Whose signatures are right: names of files, or PEM.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The prefix that the signatures name, when it is not that of the rule: for
    /// images that were copied together with their signatures.
    #[serde(default)]
    pub signed_as: Option<String>,
    /// Digests of images whose signatures are not believed any more, by sha256.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// Whether bundles that refer to the image count, though they name no repository.
    #[serde(default)]
    pub bundles: bool,
}

/// A rule, ready for use.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) prefix: String,
    pub(crate) mode: Mode,
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) signed_as: Option<String>,
    pub(crate) revoked: Vec<Digest>,
    pub(crate) bundles: bool,
}

/// Which file it was that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

type Rules = BTreeMap<String, Arc<Ready>>;

/// The policy of one daemon.
#[derive(Debug)]
pub struct Policy {
    directory: PathBuf,
    configured: Rules,
    /// What was read of `policy.json`, and when.
    filed: Mutex<(Option<Stamp>, Arc<Rules>)>,
}

impl Policy {
    /// The policy of a configuration and of what lies in `directory`, which need
    /// not exist.
    ///
    /// # Errors
    /// [`Error::Policy`] and [`Error::Key`] when a rule of the configuration is
    /// wrong; the file is looked at when somebody asks.
    pub fn open(directory: &Path, configured: &[Rule]) -> Result<Self, Error> {
        Ok(Self {
            configured: ready(directory, "trust-policy", configured)?,
            directory: directory.to_owned(),
            filed: Mutex::default(),
        })
    }

    /// The rule for a repository, given by its full name; none where nothing is
    /// said about it.
    pub(crate) fn rule(&self, repository: &str) -> Result<Option<Arc<Ready>>, Error> {
        let filed = self.filed()?;
        Ok(prefixes(repository).find_map(|prefix| {
            let found = self.configured.get(prefix).or_else(|| filed.get(prefix));
            found.cloned()
        }))
    }

    /// What is done about signatures of a repository, given by its full name.
    ///
    /// # Errors
    /// When `policy.json` cannot be understood.
    pub fn mode(&self, repository: &str) -> Result<Mode, Error> {
        Ok(self.rule(repository)?.map_or(Mode::Off, |rule| rule.mode))
    }

    /// Whether a signature by this key still lets an image of this digest in,
    /// which once came from the repository.
    ///
    /// # Errors
    /// When `policy.json` cannot be understood.
    pub fn still_trusts(&self, repository: &str, key: &str, image: Digest) -> Result<bool, Error> {
        let Some(rule) = self.rule(repository)? else {
            return Ok(true);
        };
        let known = rule.keys.iter().any(|own| own.id().to_string() == key);
        Ok(known && is_usual(&image) && !rule.revoked.contains(&image))
    }

    /// The rules of the file, read again if it changed.
    fn filed(&self) -> Result<Arc<Rules>, Error> {
        let path = self.directory.join(FILE);
        let mut filed = self.filed.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match std::fs::metadata(&path) {
            Ok(found) => Some(Stamp {
                inode: found.ino(),
                size: found.size(),
                changed: (found.ctime(), found.ctime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        if filed.0 != stamp {
            let rules = match stamp {
                None => Rules::new(),
                Some(_) => {
                    let text = read(&path)?;
                    let rules: Vec<Rule> =
                        serde_json::from_str(&text).map_err(|error| unreadable(&path, &error))?;
                    ready(&self.directory, FILE, &rules)?
                }
            };
            *filed = (stamp, Arc::new(rules));
        }
        Ok(Arc::clone(&filed.1))
    }
}

/// A name and what it begins with, longest first, and what stands for any.
fn prefixes(repository: &str) -> impl Iterator<Item = &str> {
    let cuts = repository
        .rmatch_indices('/')
        .map(|(at, _)| &repository[..at]);
    std::iter::once(repository).chain(cuts).chain([ANY])
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::Policy {
        place: path.display().to_string(),
        reason: reason.to_string(),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(path, &error))?;
    match text.len() as u64 > MAX_FILE {
        true => Err(unreadable(path, &format!("longer than {MAX_FILE} bytes"))),
        false => Ok(text),
    }
}

/// Checks rules, and reads their keys.
fn ready(directory: &Path, place: &str, rules: &[Rule]) -> Result<Rules, Error> {
    let mut all = Rules::new();
    for rule in rules {
        let wrong = |reason: String| Error::Policy {
            place: format!("{place}: {:?}", rule.prefix),
            reason,
        };
        let prefix = prefix(&rule.prefix).map_err(wrong)?;
        let signed_as = match &rule.signed_as {
            Some(_) if prefix == ANY => {
                return Err(wrong(
                    "signed-as needs a prefix that it stands for".to_owned(),
                ));
            }
            other => other
                .as_deref()
                .map(self::prefix)
                .transpose()
                .map_err(wrong)?,
        };
        let keys = rule.keys.iter().map(|key| public_key(directory, key));
        let revoked = rule.revoked.iter().map(|text| revocable(text));
        let rule = Ready {
            mode: rule.mode,
            keys: keys.collect::<Result<_, _>>()?,
            revoked: revoked
                .collect::<Result<_, _>>()
                .map_err(|reason| wrong(format!("revoked: {reason}")))?,
            signed_as,
            bundles: rule.bundles,
            prefix: prefix.clone(),
        };
        if all.insert(prefix, Arc::new(rule)).is_some() {
            return Err(wrong("there are two rules for this prefix".to_owned()));
        }
    }
    Ok(all)
}

/// Whether a digest is by the algorithm that all trust is by: an image has one such digest,
/// whatever a registry calls it.
pub(crate) fn is_usual(digest: &Digest) -> bool {
    digest.algorithm() == "sha256"
}

/// A digest that images are compared with.
fn revocable(text: &str) -> Result<Digest, String> {
    let digest: Digest = text.parse().map_err(|error| format!("{error}"))?;
    match is_usual(&digest) {
        true => Ok(digest),
        false => Err(format!("{text}: images are revoked by their sha256 digest")),
    }
}

fn public_key(directory: &Path, text: &str) -> Result<PublicKey, Error> {
    if text.contains("-----BEGIN") {
        return PublicKey::from_pem("a key of the trust policy", text);
    }
    // An absolute path stays what it is.
    let path = directory.join(text);
    PublicKey::from_pem(&path.display().to_string(), &read(&path)?)
}

/// A prefix as names are compared with it: it begins with a registry.
fn prefix(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    if text == ANY {
        return Ok(text.to_owned());
    }
    let host = text.split('/').next().unwrap_or_default();
    let is_host = host.contains(['.', ':']) || host == "localhost";
    if !is_host {
        return Err(
            "a prefix begins with a registry (docker.io/library/busybox), or is \"*\"".to_owned(),
        );
    }
    // Names below it are what has to have the form of names.
    let below: Reference = format!("{text}/x/y")
        .parse()
        .map_err(|error| format!("{error}"))?;
    let name = below.name();
    Ok(name.strip_suffix("/x/y").unwrap_or(&name).to_owned())
}

impl Ready {
    /// The name that a signature of this repository must have.
    pub(crate) fn signed_name(&self, repository: &str) -> String {
        let rest = repository.strip_prefix(self.prefix.as_str());
        match (&self.signed_as, rest) {
            (Some(other), Some(rest)) => format!("{other}{rest}"),
            _ => repository.to_owned(),
        }
    }

    /// How messages call it.
    pub(crate) fn called(&self) -> String {
        match self.prefix.as_str() {
            ANY => "all images".to_owned(),
            prefix => prefix.to_owned(),
        }
    }

    /// The key of this rule that has signed these bytes.
    pub(crate) fn signer(&self, bytes: &[u8], signature: &[u8]) -> Option<KeyId> {
        let found = self
            .keys
            .iter()
            .find(|key| key.has_signed(bytes, signature));
        found.map(PublicKey::id)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
