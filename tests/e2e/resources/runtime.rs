//! Limits that only the OCI runtime's own specification can name: huge pages,
//! RDMA, and files of the unified hierarchy as they are.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::folders::Folders;
use crate::gantry_only;
use crate::harness::{Engine, busybox_tar, command, finish, gantry_binary, remark};

/// A bundle with busybox, and a place for the runtime's state.
pub struct Bundle {
    dir: tempfile::TempDir,
    id: String,
    global: Vec<&'static str>,
}

impl Bundle {
    /// One with these limits.
    pub fn new(resources: &Value) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let rootfs = dir.path().join("rootfs");
        std::fs::create_dir(&rootfs).expect("a folder");
        let mut tar = command("tar", &["-xf", &busybox_tar().to_string_lossy(), "-C"]);
        finish(tar.arg(&rootfs), b"").ok();
        let id = format!(
            "gantry-e2e-{}",
            dir.path().file_name().map_or_else(
                || "x".to_owned(),
                |name| name.to_string_lossy().trim_start_matches('.').to_owned()
            )
        );
        let bundle = Self {
            dir,
            id,
            global: Vec::new(),
        };
        bundle
            .runtime(&["spec", "--bundle", &bundle.path()])
            .ok_or_say();
        let config = bundle.dir.path().join("config.json");
        let text = std::fs::read(&config).expect("a specification");
        let mut spec: Value = serde_json::from_slice(&text).expect("JSON");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sleep", "1000"]);
        spec["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
        spec["linux"]["resources"] = resources.clone();
        std::fs::write(&config, spec.to_string()).expect("the specification is written");
        bundle
    }

    fn path(&self) -> String {
        self.dir.path().display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut runtime = Command::new(gantry_binary());
        let root = self.dir.path().join("state");
        runtime.args(["runtime", "--root"]).arg(root);
        runtime.args(&self.global).args(args);
        runtime
    }

    fn runtime(&self, args: &[&str]) -> Told {
        Told(finish(&mut self.command(args), b""))
    }

    /// Has systemd make its cgroup in a slice; the unit's name.
    pub fn systemd(&mut self, slice: &str) -> String {
        self.global.push("--systemd-cgroup");
        let config = self.dir.path().join("config.json");
        let text = std::fs::read(&config).expect("a specification");
        let mut spec: Value = serde_json::from_slice(&text).expect("JSON");
        spec["linux"]["cgroupsPath"] = json!(format!("{slice}:test:{}", self.id));
        std::fs::write(&config, spec.to_string()).expect("the specification is written");
        format!("test-{}.scope", self.id)
    }

    /// Starts it; the folders of its process.
    pub fn start(&self) -> Folders {
        let pid = self.dir.path().join("pid");
        let file = pid.display().to_string();
        // A process that stays must not hold the test's own pipes.
        let mut run = self.command(&[
            "run",
            "--detach",
            "--pid-file",
            &file,
            "--bundle",
            &self.path(),
            &self.id,
        ]);
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a file");
        run.stdout(log.try_clone().expect("a handle")).stderr(log);
        let status = run
            .stdin(std::process::Stdio::null())
            .status()
            .expect("the runtime runs");
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(status.success(), "{log}");
        let pid = std::fs::read_to_string(Path::new(&file)).expect("a pid file");
        Folders::of(pid.trim())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.runtime(&["delete", "--force", &self.id]);
    }
}

struct Told(crate::harness::Outcome);

impl Told {
    #[track_caller]
    fn ok_or_say(self) {
        self.0.ok();
    }
}

/// Whether this machine has a controller, on whichever hierarchy.
fn has(controller: &str) -> bool {
    let own = Folders::of("self");
    let unified = own.get("").and_then(|folder| {
        folder
            .ancestors()
            .find_map(|dir| std::fs::read_to_string(dir.join("cgroup.controllers")).ok())
    });
    let unified = unified.unwrap_or_default();
    own.get(controller).is_some() || unified.split_whitespace().any(|name| name == controller)
}

#[test]
fn huge_pages_are_limited() {
    let engine = Engine::start();
    gantry_only!(engine);
    if !has("hugetlb") || !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
        remark("SKIPPED: this machine has no huge pages to limit");
        return;
    }
    let bundle = Bundle::new(&json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}));
    let folders = bundle.start();
    let found = folders
        .read("hugetlb", "hugetlb.2MB.limit_in_bytes")
        .or_else(|| folders.read("", "hugetlb.2MB.max"));
    assert_eq!(found.as_deref(), Some("4194304"));
}

#[test]
fn files_of_the_unified_hierarchy_are_written_as_they_are() {
    let engine = Engine::start();
    gantry_only!(engine);
    if Folders::of("self").all().len() > 1 {
        remark("SKIPPED: cgroups are not unified here");
        return;
    }
    let unified = json!({"memory.high": "50331648", "pids.max": "77"});
    let bundle = Bundle::new(&json!({"unified": unified}));
    let folders = bundle.start();
    assert_eq!(folders.read("", "memory.high").as_deref(), Some("50331648"));
    assert_eq!(folders.read("", "pids.max").as_deref(), Some("77"));
}
