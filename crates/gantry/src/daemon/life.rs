//! A daemon's life: everything it holds, in the order in which it is taken, and
//! given back the other way round.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_engine::{Engine, ListQuery, ShimProgram};
use gantry_server::{Listener, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::command_line::Values;
use super::logging::Logging;
use super::settings::Settings;
use super::{descriptors, init_program, lock, notify, preflight, rest};
use crate::embedded;

/// How long requests wait for the engine to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long threads that are still busy may hold up the end.
const LAST_THREADS: Duration = Duration::from_secs(2);

/// Runs the daemon until it is told to end.
///
/// # Errors
/// When it cannot start; what it took until then is given back.
pub(super) fn run(settings: Settings, flags: Values, logging: Logging) -> Result<(), String> {
    preflight::check()?;
    preflight::check_data_root(&settings.data_root)?;
    make_dir(&settings.data_root)?;
    make_dir(&settings.exec_root)?;
    let _data = lock::take("data root", &settings.data_root)?;
    let _exec = lock::take("exec root", &settings.exec_root)?;
    let _pidfile = PidFile::write(&settings.pidfile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gantry")
        .build()
        .map_err(|error| format!("starting threads: {error}"))?;
    let outcome = runtime.block_on(serve(settings, flags, logging));
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

async fn serve(mut settings: Settings, flags: Values, logging: Logging) -> Result<(), String> {
    let mut signals = Signals::new()?;
    let mut listeners = Vec::new();
    for host in &settings.hosts {
        let opened = Listener::open(host, &settings.listen)
            .map_err(|error| format!("failed to load listeners: {error}"))?;
        listeners.extend(opened);
    }
    let server = Server::new(PATIENCE);
    server.recommend_buildkit(settings.buildkit);
    server.tell_experimental(settings.experimental);
    let (stop, stopped) = watch::channel(false);
    let serving = {
        let server = server.clone();
        tokio::spawn(async move { server.serve(listeners, stopped).await })
    };
    let opened = open_engine(&settings).await;
    let outcome = match opened {
        Err(error) => Err(error),
        Ok(engine) => {
            server.ready(Arc::clone(&engine));
            let resting = tokio::spawn(rest::when_idle(server.clone()));
            notify::ready();
            tracing::info!(data_root = %settings.data_root.display(), "the engine is ready");
            attend(
                &mut signals,
                &mut settings,
                &flags,
                &logging,
                &server,
                &engine,
            )
            .await;
            notify::stopping();
            resting.abort();
            // Nobody is left to be told that this failed.
            let _ = stop.send(true);
            close_engine(engine, &settings).await;
            Ok(())
        }
    };
    let _ = stop.send(true);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the API ended in an unexpected way");
    }
    outcome
}

async fn open_engine(settings: &Settings) -> Result<Arc<Engine>, String> {
    let spoilt = |error: std::io::Error| format!("unpacking a program of this binary: {error}");
    let shim = embedded::SHIM.unpack().map_err(spoilt)?;
    let mut config = settings.engine(ShimProgram::Bytes(shim))?;
    config.open_files = descriptors::raise();
    if config.init_program.is_none() {
        let init = embedded::INIT.unpack().map_err(spoilt)?;
        config.init_program = Some(init_program::place(&settings.exec_root, &init)?);
    }
    let opened = tokio::task::spawn_blocking(move || Engine::open(config)).await;
    let engine = opened
        .map_err(|error| format!("opening the engine: {error}"))?
        .map_err(|error| format!("opening the engine: {error}"))?;
    Ok(Arc::new(engine))
}

/// Returns when it is time to end.
async fn attend(
    signals: &mut Signals,
    settings: &mut Settings,
    flags: &Values,
    logging: &Logging,
    server: &Server,
    engine: &Engine,
) {
    let mut idleness = Idleness::new(settings.idle_exit);
    loop {
        tokio::select! {
            () = idleness.tick() => {
                if idleness.is_over(server, engine) {
                    tracing::info!("nobody needs the daemon any more: it ends");
                    return;
                }
            }
            received = signals.next() => match received {
                Received::End(name) => {
                    tracing::info!(signal = name, "the daemon ends");
                    return;
                }
                Received::Reload => {
                    reload(settings, flags, logging, engine);
                    server.recommend_buildkit(settings.buildkit);
                }
            },
        }
    }
}

/// Reads the configuration again and takes over what can change in a running
/// daemon.
fn reload(settings: &mut Settings, flags: &Values, logging: &Logging, engine: &Engine) {
    notify::reloading();
    match Settings::load(flags) {
        Ok(new) => {
            logging.set_level(new.log_level);
            let fixed = settings.changed_in(&new);
            if !fixed.is_empty() {
                let options = fixed.join(", ");
                tracing::warn!(options, "these options change only with a restart");
            }
            settings.take_over(new);
            if let Ok((downloads, uploads)) = settings.concurrency() {
                engine.images.set_concurrency(downloads, uploads);
            }
            let registries = settings.registries();
            let taken = registries.and_then(|config| {
                let taken = engine.registries.reconfigure(config);
                taken.map_err(|error| error.to_string())
            });
            if let Err(error) = taken {
                tracing::error!(error, "registries are spoken to as before");
            }
            engine.system.tell_reloaded(&settings.shown());
            tracing::info!("the configuration was read again");
        }
        Err(error) => tracing::error!(error, "the configuration stays as it was"),
    }
    notify::ready();
}

async fn close_engine(engine: Arc<Engine>, settings: &Settings) {
    let stop_containers = !settings.live_restore;
    let timeout = settings.shutdown_timeout;
    let closed = tokio::task::spawn_blocking(move || {
        engine.containers.begin_shutdown();
        if stop_containers {
            stop_all(&engine, timeout);
        }
        engine.shutdown();
    });
    if let Err(error) = closed.await {
        tracing::error!(%error, "closing the engine failed");
    }
}

fn stop_all(engine: &Engine, timeout: i64) {
    let running = match engine.containers.list(&ListQuery::default()) {
        Ok(running) => running,
        Err(error) => return tracing::error!(%error, "listing the containers to stop failed"),
    };
    std::thread::scope(|scope| {
        for container in &running {
            scope.spawn(move || {
                let id = &container.id;
                if let Err(error) = engine.containers.stop(id, None, Some(timeout)) {
                    tracing::error!(id, %error, "stopping a container failed");
                }
            });
        }
    });
}

/// What the daemon was told.
enum Received {
    End(&'static str),
    Reload,
}

/// The signals that mean something.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("catching signals: {error}"));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.term.recv() => Received::End("SIGTERM"),
            _ = self.int.recv() => Received::End("SIGINT"),
            _ = self.hup.recv() => Received::Reload,
        }
    }
}

/// Watches for the time when nobody needs the daemon.
struct Idleness {
    limit: Option<Duration>,
    last_container: Instant,
}

impl Idleness {
    fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            last_container: Instant::now(),
        }
    }

    /// Returns when it is worth looking again.
    async fn tick(&self) {
        let (least, most) = (Duration::from_millis(50), Duration::from_secs(5));
        match self.limit {
            Some(limit) => tokio::time::sleep((limit / 10).clamp(least, most)).await,
            None => std::future::pending().await,
        }
    }

    fn is_over(&mut self, server: &Server, engine: &Engine) -> bool {
        if engine.containers.are_active() {
            self.last_container = Instant::now();
        }
        let idle = server.idle().min(self.last_container.elapsed());
        self.limit.is_some_and(|limit| idle >= limit)
    }
}

fn make_dir(path: &Path) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| format!("making {}: {error}", path.display()))
}

/// The file that says the daemon's pid, removed at the end.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("writing {}: {error}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o644)
            .open(path)
            .and_then(|mut file| write!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It is about this process; if it is gone, so much the better.
        let _ = std::fs::remove_file(&self.0);
    }
}
