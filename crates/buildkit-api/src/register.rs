//! What is open under an id: sessions and builds. Calls of one client race each other,
//! so that a name may be asked for a little before its owner has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long is waited for an owner that has not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most owners at a time.
const MOST: usize = 1000;

/// Everything that is open, by id.
pub(crate) struct Register<T>(Arc<Shared<T>>);

struct Shared<T> {
    open: Mutex<BTreeMap<String, Arc<T>>>,
    entered: watch::Sender<u64>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self(Arc::new(Shared {
            open: Mutex::default(),
            entered: watch::Sender::new(0),
        }))
    }
}

impl<T> Register<T> {
    /// Enters an owner until the place is dropped; `None` when the id is taken or
    /// there are too many.
    pub(crate) fn enter(&self, id: &str, owner: Arc<T>) -> Option<Place<T>> {
        let mut open = self.0.open();
        if open.contains_key(id) || open.len() >= MOST {
            return None;
        }
        open.insert(id.to_owned(), owner);
        drop(open);
        self.0.entered.send_modify(|count| *count += 1);
        Some(Place {
            shared: Arc::clone(&self.0),
            id: id.to_owned(),
        })
    }

    /// The owner of an id, who may be about to come.
    pub(crate) async fn get(&self, id: &str) -> Option<Arc<T>> {
        let mut entered = self.0.entered.subscribe();
        let found = async {
            loop {
                entered.mark_unchanged();
                let owner = self.0.open().get(id).cloned();
                match owner {
                    Some(owner) => return owner,
                    // The sender lives as long as this register.
                    None => drop(entered.changed().await),
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.ok()
    }
}

impl<T> Shared<T> {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An owner's place in a register.
pub(crate) struct Place<T> {
    shared: Arc<Shared<T>>,
    id: String,
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.shared.open().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_asked_for_may_come_later() {
        let register = Register::<u8>::default();
        let (found, place) = tokio::join!(register.get("a"), async {
            tokio::task::yield_now().await;
            register.enter("a", Arc::new(7))
        });
        assert_eq!(found.as_deref(), Some(&7));
        assert!(register.enter("a", Arc::new(8)).is_none());
        drop(place);
        assert!(register.enter("a", Arc::new(8)).is_some());
    }
}
