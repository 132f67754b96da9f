//! Namespaces shared with the host and with other containers, and the devices
//! and kernel parameters that go with them.

use crate::harness::Engine;

/// Runs a script with these options; it must succeed.
fn run(engine: &Engine, options: &[&str], script: &str) -> String {
    let args = [&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat();
    engine.docker(&args).ok().line()
}

/// Runs with these options, and must be told so.
fn refused(engine: &Engine, options: &[&str], code: i32, words: &str) {
    let args = [&["run", "--rm"], options, &["busybox", "true"]].concat();
    engine.docker(&args).code(code).says(words);
}

fn start(engine: &Engine, name: &str, options: &[&str], script: &str) {
    let head = ["run", "-d", "--name", name];
    let args = [&head[..], options, &["busybox", "sh", "-c", script]].concat();
    engine.docker(&args).ok();
}

#[test]
fn pid_namespaces_are_shared_by_name() {
    let engine = Engine::with_busybox();
    start(&engine, "donor", &[], "exec sleep 1234");
    let joined = ["--pid", "container:donor"];
    assert_eq!(run(&engine, &joined, "ps | grep -c '[s]leep 1234'"), "1");
    let id = engine.inspect("donor", "{{.Id}}");
    let create = [
        "create",
        "--name",
        "joiner",
        "--pid",
        "container:donor",
        "busybox",
        "sleep",
        "1000",
    ];
    engine.docker(&create).ok();
    let mode = engine.inspect("joiner", "{{.HostConfig.PidMode}}");
    assert_eq!(mode, format!("container:{id}"));
    engine.docker(&["start", "joiner"]).ok();
    // The kernel ends what is in a pid namespace with its first process.
    engine.docker(&["kill", "donor"]).ok();
    engine.docker(&["wait", "joiner"]).ok().prints("137\n");
    let start = engine.docker(&["start", "joiner"]).code(1);
    start.says(&format!(
        "failed to join PID namespace: container {id} is not running"
    ));
    refused(
        &engine,
        &["--pid", "container:nope"],
        125,
        "No such container: nope",
    );
    refused(&engine, &["--pid", "foo"], 125, "invalid PID mode");
}

#[test]
fn ipc_namespaces_are_shared_when_the_donor_agrees() {
    let engine = Engine::with_busybox();
    start(
        &engine,
        "donor",
        &["--ipc", "shareable", "--shm-size", "1m"],
        "echo x >/dev/shm/it; exec sleep 1000",
    );
    start(&engine, "private", &[], "exec sleep 1000");
    let joined = ["--ipc", "container:donor"];
    let look = "until [ -s /dev/shm/it ]; do sleep 0.1; done; cat /dev/shm/it; df -k /dev/shm | tail -1 | awk '{print $2}'";
    assert_eq!(run(&engine, &joined, look), "x\n1024");
    let namespace = "readlink /proc/self/ns/ipc";
    let donors = engine.inspect("donor", "{{.State.Pid}}");
    let theirs = std::fs::read_link(format!("/proc/{donors}/ns/ipc"));
    if engine.is_gantry() {
        let theirs = theirs.expect("the donor runs");
        assert_eq!(run(&engine, &joined, namespace), theirs.to_string_lossy());
    }
    // Files of the joiner's image and its names are its own all the same.
    assert_eq!(
        run(
            &engine,
            &["--ipc", "container:donor", "--hostname", "own"],
            "hostname; cat /etc/hostname"
        ),
        "own\nown"
    );
    refused(
        &engine,
        &["--ipc", "container:private"],
        125,
        "non-shareable IPC (hint: use IpcMode:shareable",
    );
    refused(
        &engine,
        &["--ipc", "container:"],
        125,
        "failed to join IPC namespace: invalid name or ID supplied: \"\"",
    );
    refused(&engine, &["--ipc", "foo"], 125, "invalid IPC mode");
}

#[test]
fn names_of_the_host_cannot_be_changed() {
    let engine = Engine::with_busybox();
    refused(
        &engine,
        &["--uts", "host", "--hostname", "x"],
        125,
        "conflicting options: hostname and the UTS mode",
    );
    refused(&engine, &["--uts", "foo"], 125, "invalid UTS mode");
    refused(
        &engine,
        &["--uts", "host", "--domainname", "x"],
        125,
        "is not in a separate kernel namespace",
    );
    refused(&engine, &["--cgroupns", "foo"], 125, "cgroup");
    refused(&engine, &["--userns", "foo"], 125, "user");
}

#[test]
fn kernel_parameters_belong_to_a_namespace() {
    let engine = Engine::with_busybox();
    let read = "cat /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn";
    let set = [
        "--sysctl",
        "kernel.shmmax=100000",
        "--sysctl",
        "net.core.somaxconn=77",
    ];
    assert_eq!(run(&engine, &set, read), "100000\n77");
    refused(
        &engine,
        &["--network", "host", "--sysctl", "net.core.somaxconn=77"],
        125,
        "sysctl \"net.core.somaxconn\" not allowed in host network namespace",
    );
    refused(
        &engine,
        &["--ipc", "host", "--sysctl", "kernel.shmmax=1"],
        125,
        "sysctl \"kernel.shmmax\" is not allowed in the hosts ipc namespace",
    );
    refused(
        &engine,
        &["--sysctl", "net.foo=1"],
        127,
        "open sysctl net.foo file",
    );
    refused(
        &engine,
        &["--sysctl", "kernel.msgmax=x"],
        125,
        "failed to write sysctl kernel.msgmax = \"x\"",
    );
}

#[test]
fn devices_are_handed_on_with_their_rights() {
    let engine = Engine::with_busybox();
    let device = ["--device", "/dev/zero:/dev/other"];
    assert_eq!(run(&engine, &device, "head -c 3 /dev/other | wc -c"), "3");
    let read_only = ["--device", "/dev/kmsg:/dev/other:w"];
    let script = "head -c 1 /dev/other 2>/dev/null && echo read || echo refused";
    assert_eq!(run(&engine, &read_only, script), "refused");
    let rule = ["--device-cgroup-rule", "c 1:11 r"];
    let list = "/sys/fs/cgroup/devices/devices.list";
    let script = format!("[ ! -e {list} ] || grep -qx 'c 1:11 r' {list} && echo allowed");
    assert_eq!(run(&engine, &rule, &script), "allowed");
    let gathering = "error gathering device information while adding custom device";
    refused(
        &engine,
        &["--device", "/dev/nope"],
        127,
        &format!("{gathering} \"/dev/nope\": no such file or directory"),
    );
    refused(
        &engine,
        &["--device", "/etc/passwd"],
        125,
        &format!("{gathering} \"/etc/passwd\": not a device node"),
    );
    refused(
        &engine,
        &["--gpus", "all"],
        125,
        "could not select device driver \"\" with capabilities: [[gpu]]",
    );
    refused(
        &engine,
        &["--device", "vendor.com/class=name"],
        125,
        "unresolvable CDI devices vendor.com/class=name",
    );
    refused(
        &engine,
        &["--device-read-bps", "/dev/nope:1mb"],
        127,
        "stat /dev/nope: no such file or directory",
    );
}

#[test]
fn cgroups_are_written_only_on_request() {
    let engine = Engine::with_busybox();
    let script = "if [ -d /sys/fs/cgroup/pids ]; then d=/sys/fs/cgroup/pids; else d=/sys/fs/cgroup; fi; \
                  mkdir $d/inner 2>/dev/null && rmdir $d/inner && echo made || echo refused";
    assert_eq!(run(&engine, &[], script), "refused");
    assert_eq!(
        run(
            &engine,
            &["--security-opt", "writable-cgroups=true"],
            script
        ),
        "made"
    );
    assert_eq!(
        run(
            &engine,
            &["--security-opt", "writable-cgroups=false"],
            script
        ),
        "refused"
    );
    refused(
        &engine,
        &["--security-opt", "writable-cgroups=foo"],
        125,
        "invalid --security-opt 2",
    );
    refused(
        &engine,
        &["--storage-opt", "foo=1"],
        125,
        "Unknown option foo",
    );
}
