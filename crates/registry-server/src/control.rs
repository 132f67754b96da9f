//! The socket in the root through which `gantry registry gc` asks a running registry
//! to collect. One line each way:
//!
//! ```text
//! gc grace=86400 untagged=false
//! ok 3 1024              blobs and bytes that are gone, or:  error TEXT
//! ```

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::call::blocking;
use crate::service::App;
use crate::store::{Patience, Store};

/// The socket's name in the root.
const NAME: &str = "control.sock";
/// The longest line.
const LINE: u64 = 256;

/// Listens until the task is ended; a socket that cannot be had is only told of.
pub(crate) async fn listen(app: Arc<App>) {
    let path = app.store.root().join(NAME);
    // Of the registry before: the root is ours alone.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no socket for `gantry registry gc`");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    let (read, mut write) = stream.split();
                    let mut line = String::new();
                    let mut read = tokio::io::BufReader::new(read.take(LINE));
                    if read.read_line(&mut line).await.is_err() {
                        return;
                    }
                    let answer = answer(&app, &line).await;
                    // Who asked may be gone.
                    let _ = write.write_all(answer.as_bytes()).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(app: &Arc<App>, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    let (Some(&"gc"), Some(grace), Some(untagged)) =
        (words.first(), value("grace="), value("untagged="))
    else {
        return "error unknown request\n".to_owned();
    };
    let patience = Patience {
        grace: Duration::from_secs(grace.parse().unwrap_or(u64::MAX >> 34)),
        untagged: untagged == "true",
        unused: app.settings.unused(),
    };
    let app = Arc::clone(app);
    match blocking(move || app.store.collect(patience)).await {
        Ok(done) => format!("ok {} {}\n", done.blobs, done.bytes),
        Err(failure) => format!("error {}\n", failure.message()),
    }
}

/// Collects in the registry that uses the root, or here when there is none; answers how
/// many blobs and bytes are gone.
///
/// # Errors
/// When neither works.
pub(crate) fn collect(root: &Path, patience: Patience) -> Result<(u64, u64), String> {
    let at = |error: std::io::Error| format!("{}: {error}", root.join(NAME).display());
    if !root.join("metadata.db").exists() {
        return Err(format!("{}: there is no registry here", root.display()));
    }
    if let Ok(mut stream) = UnixStream::connect(root.join(NAME)) {
        let (grace, untagged) = (patience.grace.as_secs(), patience.untagged);
        writeln!(stream, "gc grace={grace} untagged={untagged}").map_err(at)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(at)?;
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse().ok();
        return match line.strip_prefix("error ") {
            Some(text) => Err(text.trim().to_owned()),
            None => {
                let found = line
                    .starts_with("ok ")
                    .then(|| (number(), number(), number()));
                match found {
                    Some((None, Some(blobs), Some(bytes))) => Ok((blobs, bytes)),
                    _ => Err("the registry has ended before it was done".to_owned()),
                }
            }
        };
    }
    let store = Store::open(root)?;
    let done = store
        .collect(patience)
        .map_err(|failure| failure.message().to_owned())?;
    Ok((done.blobs, done.bytes))
}
