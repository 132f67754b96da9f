//! A registry's life: log, data, listener, signals, and the way back.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::auth::{Auth, Htpasswd, Signer};
use crate::connection::accept_all;
use crate::control;
use crate::house;
use crate::options::Settings;
use crate::proxy::Proxy;
use crate::service::{App, Door};
use crate::store::Store;

/// Threads that answer; more would only add memory, since what waits is elsewhere.
const MOST_THREADS: usize = 4;
/// Threads that wait for the disk.
const MOST_WAITING: usize = 16;
/// What any of them needs of stack.
const STACK: usize = 512 << 10;
/// How long a thread without work is kept.
const KEEP: Duration = Duration::from_secs(5);
/// How long threads that are still busy may hold up the end.
const LAST_THREADS: Duration = Duration::from_secs(2);

/// Serves until a signal says that it is enough.
///
/// # Errors
/// When it cannot start.
pub(crate) fn run(settings: Settings) -> Result<(), String> {
    start_log(&settings)?;
    let public = addresses(&settings.addr)?;
    let debug = settings.debug_addr.as_deref().map(addresses).transpose()?;
    let tls = settings.tls.acceptor()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(MOST_THREADS))
        .max_blocking_threads(MOST_WAITING)
        .thread_stack_size(STACK)
        .thread_keep_alive(KEEP)
        .thread_name("registry")
        .enable_all()
        .build()
        .map_err(|error| format!("starting threads: {error}"))?;
    let store = Store::open(&settings.root)?;
    let auth = open_auth(&settings)?;
    let proxy = Proxy::new(&settings)?;
    let app = Arc::new(App {
        store,
        settings,
        auth,
        proxy,
    });
    let outcome = runtime.block_on(serve(app, tls, public, debug));
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

/// The users and rules that the settings name.
pub(crate) fn open_auth(settings: &Settings) -> Result<Option<Auth>, String> {
    let Some(path) = &settings.htpasswd else {
        return Ok(None);
    };
    let signer = match settings.tokens {
        false => None,
        true => Some(Signer::open_key(
            &settings.root.join("token.key"),
            settings.token_realm.clone(),
        )?),
    };
    Ok(Some(Auth {
        users: Arc::new(Htpasswd::open(path)?),
        rules: settings.rules.clone(),
        signer,
        realm: settings.realm.clone(),
    }))
}

async fn listen(wanted: &str, addresses: &[SocketAddr]) -> Result<TcpListener, String> {
    TcpListener::bind(addresses)
        .await
        .map_err(|error| format!("listening on {wanted}: {error}"))
}

async fn serve(
    app: Arc<App>,
    tls: Option<TlsAcceptor>,
    public: Vec<SocketAddr>,
    debug: Option<Vec<SocketAddr>>,
) -> Result<(), String> {
    let listener = listen(&app.settings.addr, &public).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let (stop, stopping) = watch::channel(false);
    let mut beside = tokio::task::JoinSet::new();
    if let Some(addresses) = debug {
        let wanted = app.settings.debug_addr.clone().unwrap_or_default();
        let listener = listen(&wanted, &addresses).await?;
        let watching = accept_all(
            Arc::clone(&app),
            listener,
            None,
            Door::Debug,
            stopping.clone(),
        );
        beside.spawn(watching);
    }
    beside.spawn(house::keep(Arc::clone(&app)));
    beside.spawn(control::listen(Arc::clone(&app)));
    let root = app.store.root().display().to_string();
    let door = if tls.is_some() {
        Door::Tls
    } else {
        Door::Plain
    };
    let serving = tokio::spawn(accept_all(app, listener, tls, door, stopping));
    tracing::info!(%address, root, tls = door == Door::Tls, "the registry is ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the registry ends");
    // Nobody is left to be told when the receiver is gone.
    let _ = stop.send(true);
    beside.abort_all();
    serving
        .await
        .map_err(|error| format!("the listener: {error}"))
}

/// Where to listen, the first that works: `:5000` (both families, or the one that the
/// kernel has), `host:5000`, `[::1]:5000`.
fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    let wrong = |reason: &dyn std::fmt::Display| format!("invalid address {text:?}: {reason}");
    if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port
            .parse()
            .map_err(|_| wrong(&"the port is not a number"))?;
        let (both, old) = (Ipv6Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        return Ok(vec![(both, port).into(), (old, port).into()]);
    }
    let found = text.to_socket_addrs().map_err(|error| wrong(&error))?;
    Ok(found.collect())
}

fn start_log(settings: &Settings) -> Result<(), String> {
    let level = match settings.debug {
        true => LevelFilter::DEBUG,
        false => LevelFilter::INFO,
    };
    let layer = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(level);
    let started = match settings.json_log {
        true => registry.with(layer.json().flatten_event(true)).try_init(),
        false => registry
            .with(layer.with_ansi(false).with_target(false))
            .try_init(),
    };
    started.map_err(|error| format!("starting the log: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            (":5000", "[::]:5000"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(addresses(text).unwrap()[0].to_string(), expected);
        }
        assert!(addresses(":x").is_err() && addresses("nowhere").is_err());
    }
}
