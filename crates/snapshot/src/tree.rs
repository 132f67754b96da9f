//! The mirror of all records in memory: who is whose parent, and who is busy.
//!
//! Nothing here touches the disk; every method is one short critical section
//! of [`crate::store::Store`].

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use crate::driver::{Status, Usage};
use crate::error::Error;
use crate::records::Record;

/// What may be done with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Committed,
    /// Being created, committed or removed. It keeps its name, and its parent
    /// in place, but is not there for anybody else.
    Busy,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) number: u64,
    pub(crate) parent: Option<String>,
    pub(crate) state: State,
    /// Measured once when committed, with what that takes on the disk.
    pub(crate) usage: Option<(Usage, u64)>,
    /// Whether it hides all below it; looked up once.
    pub(crate) opaque: Option<bool>,
}

#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

impl Tree {
    pub(crate) fn new(records: Vec<Record>) -> Self {
        let nodes = records.into_iter().map(|record| {
            let state = if record.committed {
                State::Committed
            } else {
                State::Active
            };
            let node = Node::new(record.number, record.parent, state);
            (record.key, node)
        });
        Self(nodes.into_map())
    }

    /// The snapshot, if it is there and nobody is busy with it.
    pub(crate) fn get(&self, key: &str) -> Result<&Node, Error> {
        match self.0.get(key) {
            Some(node) if node.state != State::Busy => Ok(node),
            _ => Err(Error::NotFound {
                key: key.to_owned(),
            }),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.get_mut(key)
    }

    pub(crate) fn put(&mut self, key: &str, node: Node) {
        self.0.insert(key.to_owned(), node);
    }

    pub(crate) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let visible = self.0.iter().filter(|(_, node)| node.state != State::Busy);
        visible.map(|(key, node)| node.status(key)).collect()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.0.iter()
    }

    /// Takes a new name for a snapshot on top of `parent`.
    pub(crate) fn reserve(&mut self, key: &str, parent: Option<&str>) -> Result<(), Error> {
        if self.0.contains_key(key) {
            return Err(Error::AlreadyExists {
                key: key.to_owned(),
            });
        }
        if let Some(parent) = parent
            && self.get(parent)?.state != State::Committed
        {
            return Err(Error::NotCommitted {
                key: parent.to_owned(),
            });
        }
        let node = Node::new(0, parent.map(str::to_owned), State::Busy);
        self.put(key, node);
        Ok(())
    }

    /// Takes an existing snapshot for oneself; the state it had.
    pub(crate) fn occupy(&mut self, key: &str) -> Result<Node, Error> {
        let Some(node) = self.0.get_mut(key) else {
            return Err(Error::NotFound {
                key: key.to_owned(),
            });
        };
        if node.state == State::Busy {
            return Err(Error::Busy {
                key: key.to_owned(),
            });
        }
        let before = node.clone();
        node.state = State::Busy;
        Ok(before)
    }

    pub(crate) fn child_of(&self, key: &str) -> Option<&String> {
        self.0
            .iter()
            .find(|(_, node)| node.parent.as_deref() == Some(key))
            .map(|(child, _)| child)
    }

    /// The snapshot and all below it, top first.
    pub(crate) fn chain(&self, key: &str) -> Result<Vec<(String, Node)>, Error> {
        let mut chain = vec![(key.to_owned(), self.get(key)?.clone())];
        while let Some(parent) = chain.last().and_then(|(_, node)| node.parent.clone()) {
            let node = self.0.get(&parent).ok_or_else(|| Error::NotFound {
                key: parent.clone(),
            })?;
            // Records can be damaged, but not make us run in a circle.
            if chain.len() > self.0.len() {
                return Err(Error::NotFound { key: parent });
            }
            chain.push((parent, node.clone()));
        }
        Ok(chain)
    }
}

impl Node {
    pub(crate) fn new(number: u64, parent: Option<String>, state: State) -> Self {
        Self {
            number,
            parent,
            state,
            usage: None,
            opaque: None,
        }
    }

    pub(crate) fn status(&self, key: &str) -> Status {
        Status {
            key: key.to_owned(),
            parent: self.parent.clone(),
            committed: self.state == State::Committed,
        }
    }
}
