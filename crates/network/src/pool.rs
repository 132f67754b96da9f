//! Sandboxes that are ready before anybody asks for them.
//!
//! A thread keeps the stock filled. It starts to fill a moment after the last
//! use, so that it does not compete with the container that is just starting.
//! The stock of `none` sandboxes is only kept once one was used.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::mode::NetworkMode;
use crate::sandbox::{Builder, Ready, lock};

/// How long after the last use refilling begins, while something is left.
const PAUSE: Duration = Duration::from_millis(15);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The stock, and the thread that fills it.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    builder: Arc<Builder>,
    stock: Mutex<Stock>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Stock {
    /// By address: the lowest goes first.
    bridge: BTreeMap<Option<IpAddr>, Ready>,
    none: Vec<Ready>,
    none_wanted: bool,
    stopped: bool,
    last_use: Option<Instant>,
}

impl Pool {
    /// An empty stock without a thread.
    pub(crate) fn new(builder: Arc<Builder>, size: usize) -> Self {
        let shared = Shared {
            size,
            builder,
            stock: Mutex::new(Stock::default()),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// Starts to fill the stock, if that has not begun. Without a thread the
    /// stock stays empty, and every sandbox is built when it is asked for.
    pub(crate) fn start(&self) {
        let mut thread = lock(&self.thread);
        if self.shared.size == 0 || thread.is_some() || lock(&self.shared.stock).stopped {
            return;
        }
        let shared = Arc::clone(&self.shared);
        match std::thread::Builder::new()
            .name("network-pool".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || shared.keep_filled())
        {
            Ok(handle) => *thread = Some(handle),
            Err(error) => tracing::warn!(%error, "no thread for the pool of sandboxes"),
        }
    }

    /// A ready sandbox, if there is one.
    pub(crate) fn take(&self, mode: NetworkMode) -> Option<Ready> {
        let mut stock = lock(&self.shared.stock);
        stock.last_use = Some(Instant::now());
        let ready = match mode {
            NetworkMode::Bridge => stock.bridge.pop_first().map(|(_, ready)| ready),
            NetworkMode::None | NetworkMode::User => {
                stock.none_wanted = true;
                stock.none.pop()
            }
            NetworkMode::Host => None,
        };
        self.shared.changed.notify_all();
        ready
    }

    /// How many sandboxes are ready for a mode.
    pub(crate) fn ready(&self, mode: NetworkMode) -> usize {
        let stock = lock(&self.shared.stock);
        match mode {
            NetworkMode::Bridge => stock.bridge.len(),
            NetworkMode::None | NetworkMode::User => stock.none.len(),
            NetworkMode::Host => 0,
        }
    }

    /// Throws the stock away, for it has become useless.
    pub(crate) fn discard(&self) {
        let stock = {
            let mut stock = lock(&self.shared.stock);
            (
                std::mem::take(&mut stock.bridge),
                std::mem::take(&mut stock.none),
            )
        };
        let Some(segment) = self.shared.builder.default_segment() else {
            return;
        };
        for endpoint in stock.0.values().filter_map(|ready| ready.endpoint.as_ref()) {
            segment.release(endpoint);
        }
    }

    /// Stops the thread and lets go of the stock. Takes yield nothing any more.
    pub(crate) fn stop(&self) {
        lock(&self.shared.stock).stopped = true;
        self.shared.changed.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the pool's thread has panicked");
        }
        self.discard();
    }
}

impl Shared {
    fn keep_filled(&self) {
        let mut complaint = String::new();
        while let Some(mode) = self.next_missing() {
            let built = match mode {
                NetworkMode::None => self.builder.build_none(),
                _ => self.builder.build_on_bridge(),
            };
            let mut stock = lock(&self.stock);
            match built {
                Ok(ready) => match ready.endpoint.as_ref().map(|e| e.addresses()) {
                    Some(all) => drop(stock.bridge.insert(all.first().copied(), ready)),
                    None => stock.none.push(ready),
                },
                Err(error) => {
                    // Said once, not with every attempt.
                    let text = error.to_string();
                    if text != complaint {
                        tracing::warn!(%error, "no sandbox for the pool");
                        complaint = text;
                    }
                    if !stock.stopped {
                        drop(self.changed.wait_timeout(stock, RETRY));
                    }
                }
            }
        }
    }

    /// Waits until a sandbox is missing; `None` when the pool stops.
    fn next_missing(&self) -> Option<NetworkMode> {
        let mut stock = lock(&self.stock);
        loop {
            if stock.stopped {
                return None;
            }
            let has_bridge = self.builder.default_segment().is_some();
            let mode = if has_bridge && stock.bridge.len() < self.size {
                Some((NetworkMode::Bridge, stock.bridge.len()))
            } else if stock.none_wanted && stock.none.len() < self.size {
                Some((NetworkMode::None, stock.none.len()))
            } else {
                None
            };
            let rest = stock
                .last_use
                .map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed()));
            match mode {
                Some((mode, left)) if left == 0 || rest.is_zero() => return Some(mode),
                Some(_) => {
                    let (guard, _) = self
                        .changed
                        .wait_timeout(stock, rest)
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    stock = guard;
                }
                None => {
                    stock = self
                        .changed
                        .wait(stock)
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
    }
}
