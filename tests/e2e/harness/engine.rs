//! A private daemon for one test, or the real Docker that the runner chose.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::outcome::{Outcome, command, finish, script};
use super::rootfs;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The engine under test, and the folder that is all its own.
pub struct Engine {
    dir: tempfile::TempDir,
    socket: PathBuf,
    cgroup_parent: String,
    daemon: Option<Child>,
    extra: Vec<String>,
    /// What a shell does in the daemon's own mount namespace before it starts.
    before: Option<String>,
    /// The daemon is in the network of this machine, where it makes nothing.
    outside: bool,
}

impl Engine {
    /// A clean engine without images.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A clean engine started with more daemon flags (gantry only).
    pub fn start_with(extra: &[&str]) -> Self {
        Self::begin(extra, false)
    }

    /// A clean engine that reaches what this machine reaches; containers have its network
    /// (`--network host`) or none (gantry only).
    pub fn start_outside() -> Self {
        Self::begin(&["--bridge", "none"], true)
    }

    fn begin(extra: &[&str], outside: bool) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::Builder::new()
            .prefix("gantry-e2e-")
            .tempdir()
            .expect("a temporary folder");
        let real = std::env::var_os("GANTRY_E2E_DOCKER");
        let mut engine = Self {
            socket: real
                .as_ref()
                .map_or_else(|| dir.path().join("docker.sock"), PathBuf::from),
            cgroup_parent: match extra.contains(&"native.cgroupdriver=systemd") {
                // Parts of a slice's name are slices above it.
                true => format!("gantrye2e{}x{number}.slice", std::process::id()),
                false => format!("/gantry-e2e-{}-{number}", std::process::id()),
            },
            daemon: None,
            extra: extra.iter().map(|&arg| arg.to_owned()).collect(),
            before: None,
            outside,
            dir,
        };
        if real.is_some() {
            engine.wipe();
        } else {
            engine.boot();
        }
        engine
    }

    /// A clean engine that has `busybox:latest`, imported as a user would.
    pub fn with_busybox() -> Self {
        let engine = Self::start();
        engine.import_busybox();
        engine
    }

    /// Imports `busybox:latest`.
    pub fn import_busybox(&self) {
        let tar = rootfs::busybox_tar();
        self.docker(&[
            "import",
            "-c",
            "CMD [\"sh\"]",
            &tar.to_string_lossy(),
            "busybox:latest",
        ])
        .ok();
    }

    /// Whether this is gantry, and not the real Docker.
    pub fn is_gantry(&self) -> bool {
        std::env::var_os("GANTRY_E2E_DOCKER").is_none()
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's data root (gantry only).
    pub fn data_root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `unix://…` of the daemon's socket.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The daemon's pid (gantry only).
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// The stock client with these arguments, not yet started.
    pub fn docker_command(&self, args: &[&str]) -> Command {
        self.client("docker", args)
    }

    /// Runs the stock client.
    pub fn docker(&self, args: &[&str]) -> Outcome {
        self.docker_with(args, b"")
    }

    /// Runs the stock client with the words of a line that needs no quoting.
    pub fn docker_line(&self, line: &str) -> Outcome {
        self.docker(&line.split(' ').collect::<Vec<&str>>())
    }

    /// `docker build` of a folder by the stock client, without BuildKit.
    pub fn classic_build(&self, dir: &Path, flags: &[&str]) -> Outcome {
        let dir = dir.to_str().expect("a path");
        let mut command = self.docker_command(&[&["build"], flags, &[dir]].concat());
        finish(command.env("DOCKER_BUILDKIT", "0"), b"")
    }

    /// Runs the stock client with standard input.
    pub fn docker_with(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        finish(&mut self.docker_command(args), stdin)
    }

    /// Our own client with these arguments, not yet started.
    pub fn gantry_command(&self, args: &[&str]) -> Command {
        self.client(&gantry_binary().to_string_lossy(), args)
    }

    /// Runs our own client.
    pub fn gantry(&self, args: &[&str]) -> Outcome {
        finish(&mut self.gantry_command(args), b"")
    }

    /// Runs `curl` on the socket; standard output ends with the HTTP status in a line of its own.
    pub fn curl(&self, args: &[&str]) -> Outcome {
        let mut curl = command("curl", &["-s", "-w", "\n%{http_code}", "--unix-socket"]);
        curl.arg(&self.socket).args(args);
        finish(&mut curl, b"")
    }

    fn client(&self, program: &str, args: &[&str]) -> Command {
        let mut client = command(program, args);
        let config = self.dir.path().join("client");
        client
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", config)
            .env_remove("DOCKER_CONTEXT");
        client
    }

    /// `inspect --format`.
    #[track_caller]
    pub fn inspect(&self, object: &str, format: &str) -> String {
        self.docker(&["inspect", "--format", format, object])
            .ok()
            .line()
    }

    /// The daemon's command, with its private roots.
    pub fn daemon_command(&self) -> Command {
        let dir = self.dir.path().display().to_string();
        // A new network namespace has nothing that is up, not even loopback.
        let mut script = "ip link set lo up && exec \"$0\" \"$@\"".to_owned();
        let mut daemon = command("unshare", &[]);
        if self.outside {
            script = "exec \"$0\" \"$@\"".to_owned();
        } else {
            daemon.arg("--net");
        }
        if let Some(before) = &self.before {
            script = format!("{before} && {script}");
            daemon.arg("--mount");
        }
        daemon
            .args(["--", "sh", "-c", &script])
            .arg(gantry_binary())
            .args(["daemon", "--host", &self.host()])
            .args([
                "--data-root",
                &format!("{dir}/data"),
                "--exec-root",
                &format!("{dir}/run"),
            ])
            .args([
                "--pidfile",
                &format!("{dir}/daemon.pid"),
                "--cgroup-parent",
                &self.cgroup_parent,
            ])
            .args(&self.extra);
        daemon
    }

    /// The same engine with other flags, from its next start on.
    pub fn with_flags(mut self, extra: &[&str]) -> Self {
        self.extra = extra.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    /// The same engine, whose daemon from its next start on has a mount namespace of
    /// its own, in which a shell does this first.
    pub fn with_mounts(mut self, before: &str) -> Self {
        self.before = Some(before.to_owned());
        self
    }

    /// Starts the daemon and waits until it answers.
    pub fn boot(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("daemon.log"))
            .expect("a log file");
        let out = log.try_clone().expect("a second handle");
        let mut daemon = self.daemon_command();
        daemon.stdin(Stdio::null()).stdout(out).stderr(log);
        self.daemon = Some(daemon.spawn().expect("the daemon starts"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.docker(&["version"]).stdout.contains("Server:") {
            assert!(
                Instant::now() < deadline,
                "the daemon does not answer:\n{}",
                self.daemon_log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the daemon at once, as `kill -9` does.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.kill().expect("the daemon can be killed");
        daemon.wait().expect("the daemon ends");
    }

    /// Lets a shell do `work`, kills the daemon in the middle of it, and starts it again
    /// when the shell has ended, whatever became of its work.
    pub fn kill_during(&mut self, work: &str, after: Duration) {
        let mut worker = script(work)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the work begins");
        std::thread::sleep(after);
        self.kill_daemon();
        worker.wait().expect("the work ends");
        self.boot();
    }

    /// Kills all shims and their containers, and empties the exec root, as the
    /// end of the machine does; the daemon must be gone already (gantry only).
    pub fn kill_shims(&self) {
        let run = self.dir.path().join("run");
        for entry in std::fs::read_dir(&run).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path().join("state.json"));
            let text = text.unwrap_or_default();
            for key in ["\"shim_pid\":", "\"pid\":"] {
                let rest = text.split_once(key).map_or("", |(_, rest)| rest);
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                if digits > 0 {
                    finish(&mut command("kill", &["-9", &rest[..digits]]), b"");
                }
            }
        }
        std::fs::remove_dir_all(&run).expect("the exec root can be removed");
    }

    /// Sends SIGTERM to the daemon and waits for its end.
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        finish(&mut command("kill", &[&daemon.id().to_string()]), b"");
        let deadline = Instant::now() + Duration::from_secs(30);
        while daemon
            .try_wait()
            .expect("the daemon can be waited for")
            .is_none()
        {
            assert!(
                Instant::now() < deadline,
                "SIGTERM does not end the daemon:\n{}",
                self.daemon_log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that the daemon wrote.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }

    /// Removes every container and image.
    pub fn wipe(&self) {
        for (list, remove) in [
            (["ps", "-aq"], ["rm", "-fv"]),
            (["images", "-aq"], ["rmi", "-f"]),
        ] {
            let ids = self.docker(&list).ok().stdout;
            let ids: Vec<&str> = ids.lines().collect();
            if !ids.is_empty() {
                self.docker(&[&remove[..], &ids[..]].concat());
            }
        }
    }

    /// What this engine left in the kernel: mounts, cgroups, processes.
    pub fn leftovers(&self) -> Vec<String> {
        let dir = self.dir.path().display().to_string();
        let mut found = Vec::new();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        found.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&dir))
                .map(|line| format!("mount: {line}")),
        );
        for parent in self.cgroups() {
            let children = std::fs::read_dir(&parent).into_iter().flatten().flatten();
            let folders = children.filter(|entry| entry.path().is_dir());
            found.extend(folders.map(|entry| format!("cgroup: {}", entry.path().display())));
        }
        found.extend(
            self.processes()
                .into_iter()
                .map(|pid| format!("process: {pid}")),
        );
        found
    }

    /// The name of this engine's cgroup parent.
    pub fn cgroup_parent(&self) -> &str {
        &self.cgroup_parent
    }

    /// The folders of this engine's cgroup parent in every hierarchy.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let name = self.cgroup_parent.trim_start_matches('/');
        let root = Path::new("/sys/fs/cgroup");
        let below = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        std::iter::once(root.to_owned())
            .chain(below)
            .map(|dir| dir.join(name))
            .filter(|dir| dir.is_dir())
            .collect()
    }

    /// Processes in this engine's cgroups.
    fn processes(&self) -> Vec<String> {
        let own = std::process::id().to_string();
        let dir = self.dir.path().display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            let Ok(words) = std::fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if pid != own && pid.bytes().all(|b| b.is_ascii_digit()) && words.contains(&dir) {
                found.push(format!("{pid} {words}"));
            }
        }
        found
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            let ids = self.docker(&["ps", "-aq"]).stdout;
            let ids: Vec<&str> = ids.lines().collect();
            if !ids.is_empty() {
                self.docker(&[&["rm", "-fv"], &ids[..]].concat());
            }
            self.stop_daemon();
        } else if !self.is_gantry() {
            self.wipe();
        }
        let left = if self.is_gantry() {
            self.leftovers()
        } else {
            Vec::new()
        };
        for dir in self.cgroups() {
            let _ = std::fs::remove_dir(dir);
        }
        if std::thread::panicking() {
            super::remark(&format!("--- the daemon's log ---\n{}", self.daemon_log()));
        } else {
            assert!(
                left.is_empty(),
                "left behind: {left:#?}\n{}",
                self.daemon_log()
            );
        }
    }
}

/// The gantry binary: `GANTRY_BIN`, or built once, so that it is never stale.
pub fn gantry_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("GANTRY_BIN") {
            return PathBuf::from(path);
        }
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = command(&cargo, &["build", "--quiet", "-p", "gantry"]);
        finish(build.current_dir(env!("CARGO_MANIFEST_DIR")), b"").ok();
        let exe = std::env::current_exe().expect("the test's own path");
        exe.ancestors()
            .nth(2)
            .expect("target/…/deps/e2e")
            .join("gantry")
    })
}
