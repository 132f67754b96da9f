//! Connections without TLS to registries, kept for a moment behind the conversation
//! that opened them: the next one need not find out anew how the registry is spoken to.
//! Those by TLS are not kept, since each conversation follows the certificates' folder.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use crate::url::Url;

/// How many may wait, and for how long.
const MOST: usize = 8;
const LONGEST: Duration = Duration::from_secs(10);

/// The connections of all conversations.
#[derive(Default)]
pub(crate) struct Kept(Mutex<All>);

#[derive(Default)]
struct All {
    idle: Vec<Connection>,
    /// Registries that ask nobody who they are.
    open: Vec<Url>,
    /// Whether a thread is there that closes what is idle in time.
    watched: bool,
}

impl All {
    fn at(&mut self, url: &Url) -> Option<usize> {
        let good = |one: &mut Connection| one.idle.elapsed() < LONGEST && one.is_quiet();
        self.idle.retain_mut(good);
        self.idle.iter().rposition(|one| one.url.same_origin(url))
    }
}

impl Kept {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a registry that is open to everybody still waits for requests at the
    /// other end of one.
    pub(super) fn knows(&self, root: &Url) -> bool {
        let mut all = self.all();
        all.open.iter().any(|one| one.same_origin(root)) && all.at(root).is_some()
    }

    /// This registry has not asked who we are.
    pub(super) fn note_open(&self, root: &Url) {
        let mut all = self.all();
        if all.open.len() < MOST && !all.open.iter().any(|one| one.same_origin(root)) {
            all.open.push(root.clone());
        }
    }

    pub(super) fn take(&self, url: &Url) -> Option<Connection> {
        let mut all = self.all();
        let at = all.at(url)?;
        Some(all.idle.swap_remove(at))
    }

    /// Keeps a connection that has nothing left to say.
    pub(super) fn keep(self: &Arc<Self>, connection: Connection) {
        let mut all = self.all();
        if !connection.is_plain() || all.idle.len() >= MOST {
            return;
        }
        all.idle.push(connection);
        if all.watched {
            return;
        }
        let this = Arc::clone(self);
        let closing = std::thread::Builder::new()
            .name("registry-idle".to_owned())
            .stack_size(64 << 10)
            .spawn(move || while this.close_old() {});
        all.watched = closing.is_ok();
        if closing.is_err() {
            all.idle.clear();
        }
    }

    /// Waits, and closes what nobody has used; false when nothing is left.
    fn close_old(&self) -> bool {
        std::thread::sleep(LONGEST);
        let mut all = self.all();
        all.idle.retain(|one| one.idle.elapsed() < LONGEST);
        all.watched = !all.idle.is_empty();
        if !all.watched {
            all.open.clear();
        }
        all.watched
    }
}
