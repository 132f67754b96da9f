//! What every test needs: a pool, a root file system, and a place for both.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use gantry_logs::{Driver, Query, Reader, Settings};
use gantry_runtime::oci::Spec;
use gantry_shim::client::{Error, PoolConfig, ShimConnection, ShimPool, StartFds};
use gantry_shim::protocol::{AttachRequest, Event, ExitRecord, StartRequest};
use gantry_types::{ContainerId, Mount};
use serde_json::{Value, json};

/// The shim as cargo built it; measurements name a release build in `GANTRY_TEST_SHIM`.
const PROGRAM: &str = env!("CARGO_BIN_EXE_gantry-shim");
/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the test can run; says so if not.
pub(crate) fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    let busybox = Path::new("/bin/busybox").exists();
    if !root || !busybox {
        eprintln!("SKIPPED: needs root and /bin/busybox (busybox-static)");
    }
    root && busybox
}

/// Whether measurements are wanted; says how if not.
pub(crate) fn measuring() -> bool {
    let wanted = std::env::var_os("GANTRY_MEASURE").is_some();
    if !wanted {
        eprintln!("SKIPPED: a measurement; set GANTRY_MEASURE and use --nocapture");
    }
    wanted
}

/// Whether this machine can limit these; says so if not.
pub(crate) fn can_limit(controllers: &[gantry_cgroup::Controller]) -> bool {
    let hierarchy = gantry_cgroup::Hierarchy::current().unwrap();
    let all = controllers.iter().all(|c| hierarchy.supports(*c));
    if !all {
        eprintln!("SKIPPED: needs the cgroup controllers {controllers:?}");
    }
    all
}

pub(crate) struct Environment {
    pub(crate) pool: ShimPool,
    pub(crate) events: Receiver<(ContainerId, Event)>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) cgroup_parent: String,
    next_id: AtomicU32,
    checked: bool,
}

pub(crate) fn program() -> OwnedFd {
    let path = std::env::var("GANTRY_TEST_SHIM").unwrap_or_else(|_| PROGRAM.to_owned());
    gantry_sys::sealed_memfd("gantry-shim", &std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn pool(exec_root: &Path, size: usize) -> (ShimPool, Receiver<(ContainerId, Event)>) {
    let (sender, events) = mpsc::channel();
    let config = PoolConfig {
        exec_root: exec_root.to_owned(),
        program: program(),
        size,
        open_files: None,
    };
    let pool = ShimPool::new(config, move |id, event| {
        let _ = sender.send((id.clone(), event));
    });
    (pool.unwrap(), events)
}

impl Environment {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("rootfs");
        for name in ["bin", "proc", "sys", "dev", "tmp", "etc"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for name in [
            "sh", "cat", "echo", "sleep", "stty", "yes", "head", "dd", "true", "tail", "tty",
            "kill",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let exec_root = dir.path().join("exec");
        std::fs::create_dir(&exec_root).unwrap();
        let (pool, events) = pool(&exec_root, 2);
        let cgroup_parent = format!("/gantry-test-{}-{number}", std::process::id());
        Self {
            pool,
            events,
            dir,
            cgroup_parent,
            next_id: AtomicU32::new(1),
            checked: false,
        }
    }

    pub(crate) fn exec_root(&self) -> PathBuf {
        self.dir.path().join("exec")
    }

    /// A request for a shell command.
    pub(crate) fn request(&self, script: &str) -> StartRequest {
        self.request_with(&["/bin/sh", "-c", script], |_| {})
    }

    pub(crate) fn request_with(
        &self,
        args: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> StartRequest {
        let mut spec = json!({
            "ociVersion": "1.2.0",
            "process": {
                "terminal": false,
                "user": { "uid": 0, "gid": 0 },
                "args": args,
                "env": ["PATH=/bin", "TERM=xterm"],
                "cwd": "/",
            },
            "root": { "path": "rootfs" },
            "mounts": gantry_runtime::defaults::mounts(false),
            "linux": {
                "namespaces": [
                    { "type": "pid" }, { "type": "mount" }, { "type": "uts" },
                    { "type": "ipc" }, { "type": "network" }, { "type": "cgroup" },
                ],
                "resources": { "devices": gantry_runtime::defaults::device_rules() },
            },
        });
        change(&mut spec);
        let spec: Spec = serde_json::from_value(spec).unwrap();
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&std::process::id().to_le_bytes());
        bytes[4..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..16].copy_from_slice(&(self.dir.path().as_os_str().len() as u64).to_le_bytes());
        let id = ContainerId::from_random(bytes);
        let logs = self.dir.path().join(format!("log-{number}"));
        StartRequest {
            exec_root: self.exec_root(),
            spec,
            bundle: self.dir.path().to_owned(),
            scaffold: Vec::new(),
            scaffold_layer: None,
            rootfs: Mount::Bind {
                source: self.dir.path().join("rootfs"),
                read_only: false,
            },
            user: None,
            cgroup_parent: self.cgroup_parent.clone(),
            scope: None,
            log: Settings::new(Driver::JsonFile, &logs, id.as_str()),
            open_stdin: false,
            stdin_once: false,
            network_fd: false,
            user_fd: false,
            empty_mounts_fd: false,
            attach: Vec::new(),
            id,
        }
    }

    pub(crate) fn start(&self, request: StartRequest) -> ShimConnection {
        let connection = self.try_start(request).unwrap();
        connection.watch().unwrap();
        connection
    }

    pub(crate) fn try_start(&self, request: StartRequest) -> Result<ShimConnection, Error> {
        self.pool.start(request, None, &StartFds::default())
    }

    /// Starts with one client attached from the start.
    pub(crate) fn start_attached(&self, mut request: StartRequest) -> (ShimConnection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        request.attach = vec![attach_all()];
        let fds = StartFds {
            user: None,
            network: None,
            attach: vec![theirs.as_fd()],
        };
        let connection = self.pool.start(request, None, &fds).unwrap();
        connection.watch().unwrap();
        (connection, ours)
    }

    /// The next exit, whatever else happens before it.
    pub(crate) fn exit(&self) -> ExitRecord {
        loop {
            let (_, event) = self.events.recv_timeout(PATIENCE).unwrap();
            if let Event::Exit(record) = event {
                return record;
            }
        }
    }

    /// Starts, waits, deletes, and returns the exit and the log.
    pub(crate) fn run(&self, request: StartRequest) -> (ExitRecord, String) {
        let log = request.log.clone();
        let connection = self.start(request);
        let record = self.exit();
        connection.delete().unwrap();
        (record, log_text(&log))
    }

    /// Nothing may be left when a test is done.
    pub(crate) fn assert_clean(mut self) {
        self.checked = true;
        let left: Vec<_> = std::fs::read_dir(self.exec_root())
            .unwrap()
            .flatten()
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let hierarchy = gantry_cgroup::Hierarchy::current().unwrap();
        for mount in hierarchy.mount_points() {
            let parent = mount.join(self.cgroup_parent.trim_start_matches('/'));
            eventually("the cgroup parent is empty", || {
                !parent.exists() || std::fs::remove_dir(&parent).is_ok()
            });
        }
    }
}

impl Drop for Environment {
    /// A failed test leaves no container behind either.
    fn drop(&mut self) {
        if self.checked {
            return;
        }
        if let Ok(group) = gantry_cgroup::Cgroup::open(&self.cgroup_parent) {
            let _ = group.kill_all();
            std::thread::sleep(Duration::from_millis(500));
            let _ = group.remove();
        }
    }
}

pub(crate) fn attach_all() -> AttachRequest {
    AttachRequest {
        attach: 1,
        stdin: true,
        stdout: true,
        stderr: true,
        detach_keys: vec![16, 17],
    }
}

pub(crate) fn log_text(settings: &Settings) -> String {
    let entries = Reader::open(settings, Query::default()).unwrap();
    let lines = entries.map(|entry| entry.unwrap().line);
    String::from_utf8(lines.flatten().collect()).unwrap()
}

pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads until `wanted` has come.
pub(crate) fn read_until(socket: &mut UnixStream, wanted: &str) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let count = socket.read(&mut chunk).unwrap();
        assert!(
            count > 0,
            "ended after {:?}",
            String::from_utf8_lossy(&text)
        );
        text.extend(&chunk[..count]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn read_to_end(socket: &mut UnixStream) -> Vec<u8> {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = Vec::new();
    socket.read_to_end(&mut text).unwrap();
    text
}

pub(crate) fn type_in(socket: &mut UnixStream, text: &str) {
    socket.write_all(text.as_bytes()).unwrap();
}
