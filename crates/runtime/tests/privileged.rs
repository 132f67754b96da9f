//! Real containers through the command line: busybox in all namespaces.
//!
//! Needs root and `/bin/busybox` (static). Each test has its own bundle, root
//! and cgroup, and cleans up after itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gantry_runtime::{CapabilityMask, defaults, seccomp};
use serde_json::{Value, json};

/// Skips the test, visibly, where it cannot run.
macro_rules! require {
    () => {
        if !rustix::process::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
            println!("skipped: needs root and a static /bin/busybox");
            return;
        }
    };
}

/// A bundle with busybox, and a root for the runtime.
struct Bundle {
    dir: tempfile::TempDir,
    id: String,
    spec: Value,
}

impl Bundle {
    fn new(name: &str) -> Self {
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
        let id = format!("rt-{name}-{}", std::process::id());
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

    fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Changes the spec at a JSON pointer.
    fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.spec.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    fn add_mount(&mut self, mount: Value) -> &mut Self {
        self.spec["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    fn oci(&self, args: &[&str]) -> Command {
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

    fn call(&self, args: &[&str]) -> Output {
        self.oci(args).output().unwrap()
    }

    fn write(&mut self, args: &[&str]) {
        self.set("/process/args", json!(args));
        fs::write(self.dir.path().join("config.json"), self.spec.to_string()).unwrap();
    }

    /// Runs a program to its end: exit code, standard output, standard error.
    fn run(&mut self, args: &[&str]) -> (i32, String, String) {
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
    fn sh(&mut self, line: &str) -> (i32, String, String) {
        self.run(&["sh", "-c", line])
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let id = self.id.clone();
        self.call(&["delete", "--force", &id]);
    }
}

#[test]
fn a_container_is_alone() {
    require!();
    let (code, out, err) = Bundle::new("alone")
        .sh("id -u; cat /proc/sys/kernel/hostname; ls -d /proc/[0-9]* ; ls /sys/class/net");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("0\nbox\n/proc/1\n"), "{out}");
    assert!(out.contains("\nlo\n") && !out.contains("eth"), "{out}");
}

#[test]
fn exit_codes_and_signals_come_through() {
    require!();
    assert_eq!(Bundle::new("seven").sh("exit 7").0, 7);
    let mut bundle = Bundle::new("killed");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    let child = bundle
        .oci(&["run", &id])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| state(&bundle) == "running");
    assert!(bundle.call(&["kill", &id, "KILL"]).status.success());
    let status = child.wait_with_output().unwrap().status;
    assert_eq!(status.code(), Some(137));
    assert_eq!(bundle.call(&["state", &id]).status.code(), Some(1));
}

fn state(bundle: &Bundle) -> String {
    let output = bundle.call(&["state", &bundle.id]);
    let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    state["status"].as_str().unwrap_or_default().to_owned()
}

fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("waited in vain");
}

#[test]
fn programs_that_cannot_run_are_told_apart() {
    require!();
    for (program, words) in [
        (
            "nosuch",
            r#"exec: \"nosuch\": executable file not found in $PATH"#,
        ),
        ("/nosuch", "stat /nosuch: no such file or directory"),
        ("/etc/passwd", "permission denied"),
        ("/etc", "is a directory"),
    ] {
        let (code, out, err) = Bundle::new("cannot").run(&[program]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn capabilities_and_no_new_privileges() {
    require!();
    let line = "grep -E 'Cap(Eff|Bnd)|NoNew|Seccomp:' /proc/self/status";
    let (_, out, err) = Bundle::new("caps").sh(line);
    let expected =
        "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n";
    assert_eq!(out, expected, "{err}");
    let mut bundle = Bundle::new("nnp");
    bundle.set("/process/noNewPrivileges", json!(true));
    bundle.set(
        "/process/user",
        json!({"uid": 1000, "gid": 100, "additionalGids": [5], "umask": 63}),
    );
    let ambient = json!(["CAP_NET_RAW"]);
    bundle.set("/process/capabilities/inheritable", ambient.clone());
    bundle.set("/process/capabilities/ambient", ambient);
    let (_, out, err) = bundle.sh(&format!("{line}; id; umask; echo $HOME"));
    assert!(out.contains("CapEff:\t0000000000002000"), "{out}{err}");
    assert!(out.contains("NoNewPrivs:\t1\nSeccomp:\t2"), "{out}{err}");
    assert!(
        out.contains("uid=1000(ann) gid=100 groups=5\n0077\n/home/ann\n"),
        "{out}{err}"
    );
}

#[test]
fn seccomp_denies() {
    require!();
    let (code, out, err) = Bundle::new("deny").sh("mount -t tmpfs x /tmp; echo rc=$?");
    assert!(
        code == 0 && out == "rc=1\n" && err.contains("mount"),
        "{out}{err}"
    );
    // A profile that turns chmod into EXDEV, for a user without privilege too.
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO","errnoRet":18}]}"#;
    let mut bundle = Bundle::new("profile");
    let profile = seccomp::from_profile(profile, CapabilityMask::EMPTY).unwrap();
    bundle.set("/linux/seccomp", json!(profile));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 100}));
    let (_, _, err) = bundle.sh("chmod 700 /tmp");
    assert!(err.contains("Invalid cross-device link"), "{err}");
}

#[test]
fn read_only_and_masked() {
    require!();
    let mut bundle = Bundle::new("ro");
    bundle.set("/root/readonly", json!(true));
    let (_, out, err) = bundle.sh(
        "touch /x; echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/keys /proc/timer_list; ls /sys/firmware; touch /dev/shm/ok && echo shm; [ -d /sys/fs/cgroup/pids ] && d=/sys/fs/cgroup/pids || d=/sys/fs/cgroup; mkdir $d/x",
    );
    assert_eq!(out, "shm\n");
    assert_eq!(err.matches("Read-only file system").count(), 3, "{err}");
}

#[test]
fn devices_and_links_are_there() {
    require!();
    let (_, out, err) = Bundle::new("dev").sh(
        "for d in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$d; done; ls -l /dev/fd /dev/ptmx | grep -o '[^ ]* -> .*'; echo x > /dev/null; echo y > /dev/stdout",
    );
    let expected = "\
/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n/dev/random 666 1:8\n\
/dev/urandom 666 1:9\n/dev/tty 666 5:0\n/dev/fd -> /proc/self/fd\n/dev/ptmx -> pts/ptmx\ny\n";
    assert_eq!(out, expected, "{err}");
}

#[test]
fn binds_of_files_and_directories() {
    require!();
    let mut bundle = Bundle::new("bind");
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("file"), "content").unwrap();
    let bind = |from: &Path, to: &str, options: &[&str]| json!({"destination": to, "type": "bind", "source": from, "options": options});
    bundle.add_mount(bind(
        &source,
        "/data/new",
        &["rbind", "ro", "nosuid", "rprivate"],
    ));
    bundle.add_mount(bind(&source.join("file"), "/etc/some/file", &["bind"]));
    bundle.add_mount(bind(&source, "/rw", &["bind"]));
    let (_, out, err) = bundle.sh(
        "cat /etc/some/file; touch /data/new/x; touch /rw/made; grep ' /data/new ' /proc/self/mountinfo | grep -o 'ro,nosuid'",
    );
    assert_eq!(out, "contentro,nosuid\n", "{err}");
    assert!(err.contains("Read-only"), "{err}");
    assert!(source.join("made").exists());
}

#[test]
fn hostile_targets_stay_inside() {
    require!();
    let mut bundle = Bundle::new("hostile");
    let outside = bundle.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let rootfs = bundle.rootfs();
    symlink(&outside, rootfs.join("absolute")).unwrap();
    symlink("../outside", rootfs.join("relative")).unwrap();
    symlink("/proc/self/root/tmp", rootfs.join("magic")).unwrap();
    let tmpfs =
        |to: &str| json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": []});
    bundle.add_mount(tmpfs("/absolute/a"));
    bundle.add_mount(tmpfs("/relative/b"));
    bundle.add_mount(tmpfs("/../../../../outside/c"));
    bundle.add_mount(json!({"destination": "/absolute/f", "type": "bind", "source": "/dev/null", "options": ["bind"]}));
    let (code, _, err) = bundle.run(&["true"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "escaped");

    // /proc must not be led elsewhere.
    let mut bundle = Bundle::new("procdir");
    symlink("/tmp", bundle.rootfs().join("proc")).unwrap();
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("ordinary directory"), "{err}");
}

#[test]
fn nothing_of_the_host_is_left() {
    require!();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut bundle = Bundle::new("left");
    let (_, out, _) = bundle.sh("cat /proc/self/mountinfo; ls /");
    assert!(!out.contains(" /old") && !out.contains("/usr/"), "{out}");
    let device = fs::metadata(bundle.rootfs()).unwrap().dev();
    assert!(device > 0);
    let path = bundle.rootfs();
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(
        before.contains(path.to_str().unwrap()),
        after.contains(path.to_str().unwrap())
    );
    let cgroup = format!("/sys/fs/cgroup/pids/gantry-runtime-test-{}", bundle.id);
    assert!(!Path::new(&cgroup).exists());
}

#[test]
fn create_start_exec_delete() {
    require!();
    let mut bundle = Bundle::new("life");
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    let call = |args: &[&str]| bundle.call(args);
    assert!(
        bundle
            .oci(&["create", "--pid-file", "pid", &id])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(state(&bundle), "created");
    let pid = fs::read_to_string(bundle.dir.path().join("pid")).unwrap();
    assert!(pid.parse::<u32>().is_ok());
    assert_eq!(call(&["create", &id]).status.code(), Some(1));
    assert!(call(&["start", &id]).status.success());
    assert_eq!(state(&bundle), "running");
    assert_eq!(call(&["start", &id]).status.code(), Some(1));
    assert_eq!(call(&["delete", &id]).status.code(), Some(1));
    let output = call(&[
        "exec",
        "-e",
        "A=b",
        "-u",
        "1000:100",
        &id,
        "sh",
        "-c",
        "echo $A; id -u; ls -d /proc/[0-9]*; exit 5",
    ]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("b\n1000\n/proc/1\n"), "{out}");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(call(&["exec", &id, "nosuch"]).status.code(), Some(255));
    assert!(call(&["pause", &id]).status.success());
    assert_eq!(state(&bundle), "paused");
    assert_eq!(call(&["exec", &id, "true"]).status.code(), Some(255));
    assert!(call(&["resume", &id]).status.success());
    assert!(call(&["delete", "-f", &id]).status.success());
    assert_eq!(call(&["state", &id]).status.code(), Some(1));
    assert_eq!(call(&["delete", "-f", &id]).status.code(), Some(0));
}

#[test]
fn a_user_namespace_has_its_own_root() {
    require!();
    let mut bundle = Bundle::new("userns");
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    bundle.set("/process/oomScoreAdj", json!(100));
    // The mapped root must have a way to the bundle.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bundle.dir.path(), open).unwrap();
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let (code, out, err) = bundle.sh("id -u; cat /proc/self/oom_score_adj; stat -c %u /dev/mqueue; echo x > /dev/null && echo ok");
    assert_eq!((code, out.as_str()), (0, "0\n100\n0\nok\n"), "{err}");
}

#[test]
fn hooks_run_in_order_and_failures_end_the_start() {
    require!();
    let mut bundle = Bundle::new("hooks");
    let log = bundle.dir.path().join("log");
    let hook = |name: &str| {
        let line = format!("cat > /dev/null; echo {name} >> {}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let mut hooks = json!({});
    for name in [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ] {
        hooks[name] = hook(name);
    }
    bundle.set("/hooks", hooks);
    assert_eq!(bundle.run(&["true"]).0, 0);
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(
        text,
        "prestart\ncreateRuntime\ncreateContainer\npoststart\npoststop\n"
    );
    let mut bundle = Bundle::new("badhook");
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("run hook"), "{err}");
}

#[test]
fn kernel_parameters_of_the_host_are_refused() {
    require!();
    let mut bundle = Bundle::new("sysctl");
    bundle.set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321"}),
    );
    let (_, out, err) = bundle.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax");
    assert_eq!(out, "1\n4321\n", "{err}");
    for key in ["vm.swappiness", "kernel.panic", "net/../vm/swappiness"] {
        let mut bundle = Bundle::new("sysctlbad");
        bundle.set("/linux/sysctl", json!({key: "1"}));
        assert_eq!(bundle.run(&["true"]).0, 1, "{key}");
    }
}

#[test]
fn limits_and_working_directory() {
    require!();
    let mut bundle = Bundle::new("limits");
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]),
    );
    bundle.set("/process/cwd", json!("/work/made/now"));
    bundle.set("/process/oomScoreAdj", json!(77));
    let (_, out, err) = bundle.sh("ulimit -n; ulimit -Hn; pwd; cat /proc/self/oom_score_adj");
    assert_eq!(out, "100\n200\n/work/made/now\n77\n", "{err}");
    let mut bundle = Bundle::new("nodir");
    bundle.set("/process/cwd", json!("/etc/passwd"));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("not a directory"), "{err}");
}

#[test]
fn binds_can_show_other_owners() {
    require!();
    let mut bundle = Bundle::new("idmap");
    let shared = bundle.dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "x").unwrap();
    std::os::unix::fs::chown(&shared, Some(5000), Some(6000)).unwrap();
    std::os::unix::fs::chown(shared.join("file"), Some(5000), Some(6000)).unwrap();
    let ids = |host: u32| json!([{"containerID": host, "hostID": 0, "size": 10}]);
    bundle.add_mount(json!({
        "destination": "/shared", "type": "bind", "source": shared, "options": ["rbind"],
        "uidMappings": ids(5000), "gidMappings": ids(6000),
    }));
    let (_, out, err) = bundle.sh("stat -c %u:%g /shared/file; touch /shared/new");
    if err.contains("invalid argument") {
        println!("skipped: the file system here has no id mappings");
        return;
    }
    assert_eq!(out, "0:0\n", "{err}");
    let new = fs::metadata(shared.join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (5000, 6000));
    // Only binds have a source whose owners could be shown.
    let mut bundle = Bundle::new("idmapbad");
    bundle.add_mount(json!({
        "destination": "/x", "type": "tmpfs", "uidMappings": ids(0), "gidMappings": ids(0),
    }));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("only bind mounts"), "{err}");
}

#[test]
fn limits_can_be_changed_and_seen() {
    require!();
    let mut bundle = Bundle::new("update");
    bundle.set("/process/args", json!(["sleep", "60"]));
    fs::write(
        bundle.dir.path().join("config.json"),
        bundle.spec.to_string(),
    )
    .unwrap();
    let id = bundle.id.clone();
    let null = || Stdio::null();
    let run = |args: &[&str]| {
        let mut command = bundle.oci(args);
        command.stdout(null()).stderr(null()).status().unwrap()
    };
    assert!(run(&["run", "-d", &id]).success());
    assert!(run(&["update", "--pids-limit", "77", "--memory", "64m", &id]).success());
    assert!(!run(&["update", "--memory", "lots", &id]).success());
    let stats = bundle.call(&["events", "--stats", &id]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(
        (&stats["type"], &stats["id"]),
        (&json!("stats"), &json!(id))
    );
    assert_eq!(stats["data"]["pids"]["limit"], 77);
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 64 << 20);
    let document = r#"{"pids":{"limit":88}}"#;
    fs::write(bundle.dir.path().join("limits.json"), document).unwrap();
    assert!(run(&["update", "-r", "limits.json", &id]).success());
    let stats = bundle.call(&["events", "--stats", &id]);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 88);
    assert!(run(&["delete", "-f", &id]).success());
    assert!(!run(&["events", "--stats", &id]).success());
}
