//! A bundle with busybox, and the runtime to run it with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use gantry_runtime::{defaults, seccomp};
use serde_json::{Value, json};

/// Skips the test, visibly, where it cannot run.
macro_rules! require {
    () => {
        if !rustix::process::geteuid().is_root() || !std::path::Path::new("/bin/busybox").exists() {
            println!("skipped: needs root and a static /bin/busybox");
            return;
        }
    };
}

/// How many bundles there were.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A bundle with busybox, and a root for the runtime.
pub struct Bundle {
    pub dir: tempfile::TempDir,
    pub id: String,
    pub spec: Value,
}

impl Bundle {
    pub fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rootfs = dir.path().join("rootfs");
        for sub in ["bin", "etc", "tmp", "home"] {
            fs::create_dir_all(rootfs.join(sub)).unwrap();
        }
        fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "true", "cat", "id", "ls", "sleep", "mount", "touch", "grep", "stat", "chmod",
            "tty", "kill", "mkdir", "pwd",
        ] {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        fs::write(
            rootfs.join("etc/passwd"),
            "ann:x:1000:100::/home/ann:/bin/sh\n",
        )
        .unwrap();
        let caps: Vec<_> = defaults::capabilities().names().collect();
        let kinds = ["mount", "network", "uts", "pid", "ipc", "cgroup"];
        let kinds: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("rt-{name}-{}-{count}", std::process::id());
        let spec = json!({
            "ociVersion": "1.2.0",
            "process": {
                "cwd": "/", "user": {"uid": 0, "gid": 0},
                "env": ["PATH=/bin"],
                "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            },
            "root": {"path": "rootfs"},
            "hostname": "box",
            "mounts": defaults::mounts(false),
            "linux": {
                "namespaces": kinds,
                "cgroupsPath": format!("/gantry-runtime-test-{id}"),
                "maskedPaths": defaults::masked_paths(),
                "readonlyPaths": defaults::READONLY_PATHS,
                "seccomp": seccomp::default_profile(defaults::capabilities()).unwrap(),
            },
        });
        Self { dir, id, spec }
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Changes the spec at a JSON pointer.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.spec.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    pub fn add_mount(&mut self, mount: Value) -> &mut Self {
        self.spec["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    pub fn oci(&self, args: &[&str]) -> Command {
        let test = std::env::current_exe().unwrap();
        let program = test
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples/oci");
        let mut command = Command::new(program);
        command
            .arg("--root")
            .arg(self.dir.path().join("run"))
            .args(args);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub fn call(&self, args: &[&str]) -> Output {
        self.oci(args).output().unwrap()
    }

    /// Whether a command succeeds that says nothing and leaves somebody behind.
    pub fn quietly(&self, args: &[&str]) -> bool {
        let mut command = self.oci(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    pub fn write(&mut self, args: &[&str]) {
        self.set("/process/args", json!(args));
        fs::write(self.dir.path().join("config.json"), self.spec.to_string()).unwrap();
    }

    /// Runs a program to its end: exit code, standard output, standard error.
    pub fn run(&mut self, args: &[&str]) -> (i32, String, String) {
        self.write(args);
        let id = self.id.clone();
        let output = self.call(&["run", &id]);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// The same with a shell line.
    pub fn sh(&mut self, line: &str) -> (i32, String, String) {
        self.run(&["sh", "-c", line])
    }

    /// What the runtime says it is doing.
    pub fn state(&self) -> String {
        let output = self.call(&["state", &self.id]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let id = self.id.clone();
        self.call(&["delete", "--force", &id]);
    }
}

/// Waits until it holds; a while only.
pub fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("waited in vain");
}
