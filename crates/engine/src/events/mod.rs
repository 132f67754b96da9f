//! What happened, for those who listen: the last 256 events, and a broadcast of
//! new ones. Publishing never waits for a listener; a listener that falls too
//! far behind misses the oldest.

mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_api::{Actor, Event, Filters, Timestamp};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::clock::now_nano;
use crate::error::{Error, Result};
use filter::EventFilter;

/// How many past events can be replayed.
const REPLAYED: usize = 256;
/// How far a listener may fall behind.
const BUFFERED: usize = 4096;

/// Which events a client wants.
#[derive(Debug, Clone, Default)]
pub struct EventsQuery {
    /// From when on: past events since then are replayed; all with `until` alone.
    pub since: Option<String>,
    /// Until when; for ever without it.
    pub until: Option<String>,
    /// What they must match.
    pub filters: Filters,
}

/// The service that publishes events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    past: VecDeque<Arc<Event>>,
    /// Gone after shutdown, which ends every subscription.
    live: Option<broadcast::Sender<Arc<Event>>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            log: Arc::new(Mutex::new(Log {
                past: VecDeque::with_capacity(REPLAYED),
                live: Some(broadcast::Sender::new(BUFFERED)),
            })),
        }
    }

    /// Tells everybody that `action` happened to an object, now.
    pub(crate) fn publish(
        &self,
        kind: &str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let actor = Actor {
            id: id.to_owned(),
            attributes,
        };
        let mut log = self.lock();
        let event = Arc::new(Event::new(kind, action, actor, now_nano()));
        if log.past.len() == REPLAYED {
            log.past.pop_front();
        }
        log.past.push_back(Arc::clone(&event));
        if let Some(live) = &log.live {
            // Nobody listening is no failure.
            let _ = live.send(event);
        }
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When a time or a filter is not one, or `until` lies before `since`.
    pub fn subscribe(&self, query: &EventsQuery) -> Result<EventSubscription> {
        let now = now_nano();
        let time = |name, text: &Option<String>| -> Result<Option<i64>> {
            text.as_deref()
                .filter(|text| !text.is_empty())
                .map(|text| Timestamp::parse(name, text, now).map(|time| time.nanos))
                .transpose()
                .map_err(|error| Error::Invalid(error.to_string()))
        };
        let since = time("since", &query.since)?;
        let until = time("until", &query.until)?;
        if let (Some(since), Some(until)) = (since, until)
            && until < since
        {
            let text = |time: &Option<String>| time.clone().unwrap_or_default();
            return Err(Error::Invalid(format!(
                "`since` time ({}) cannot be after `until` time ({})",
                text(&query.since),
                text(&query.until)
            )));
        }
        let filter = EventFilter::new(&query.filters);
        let log = self.lock();
        let replay = log
            .past
            .iter()
            .filter(|_| since.is_some() || until.is_some())
            .filter(|event| since.is_none_or(|since| event.time_nano >= since))
            .filter(|event| until.is_none_or(|until| event.time_nano <= until))
            .cloned()
            .collect();
        let live = log.live.as_ref().map(broadcast::Sender::subscribe);
        Ok(EventSubscription {
            replay,
            live,
            filter,
            until,
        })
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        let log = self.lock();
        log.live
            .as_ref()
            .map_or(0, broadcast::Sender::receiver_count)
    }

    /// Ends every subscription, once it has been told what happened so far.
    pub(crate) fn shutdown(&self) {
        self.lock().live = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener: first what was asked of the past, then what happens.
#[derive(Debug)]
pub struct EventSubscription {
    replay: VecDeque<Arc<Event>>,
    live: Option<broadcast::Receiver<Arc<Event>>>,
    filter: EventFilter,
    until: Option<i64>,
}

impl EventSubscription {
    /// The next event; `None` once the time is over or the engine shuts down.
    pub async fn next(&mut self) -> Option<Event> {
        while let Some(event) = self.replay.pop_front() {
            if self.filter.matches(&event) {
                return Some((*event).clone());
            }
        }
        loop {
            let live = self.live.as_mut()?;
            let event = match self.until {
                None => live.recv().await,
                Some(until) => {
                    let left = u64::try_from(until - now_nano()).ok()?;
                    let left = Duration::from_nanos(left);
                    tokio::time::timeout(left, live.recv()).await.ok()?
                }
            };
            match event {
                Ok(event) if self.filter.matches(&event) => return Some((*event).clone()),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a listener to events fell behind");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        let events = Events::new();
        let attributes = [("image", "bb:1"), ("name", "web")];
        let attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned()));
        events.publish("container", "start", "abc", attributes.into());
        events
    }

    #[tokio::test]
    async fn the_past_is_replayed_when_asked_for() {
        let events = events();
        let query = EventsQuery {
            since: Some("0".to_owned()),
            ..EventsQuery::default()
        };
        let mut subscription = events.subscribe(&query).unwrap();
        events.publish("container", "die", "abc", BTreeMap::new());
        assert_eq!(subscription.next().await.unwrap().action, "start");
        assert_eq!(subscription.next().await.unwrap().action, "die");
        events.shutdown();
        assert_eq!(subscription.next().await, None);
    }

    #[tokio::test]
    async fn until_ends_the_stream() {
        let events = events();
        let query = EventsQuery {
            since: Some("0".to_owned()),
            until: Some("1".to_owned()),
            ..EventsQuery::default()
        };
        assert_eq!(events.subscribe(&query).unwrap().next().await, None);
        let wrong = EventsQuery {
            since: Some("2".to_owned()),
            ..query
        };
        assert_eq!(
            events.subscribe(&wrong).unwrap_err().to_string(),
            "`since` time (2) cannot be after `until` time (1)"
        );
    }

    #[test]
    fn only_the_last_are_kept() {
        let events = events();
        for _ in 0..1000 {
            events.publish("image", "tag", "x", BTreeMap::new());
        }
        assert_eq!(events.lock().past.len(), REPLAYED);
    }
}
