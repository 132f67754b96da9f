//! What the registry counts, and how Prometheus reads it.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method, StatusCode, header};

use crate::content::{Answer, Content};
use crate::failure::Result;
use crate::store::Store;

/// A number that is read at any time.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
pub(crate) struct Metrics {
    /// Requests by method (see [`METHODS`]) and class of status.
    requests: [[Counter; 6]; METHODS.len() + 1],
    /// Requests that are being answered.
    pub(crate) active: Counter,
    /// Bytes of blobs that came.
    pub(crate) received: Counter,
    /// Bytes of blobs and manifests that went out, as far as answers said so.
    pub(crate) sent: Counter,
    /// Blobs that were pushed.
    pub(crate) blobs: Counter,
    /// Manifests that were pushed.
    pub(crate) manifests: Counter,
    /// Collections that ran, and what they removed.
    pub(crate) collections: Counter,
    pub(crate) collected_blobs: Counter,
    pub(crate) collected_bytes: Counter,
    /// Pull-through cache: answered from here, and fetched.
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
}

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"];

/// The process's counters.
pub(crate) static METRICS: Metrics = Metrics {
    requests: [const { [const { Counter::new() }; 6] }; METHODS.len() + 1],
    active: Counter::new(),
    received: Counter::new(),
    sent: Counter::new(),
    blobs: Counter::new(),
    manifests: Counter::new(),
    collections: Counter::new(),
    collected_blobs: Counter::new(),
    collected_bytes: Counter::new(),
    hits: Counter::new(),
    misses: Counter::new(),
};

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, method: &Method, status: StatusCode) {
        let row = METHODS.iter().position(|name| *name == method.as_str());
        let class = usize::from(status.as_u16() / 100).min(5);
        self.requests[row.unwrap_or(METHODS.len())][class].add(1);
    }
}

/// All counters, and how much there is, in Prometheus' text format.
///
/// # Errors
/// Those of the database.
pub(crate) fn answer(store: &Store) -> Result<Answer> {
    use gantry_metadata::registry::repositories::totals;

    let totals = store.database.read(totals)?;
    let metrics = &METRICS;
    let mut text = String::with_capacity(4096);
    let mut say = |name: &str, kind: &str, help: &str, value: u64| {
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "# HELP gantry_registry_{name} {help}\n# TYPE gantry_registry_{name} {kind}\n\
             gantry_registry_{name} {value}\n"
        );
    };
    for (name, help, counter) in [
        (
            "received_bytes_total",
            "Bytes of blobs received.",
            &metrics.received,
        ),
        ("sent_bytes_total", "Bytes of bodies sent.", &metrics.sent),
        ("pushed_blobs_total", "Blobs pushed.", &metrics.blobs),
        (
            "pushed_manifests_total",
            "Manifests pushed.",
            &metrics.manifests,
        ),
        (
            "collections_total",
            "Garbage collections.",
            &metrics.collections,
        ),
        (
            "collected_blobs_total",
            "Blobs removed by them.",
            &metrics.collected_blobs,
        ),
        (
            "collected_bytes_total",
            "Bytes removed by them.",
            &metrics.collected_bytes,
        ),
        (
            "proxy_hits_total",
            "Requests that the cache answered.",
            &metrics.hits,
        ),
        (
            "proxy_misses_total",
            "Requests that were fetched.",
            &metrics.misses,
        ),
    ] {
        say(name, "counter", help, counter.get());
    }
    for (name, help, value) in [
        (
            "requests_in_flight",
            "Requests being answered.",
            metrics.active.get(),
        ),
        (
            "uploads",
            "Uploads begun and not ended.",
            store.uploads.count(),
        ),
        ("repositories", "Repositories.", totals.repositories),
        ("manifests", "Manifests.", totals.manifests),
        ("tags", "Tags.", totals.tags),
        ("blobs", "Blobs.", totals.blobs),
        ("blob_bytes", "Bytes of all blobs.", totals.bytes),
    ] {
        say(name, "gauge", help, value);
    }
    text.push_str(
        "# HELP gantry_registry_requests_total Requests answered.\n\
         # TYPE gantry_registry_requests_total counter\n",
    );
    for (row, method) in METHODS.iter().chain(&["other"]).enumerate() {
        for (class, counter) in metrics.requests[row].iter().enumerate() {
            if counter.get() > 0 {
                let _ = writeln!(
                    text,
                    "gantry_registry_requests_total{{method=\"{method}\",code=\"{class}xx\"}} {}",
                    counter.get()
                );
            }
        }
    }
    let mut answer = Answer::new(Content::full(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(answer)
}
