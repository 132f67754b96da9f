//! One thread that hears all shims: reads events, sees shims end, reaps them.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gantry_types::ContainerId;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use super::connection::Subscribed;
use super::error::{Error, Result};
use super::leftover::{bury, subscribe};
use crate::files::Directory;
use crate::protocol::{Event, FrameReader, Message};

/// How often ended children are asked for while there are any.
const REAP_INTERVAL: Duration = Duration::from_millis(20);
const WAKE: u64 = 0;

/// The function that events go to.
pub(super) type OnEvent = Arc<dyn Fn(&ContainerId, Event) + Send + Sync>;

/// The thread's shared state.
pub(super) struct Reactor {
    poll: OwnedFd,
    wake: OwnedFd,
    stopped: AtomicBool,
    on_event: OnEvent,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: HashMap<u64, Watched>,
    last_token: u64,
    /// Children that end soon, to be reaped.
    ending: Vec<Child>,
}

struct Watched {
    id: ContainerId,
    directory: Directory,
    subscribed: Subscribed,
    reader: FrameReader,
    exited: bool,
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}

impl Reactor {
    pub(super) fn start(on_event: OnEvent) -> Result<Arc<Self>> {
        let failed = |errno: rustix::io::Errno| Error::io("make", "poll set", errno.into());
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let data = epoll::EventData::new_u64(WAKE);
        epoll::add(&poll, &wake, data, epoll::EventFlags::IN).map_err(failed)?;
        let reactor = Arc::new(Self {
            poll,
            wake,
            stopped: AtomicBool::new(false),
            on_event,
            state: Mutex::default(),
        });
        let in_thread = reactor.clone();
        thread::Builder::new()
            .name("shim-events".to_owned())
            .spawn(move || in_thread.run())
            .map_err(Error::Spawn)?;
        Ok(reactor)
    }

    /// Listens to one more shim.
    pub(super) fn watch(
        &self,
        id: ContainerId,
        directory: Directory,
        subscribed: Subscribed,
    ) -> Result<()> {
        let path = directory.path.clone();
        let failed = |source| Error::io("watch", &path, source);
        subscribed.socket.set_nonblocking(true).map_err(failed)?;
        let mut state = self.state();
        state.last_token += 1;
        let token = state.last_token;
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.poll, &subscribed.socket, data, epoll::EventFlags::IN)
            .map_err(|errno| Error::io("watch", &path, errno.into()))?;
        let watched = Watched {
            id,
            directory,
            subscribed,
            reader: FrameReader::default(),
            exited: false,
        };
        state.watched.insert(token, watched);
        Ok(())
    }

    /// Takes care of a child that ends soon.
    pub(super) fn reap(&self, child: Child) {
        self.state().ending.push(child);
        self.wake();
    }

    /// Ends the thread. Shims are not touched.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // A full counter wakes as well.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn run(self: &Arc<Self>) {
        let mut space = Vec::with_capacity(64);
        while !self.stopped.load(Ordering::Acquire) {
            let pause = (!self.state().ending.is_empty()).then_some(Timespec {
                tv_sec: 0,
                tv_nsec: REAP_INTERVAL.as_nanos() as i64,
            });
            space.clear();
            let target = rustix::buffer::spare_capacity(&mut space);
            // Interrupted: nothing was found, the loop goes on.
            let _ = epoll::wait(&self.poll, target, pause.as_ref());
            for event in &space {
                match event.data.u64() {
                    WAKE => {
                        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
                    }
                    token => self.serve(token),
                }
            }
            let runs = |child: &mut Child| matches!(child.try_wait(), Ok(None));
            self.state().ending.retain_mut(runs);
        }
    }

    /// Reads one frame's worth from a shim; what remains wakes the poll again.
    fn serve(self: &Arc<Self>, token: u64) {
        let Some(mut watched) = self.state().watched.remove(&token) else {
            return;
        };
        let frame = watched.reader.read(&watched.subscribed.socket);
        let message = match frame {
            Ok(None) => None,
            Ok(Some(frame)) => match frame.message() {
                Ok(Message::Event(event)) => Some(event),
                // Replies have been read before the socket came here.
                Ok(Message::Reply(_)) => None,
                Err(_) => return self.lost(watched),
            },
            Err(_) => return self.lost(watched),
        };
        let id = watched.id.clone();
        watched.exited |= matches!(message, Some(Event::Exit(_)));
        self.state().watched.insert(token, watched);
        if let Some(event) = message {
            (self.on_event)(&id, event);
        }
    }

    /// The connection is over: after the exit that is how it should be. Before
    /// it the shim was killed, or had more to tell than was listened to (a
    /// daemon that was stopped for long); then there is a new connection.
    fn lost(self: &Arc<Self>, watched: Watched) {
        let Watched {
            id,
            directory,
            subscribed,
            exited,
            ..
        } = watched;
        // A descriptor leaves the poll set when it is closed.
        drop(subscribed.socket);
        if exited {
            self.state().ending.extend(subscribed.child);
            return;
        }
        let reactor = self.clone();
        let child = subscribed.child;
        // Killing may take seconds, in which others' events must not wait. Where
        // no thread can be made the next daemon buries it.
        let _ = thread::Builder::new()
            .name("shim-burial".to_owned())
            .spawn(move || reactor.recover(id, directory, child));
    }

    fn recover(&self, id: ContainerId, directory: Directory, child: Option<Child>) {
        if let Ok(Some((socket, _))) = subscribe(&directory) {
            let subscribed = Subscribed { socket, child };
            // What cannot be watched is found again by the next daemon.
            let _ = self.watch(id, directory, subscribed);
            return self.wake();
        }
        if let Some(child) = child {
            self.reap(child);
        }
        (self.on_event)(&id, Event::Exit(bury(&directory, &id)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
