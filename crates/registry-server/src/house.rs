//! What the registry does by itself, now and then: uploads that nobody finishes, and
//! garbage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::blocking;
use crate::service::App;
use crate::store::Patience;

/// How often it is looked whether there is something to do.
const PAUSE: Duration = Duration::from_secs(600);

/// Keeps house for ever.
pub(crate) async fn keep(app: Arc<App>) {
    let interval = app.settings.gc_interval;
    let mut collected = Instant::now();
    loop {
        tokio::time::sleep(PAUSE.min(interval.max(Duration::from_secs(1)))).await;
        let expiring = Arc::clone(&app);
        let expired = blocking(move || {
            let age = expiring.settings.upload_timeout.as_nanos();
            let before =
                gantry_metadata::now().saturating_sub(i64::try_from(age).unwrap_or(i64::MAX));
            expiring.store.uploads.expire(before)
        });
        match expired.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "uploads that nobody finished were removed"),
            Err(failure) => tracing::warn!(?failure, "removing old uploads"),
        }
        if interval.is_zero() || collected.elapsed() < interval {
            continue;
        }
        collected = Instant::now();
        let collecting = Arc::clone(&app);
        let patience = Patience {
            grace: app.settings.gc_grace,
            untagged: app.settings.gc_untagged,
            unused: app.settings.unused(),
        };
        match blocking(move || collecting.store.collect(patience)).await {
            Ok(done) if done.blobs == 0 => {}
            Ok(done) => tracing::info!(done.blobs, done.bytes, "garbage was collected"),
            Err(failure) => tracing::warn!(?failure, "collecting garbage"),
        }
        gantry_sys::give_back_heap();
    }
}
