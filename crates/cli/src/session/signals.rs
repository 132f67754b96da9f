//! Signals that this process gets, for the container.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Session;
use super::terminal;
use crate::transport::{Call, encode};

/// All signals with a name that may be forwarded. Not among them: CHLD, PIPE
/// and URG, which are about this process, and those that cannot be caught.
const FORWARDED: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (5, "TRAP"),
    (6, "ABRT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
];

/// Catches the signals from now on; they are queued until they are forwarded.
pub(crate) struct SignalQueue(mpsc::UnboundedReceiver<&'static str>);

impl SignalQueue {
    /// Starts catching. With a terminal in raw mode its size is followed
    /// instead of forwarding WINCH.
    pub(crate) fn catch(with_tty: bool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        for &(number, name) in FORWARDED {
            if with_tty && name == "WINCH" {
                continue;
            }
            let Ok(mut stream) = signal(SignalKind::from_raw(number)) else {
                continue;
            };
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if sender.send(name).is_err() {
                        return;
                    }
                }
            });
        }
        Self(receiver)
    }

    /// Forwards signals to the container for ever.
    pub(crate) async fn forward(&mut self, session: &Session, id: &str) {
        while let Some(name) = self.0.recv().await {
            let call = Call::post(format!("/containers/{}/kill", encode(id))).query("signal", name);
            // A container that has just ended takes no signal any more.
            let _ = session.client.done(&call).await;
        }
        std::future::pending::<()>().await;
    }
}

/// Keeps a terminal as large as the user's, for ever. `path` is that of
/// the request that tells the size of a container's or an exec's terminal.
pub(crate) async fn follow_size(session: &Session, path: &str) {
    let mut last = (0, 0);
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return std::future::pending().await;
    };
    // Right after the start the daemon may not know the terminal yet.
    for delay in [0u64, 10, 20, 40, 80] {
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        if resize(session, path, &mut last).await {
            break;
        }
    }
    while changes.recv().await.is_some() {
        resize(session, path, &mut last).await;
    }
}

/// Tells the daemon the size; true when there is nothing more to tell.
async fn resize(session: &Session, path: &str, last: &mut (u16, u16)) -> bool {
    let (rows, columns) = terminal::size();
    if (rows, columns) == (0, 0) || (rows, columns) == *last {
        return true;
    }
    let call = Call::post(path)
        .query("h", &rows.to_string())
        .query("w", &columns.to_string());
    let told = session.client.done(&call).await.is_ok();
    if told {
        *last = (rows, columns);
    }
    told
}
