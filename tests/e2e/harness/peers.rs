//! The real Docker and Podman, where the scripts that install them are at hand.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::outcome::{Outcome, command, finish};
use super::{busybox_tar, gantry_binary, remark};

/// How many daemons these tests have started.
static DAEMONS: AtomicU32 = AtomicU32::new(0);

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `setup` installs them unless `PEERS_ROOT` says otherwise.
const INSTALLED: &str = "/var/tmp/peers";

/// The folder of the scripts: what `GANTRY_PEERS` names, or beside the checkout.
///
/// Only where they work: they may lie there without what they start, or on a
/// machine that does not let them. What is wrong is said once.
pub fn folder() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let dir = scripts()?;
        match proven(&dir) {
            Ok(()) => Some(dir),
            Err(why) => {
                remark(&format!("SKIPPED: the peers do not work here: {why}"));
                None
            }
        }
    });
    found.clone()
}

fn scripts() -> Option<PathBuf> {
    let beside = || Some(root()?.parent()?.join("shared/peers"));
    let dir = std::env::var_os("GANTRY_PEERS").map_or_else(beside, |dir| Some(dir.into()))?;
    let whole = ["dockerd", "enter", "setup"].map(|name| dir.join(name));
    let built = std::env::var_os("PEERS_ROOT").map_or_else(|| INSTALLED.into(), PathBuf::from);
    let mark = built.join(".peers-packages");
    (whole.iter().all(|path| path.is_file()) && mark.is_file()).then_some(dir)
}

/// Whether their programs start, and see the files of a test.
fn proven(scripts: &Path) -> Result<(), String> {
    let dir = tempfile::tempdir_in("/var/tmp").map_err(|error| error.to_string())?;
    let file = dir.path().join("seen");
    std::fs::write(&file, "seen").map_err(|error| error.to_string())?;
    let program = "test -f \"$0\" || { echo \"$0 is not seen\"; exit 1; }
        for it in dockerd containerd runc podman skopeo docker-registry; do
            \"$it\" --version >/dev/null || { echo \"$it does not start\"; exit 1; }
        done";
    let mut enter = command("timeout", &["60"]);
    enter.arg(scripts.join("enter")).args(["sh", "-c", program]);
    let said = finish(enter.arg(&file), b"");
    match said.code {
        0 => Ok(()),
        code => Err(format!("exit code {code}: {}{}", said.stdout, said.stderr)),
    }
}

fn root() -> Option<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()
}

/// Another engine with our runtime.
pub struct Foreign {
    kind: Kind,
    /// What both it and we see: our binary is in there.
    dir: PathBuf,
}

enum Kind {
    Docker {
        socket: PathBuf,
        daemon: Child,
        netns: String,
    },
    Podman {
        enter: PathBuf,
    },
}

impl Foreign {
    /// A private dockerd that knows our runtime, with an image of busybox.
    ///
    /// `None`, said visibly, where it cannot run a container even with its own
    /// runtime: that is the machine's failure, and no comparison.
    pub fn docker(peers: &Path) -> Option<Self> {
        // Each has its own of everything, since several tests have one at the same time.
        let count = DAEMONS.fetch_add(1, Ordering::Relaxed);
        let dir = shared_folder(&format!("docker{count}"));
        let runtime = runtime(&dir);
        let name = format!("gantry-foreign-{}-{count}", std::process::id());
        let socket = PathBuf::from(format!("/run/peers/{name}.sock"));
        let words = File::create(dir.join("daemon.log")).expect("a file");
        let daemon = Command::new(peers.join("dockerd"))
            .arg("--add-runtime")
            .arg(format!("gantry={}", runtime.display()))
            .env("PEERS_SOCK", &socket)
            .env("PEERS_DATA", dir.join("data"))
            .env("PEERS_BRIDGE", format!("gforeign{count}"))
            .env("PEERS_CIDR", "10.218.0.1/16")
            .env("PEERS_NETNS", &name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .expect("the script can be run");
        let kind = Kind::Docker {
            socket: socket.clone(),
            daemon,
            netns: name,
        };
        // From here on whatever happens takes the daemon and its folder away again.
        let mut this = Self { kind, dir };
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if this.has_ended() || Instant::now() > deadline {
                let log = std::fs::read_to_string(this.dir.join("daemon.log"));
                let log = log.unwrap_or_default();
                let last = log.lines().last().unwrap_or("it does not answer");
                remark(&format!("SKIPPED: the real dockerd does not start: {last}"));
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        this.with_busybox()
    }

    /// Podman with a root of its own, and the same image; `None` as with `docker`.
    pub fn podman(peers: &Path) -> Option<Self> {
        let dir = shared_folder("podman");
        runtime(&dir);
        let kind = Kind::Podman {
            enter: peers.join("enter"),
        };
        Self { kind, dir }.with_busybox()
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.kind {
            Kind::Docker { daemon, .. } => matches!(daemon.try_wait(), Ok(Some(_))),
            Kind::Podman { .. } => false,
        }
    }

    /// Runs a command of its client. `run` and `create` use our runtime.
    pub fn call(&self, args: &[&str]) -> Outcome {
        self.with_runtime(true, args)
    }

    fn with_runtime(&self, ours: bool, args: &[&str]) -> Outcome {
        let mut command = match &self.kind {
            Kind::Docker { socket, .. } => {
                let host = format!("unix://{}", socket.display());
                command("docker", &["-H", &host])
            }
            Kind::Podman { enter } => {
                let dir = self.dir.display();
                let mut podman = command(&enter.to_string_lossy(), &["podman"]);
                podman
                    .arg(format!("--root={dir}/data"))
                    .arg(format!("--runroot={dir}/run"))
                    .arg(format!("--tmpdir={dir}/tmp"))
                    .arg("--cgroup-manager=cgroupfs")
                    .arg("--log-level=error")
                    .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
                if ours {
                    podman.arg(format!("--runtime={dir}/gantry-runc"));
                }
                podman
            }
        };
        let (first, rest) = args.split_first().expect("a command");
        command.arg(first);
        if ours && matches!(self.kind, Kind::Docker { .. }) && matches!(*first, "run" | "create") {
            command.arg("--runtime=gantry");
        }
        finish(command.args(rest), b"")
    }

    /// With the image, and having shown that it runs containers with its own runtime.
    fn with_busybox(self) -> Option<Self> {
        let tar = self.dir.join("busybox.tar");
        std::fs::copy(busybox_tar(), &tar).expect("the image can be copied");
        let import = ["import", &tar.to_string_lossy(), "busybox:latest"];
        let run = ["run", "--rm", "--network=none", "busybox", "true"];
        for args in [&import[..], &run] {
            let said = self.with_runtime(false, args);
            if said.code != 0 {
                remark(&format!("SKIPPED: a real engine cannot {said:?}"));
                return None;
            }
        }
        Some(self)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let ids = self.call(&["ps", "-aq"]).stdout;
        for id in ids.split_whitespace() {
            self.call(&["rm", "-f", id]);
        }
        match &mut self.kind {
            Kind::Docker {
                socket,
                daemon,
                netns,
            } => {
                let pidfile = socket.with_extension("pid");
                let pid = std::fs::read_to_string(pidfile).unwrap_or_default();
                if pid.trim().is_empty() {
                    let _ = daemon.kill();
                } else {
                    let _ = Command::new("kill").arg(pid.trim()).status();
                }
                let _ = daemon.wait();
                let _ = Command::new("ip").args(["netns", "del", netns]).status();
            }
            Kind::Podman { .. } => {
                self.call(&["rmi", "-af"]);
            }
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A folder that has the same name on both sides.
fn shared_folder(name: &str) -> PathBuf {
    let dir = PathBuf::from(format!(
        "/var/tmp/gantry-foreign-{name}-{}",
        std::process::id()
    ));
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

/// Our binary under the name by which it is a runtime.
fn runtime(dir: &Path) -> PathBuf {
    let path = dir.join("gantry-runc");
    std::fs::copy(gantry_binary(), &path).expect("the binary can be copied");
    path
}
