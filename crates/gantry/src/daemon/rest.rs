//! An idle daemon gives back what it does not need at the moment: free pages of
//! its heaps, and the mapping of its code, most of which served the start and the
//! last requests. The next request finds the code in the page cache.

use std::time::Duration;

use gantry_server::Server;

/// How long nobody has wanted anything before the daemon rests.
const AFTER: Duration = Duration::from_secs(5);

/// Looks now and then whether it is time to rest; never returns.
pub(super) async fn when_idle(server: Server) {
    let mut rests = false;
    loop {
        tokio::time::sleep(AFTER).await;
        let idle = server.idle() >= AFTER;
        if idle && !rests {
            gantry_sys::release_unused_heap();
            gantry_sys::release_code_pages();
        }
        rests = idle;
    }
}
