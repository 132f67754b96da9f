//! The library itself: `Launch` and `Exec` as a shim calls them.
//!
//! Not run by libtest: a process that launches must have one thread only.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, but not libtest's"
)]

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gantry_runtime::oci::Spec;
use gantry_runtime::{
    CgroupJoin, Exec, ExitStatus, Launch, Launched, Rootfs, StartError, Stdio, Step, UserRequest,
    defaults,
};
use gantry_types::Mount;
use serde_json::{Value, json};

fn main() {
    if !rustix::process::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        println!("skipped: needs root and a static /bin/busybox");
        return;
    }
    let tests: [(&str, fn()); 8] = [
        ("overlays_are_mounted_inside", overlays_are_mounted_inside),
        (
            "an_empty_mount_namespace_will_do",
            an_empty_mount_namespace_will_do,
        ),
        ("errors_are_data", errors_are_data),
        ("users_by_name", users_by_name),
        (
            "terminals_are_the_containers_own",
            terminals_are_the_containers_own,
        ),
        ("a_console_that_is_a_link", a_console_that_is_a_link),
        ("network_by_descriptor", network_by_descriptor),
        ("exec_joins", exec_joins),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
}

struct Box {
    dir: tempfile::TempDir,
    mount: Mount,
}

impl Box {
    /// Two lower layers, an upper one.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for sub in ["l1/bin", "l2/etc", "upper", "work"] {
            fs::create_dir_all(path(sub)).unwrap();
        }
        fs::copy("/bin/busybox", path("l1/bin/busybox")).unwrap();
        for applet in ["sh", "cat", "id", "sleep", "tty", "true", "stat"] {
            symlink("busybox", path("l1/bin").join(applet)).unwrap();
        }
        fs::write(
            path("l2/etc/passwd"),
            "root:x:0:0::/r:/bin/sh\nann:x:1000:100::/a:/bin/sh\n",
        )
        .unwrap();
        fs::write(path("l2/etc/group"), "users:x:100:\nwheel:x:10:ann\n").unwrap();
        let mount = Mount::Overlay {
            lower: vec![path("l2"), path("l1")],
            upper: Some((path("upper"), path("work"))),
        };
        Self { dir, mount }
    }

    fn upper(&self) -> PathBuf {
        self.dir.path().join("upper")
    }
}

fn spec(args: &[&str]) -> Spec {
    let kinds = ["mount", "network", "uts", "pid", "ipc"];
    let kinds: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let document = json!({
        "ociVersion": "1.2.0",
        "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"]},
        "mounts": defaults::mounts(false),
        "linux": {"namespaces": kinds},
    });
    serde_json::from_value(document).unwrap()
}

fn launch<'a>(container: &'a Box, spec: &'a Spec, stdio: Stdio<'a>) -> Launch<'a> {
    Launch {
        user_namespace: None,
        id: "test",
        spec,
        bundle: container.dir.path(),
        rootfs: Rootfs::Mount(&container.mount),
        scaffold: &[],
        empty_mounts: None,
        scaffold_layer: None,
        network: None,
        seccomp: None,
        cgroup: CgroupJoin::Inherit,
        stdio,
        hold: None,
        preserve_fds: 0,
        new_keyring: true,
        no_pivot: false,
        user: None,
    }
}

fn end(launched: &Launched) -> ExitStatus {
    gantry_sys::wait_pidfd(&launched.pidfd, true)
        .unwrap()
        .unwrap()
}

/// What a test wants different.
#[derive(Default)]
struct Change<'a> {
    rootfs: Option<&'a Mount>,
    cgroup: Option<CgroupJoin<'a>>,
    user: Option<UserRequest<'a>>,
    network: Option<BorrowedFd<'a>>,
}

/// Runs with output into a pipe; gives what was written.
fn output(change: Change<'_>, args: &[&str]) -> Result<String, StartError> {
    let (container, spec) = (Box::new(), spec(args));
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null: OwnedFd = fs::File::open("/dev/null").unwrap().into();
    let fds = [null.as_fd(), write.as_fd(), write.as_fd()];
    let mut launch = launch(&container, &spec, Stdio::Fds(fds));
    launch.rootfs = Rootfs::Mount(change.rootfs.unwrap_or(&container.mount));
    launch.cgroup = change.cgroup.unwrap_or(CgroupJoin::Inherit);
    launch.user = change.user;
    launch.network = change.network;
    let launched = launch.spawn()?;
    drop(write);
    let mut text = String::new();
    fs::File::from(read).read_to_string(&mut text).unwrap();
    end(&launched);
    Ok(text)
}

fn overlays_are_mounted_inside() {
    let (container, spec) = (Box::new(), spec(&["sh", "-c", "echo new > /made; exit 3"]));
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let launched = launch(&container, &spec, Stdio::Inherit).spawn().unwrap();
    assert_eq!(end(&launched), ExitStatus::Exited(3));
    assert_eq!(
        fs::read_to_string(container.upper().join("made")).unwrap(),
        "new\n"
    );
    assert_eq!(before, fs::read_to_string("/proc/self/mountinfo").unwrap());
}

fn an_empty_mount_namespace_will_do() {
    let empty = gantry_sys::mountns::empty().unwrap();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let script = "cd /..; test -f /host/proc/self/stat && test ! -e /sys/firmware/x && \
        echo new > /made && test \"$(cat /etc/passwd | head -n 1)\" != '' && exit 4";
    let (container, mut spec) = (Box::new(), spec(&["busybox", "sh", "-c", script]));
    // Of everything on the host, files of namespaces too.
    let host = defaults::mount("/host", "bind", "/", &["rbind", "rslave"]);
    spec.mounts.push(host);
    let mut launch = launch(&container, &spec, Stdio::Inherit);
    launch.empty_mounts = Some(empty.as_fd());
    let launched = launch.spawn().unwrap();
    assert!(launched.mounts.is_some());
    assert_eq!(end(&launched), ExitStatus::Exited(4));
    assert!(container.upper().join("made").exists());
    drop(launched);
    assert_eq!(before, fs::read_to_string("/proc/self/mountinfo").unwrap());
}

fn errors_are_data() {
    let error = output(Change::default(), &["nosuch"]).unwrap_err();
    assert!(error.is_not_found() && error.step == Step::Lookup && error.path == "nosuch");
    let error = output(Change::default(), &["/etc/passwd"]).unwrap_err();
    assert!(error.is_not_executable(), "{error:?}");
    let gone = Mount::Overlay {
        lower: vec![PathBuf::from("/nosuch/a"), PathBuf::from("/nosuch/b")],
        upper: None,
    };
    let error = output(
        Change {
            rootfs: Some(&gone),
            ..Change::default()
        },
        &["true"],
    )
    .unwrap_err();
    assert_eq!((error.step, error.errno), (Step::Rootfs, libc::ENOENT));
    let failing = |_| Err(rustix::io::Errno::BUSY);
    let error = output(
        Change {
            cgroup: Some(CgroupJoin::Attach(&failing)),
            ..Change::default()
        },
        &["true"],
    )
    .unwrap_err();
    assert_eq!((error.step, error.errno), (Step::Cgroup, libc::EBUSY));
}

fn users_by_name() {
    let groups = ["wheel".to_owned()];
    let user = UserRequest {
        user: "ann",
        groups: &groups,
    };
    let text = output(
        Change {
            user: Some(user),
            ..Change::default()
        },
        &["sh", "-c", "id; echo $HOME"],
    )
    .unwrap();
    assert_eq!(
        text,
        "uid=1000(ann) gid=100(users) groups=10(wheel),100(users)\n/a\n"
    );
    let user = UserRequest {
        user: "bob",
        groups: &[],
    };
    let error = output(
        Change {
            user: Some(user),
            ..Change::default()
        },
        &["true"],
    )
    .unwrap_err();
    assert_eq!(
        (error.step, error.path.as_str(), error.detail.as_str()),
        (Step::User, "bob", "passwd")
    );
}

fn terminals_are_the_containers_own() {
    let line = "tty; stat -c %t:%T /dev/console; stty size 2>/dev/null; exit 4";
    let (container, spec) = (Box::new(), spec(&["sh", "-c", line]));
    let stdio = Stdio::Terminal {
        size: Some((33, 77)),
        plain_lines: false,
    };
    let launched = launch(&container, &spec, stdio).spawn().unwrap();
    let mut text = Vec::new();
    // The end of a terminal is EIO.
    let _ = fs::File::from(launched.terminal.as_ref().unwrap().try_clone().unwrap())
        .read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("/dev/pts/0\r\n88:0\r\n"), "{text:?}");
    assert_eq!(end(&launched), ExitStatus::Exited(4));
}

/// CVE-2025-52565: the terminal is bound over what a link at `/dev/console` leads
/// to, before anything is hidden. Seen to fail with the link followed.
fn a_console_that_is_a_link() {
    let (container, mut spec) = (Box::new(), spec(&["true"]));
    spec.mounts.retain(|mount| {
        let own_dev = mount.destination.starts_with("/dev");
        !own_dev || mount.destination == Path::new("/dev/pts")
    });
    let dev = container.dir.path().join("l1/dev");
    fs::create_dir_all(dev.join("pts")).unwrap();
    symlink("/etc/passwd", dev.join("console")).unwrap();
    let stdio = Stdio::Terminal {
        size: None,
        plain_lines: false,
    };
    let error = launch(&container, &spec, stdio).spawn().unwrap_err();
    assert_eq!(
        (error.step, error.path.as_str()),
        (Step::Terminal, "/dev/console")
    );
    assert_eq!(error.errno, rustix::io::Errno::LOOP.raw_os_error());
}

fn network_by_descriptor() {
    let (namespace, inside) =
        gantry_sys::netns::create_and(|| fs::read_link("/proc/thread-self/ns/net").unwrap())
            .unwrap();
    let change = Change {
        network: Some(namespace.as_fd()),
        ..Change::default()
    };
    let text = output(change, &["sh", "-c", "busybox readlink /proc/self/ns/net"]).unwrap();
    assert_eq!(text.trim(), inside.to_str().unwrap());
}

fn exec_joins() {
    let (container, spec) = (Box::new(), spec(&["sleep", "60"]));
    let launched = launch(&container, &spec, Stdio::Inherit).spawn().unwrap();
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let process = self::spec(&["sh", "-c", "id; cat /proc/1/comm; exit 6"]);
    let process = process.process.clone().unwrap();
    let null: OwnedFd = fs::File::open("/dev/null").unwrap().into();
    let exec = Exec {
        target: launched.pid,
        process: &process,
        seccomp: None,
        listener: None,
        cgroup: CgroupJoin::Inherit,
        stdio: Stdio::Fds([null.as_fd(), write.as_fd(), write.as_fd()]),
        preserve_fds: 0,
        personality: None,
        user: Some(UserRequest {
            user: "1000:100",
            groups: &[],
        }),
    };
    let joined = exec.spawn().unwrap();
    drop(write);
    let mut text = String::new();
    fs::File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        "uid=1000(ann) gid=100(users) groups=100(users)\nsleep\n"
    );
    assert_eq!(end(&joined), ExitStatus::Exited(6));
    // We ourselves are where we were.
    let (mine, childs) = ("/proc/self/ns/pid", "/proc/self/ns/pid_for_children");
    assert_eq!(fs::read_link(mine).unwrap(), fs::read_link(childs).unwrap());
    gantry_sys::pidfd_send_signal(&launched.pidfd, 9).unwrap();
    assert_eq!(end(&launched), ExitStatus::Signaled(9));
}
