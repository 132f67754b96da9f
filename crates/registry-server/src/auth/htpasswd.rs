//! Users and their passwords: an htpasswd file with bcrypt hashes, as Docker's
//! registry reads it. It is read again when it changes.
//!
//! To check a hash takes a tenth of a second: that is done on threads of its own,
//! two at a time, and what was right is remembered (as a keyed hash) until the file
//! changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ring::hmac;
use tokio::sync::Semaphore;

use crate::call::blocking;
use crate::failure::{Code, Failure, Result};

/// How many passwords are checked at a time.
const AT_ONCE: usize = 2;
/// What is checked for users that do not exist, so that they take as long: no password has it.
const NOBODY: &str = "$2y$05$LCyytDHDQlHUNDzTnUaAZ.v.rlHVcFDSPCpEbkXyyF6gyBb9hhKe6";
/// The longest file.
const MOST: u64 = 16 << 20;

/// The users of one file.
pub(crate) struct Htpasswd {
    path: PathBuf,
    state: Mutex<State>,
    key: hmac::Key,
    places: Semaphore,
}

#[derive(Default)]
struct State {
    /// When the file was written, and its length.
    version: Option<(SystemTime, u64)>,
    hashes: HashMap<String, Arc<str>>,
    /// Of passwords that were right.
    right: HashMap<String, hmac::Tag>,
}

impl Htpasswd {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let mut raw = [0; 32];
        getrandom::fill(&mut raw).map_err(|error| error.to_string())?;
        let users = Self {
            path: path.to_owned(),
            state: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &raw),
            places: Semaphore::new(AT_ONCE),
        };
        users
            .refresh()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(users)
    }

    /// Whether this is the user's password.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(crate) async fn verify(&self, user: &str, password: &str) -> Result<bool> {
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "the htpasswd file cannot be read: the users stay as they were");
        }
        let shown = format!("{}:{user}{password}", user.len());
        let hash = {
            let state = self.lock();
            if let Some(right) = state.right.get(user)
                && hmac::verify(&self.key, shown.as_bytes(), right.as_ref()).is_ok()
            {
                return Ok(true);
            }
            state.hashes.get(user).cloned()
        };
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| Failure::new(Code::Unknown))?;
        let (checked, password) = (hash.clone(), password.to_owned());
        let right = blocking(move || {
            let against = checked.as_deref().unwrap_or(NOBODY);
            // A hash of another kind fits no password.
            let right = bcrypt::verify(password, against).unwrap_or(false);
            Ok(right && checked.is_some())
        })
        .await?;
        let mut state = self.lock();
        if right && state.hashes.get(user) == hash.as_ref() {
            let tag = hmac::sign(&self.key, shown.as_bytes());
            state.right.insert(user.to_owned(), tag);
        }
        Ok(right)
    }

    /// Something that changes when the user's password does; `None` without the user.
    pub(crate) fn mark(&self, user: &str) -> Option<String> {
        let hash = self.lock().hashes.get(user).cloned()?;
        let digest = gantry_types::Digest::of(hash.as_bytes()).hex();
        Some(digest[..16].to_owned())
    }

    /// Reads the file again if it has changed.
    fn refresh(&self) -> std::io::Result<()> {
        let meta = std::fs::metadata(&self.path)?;
        let version = Some((meta.modified()?, meta.len()));
        if self.lock().version == version {
            return Ok(());
        }
        if meta.len() > MOST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let text = std::fs::read_to_string(&self.path)?;
        let entries = text.lines().map(str::trim).filter_map(|line| {
            let (user, hash) = line.split_once(':')?;
            let known = !user.is_empty() && !line.starts_with('#');
            known.then(|| (user.to_owned(), Arc::from(hash)))
        });
        let hashes: HashMap<_, _> = entries.collect();
        for (user, _) in hashes
            .iter()
            .filter(|(_, hash): &(_, &Arc<str>)| !hash.starts_with("$2"))
        {
            tracing::warn!(
                user,
                "htpasswd: the hash is not bcrypt: this user cannot log in"
            );
        }
        *self.lock() = State {
            version,
            hashes,
            right: HashMap::new(),
        };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_checked_and_the_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("htpasswd");
        let ann = format!("ann:{}", bcrypt::hash("secret", 4).unwrap());
        std::fs::write(&path, format!("# users\n{ann}\nold:$apr1$x$y\n\n")).unwrap();
        let users = Htpasswd::open(&path).unwrap();
        for _ in 0..2 {
            assert!(users.verify("ann", "secret").await.unwrap());
        }
        for (user, password) in [("ann", "wrong"), ("bob", "secret"), ("old", "y"), ("", "")] {
            assert!(!users.verify(user, password).await.unwrap(), "{user}");
        }
        let mark = users.mark("ann").unwrap();
        std::fs::write(
            &path,
            format!("ann:{}\n#", bcrypt::hash("other!", 4).unwrap()),
        )
        .unwrap();
        assert!(!users.verify("ann", "secret").await.unwrap());
        assert!(users.verify("ann", "other!").await.unwrap());
        assert_ne!(users.mark("ann").unwrap(), mark);
        std::fs::remove_file(&path).unwrap();
        assert!(users.verify("ann", "other!").await.unwrap());
        assert!(Htpasswd::open(&path).is_err());
    }
}
