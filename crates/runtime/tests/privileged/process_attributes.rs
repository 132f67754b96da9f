//! What a process is given beside its program: limits, schedulers, personality,
//! terminal, descriptors.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::bundle::{Bundle, wait_for};

#[test]
fn limits_are_what_the_document_says() {
    require!();
    let mut bundle = Bundle::new("rlimits");
    let limit =
        |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    let all = [
        limit("RLIMIT_CORE", 0, 1024),
        limit("RLIMIT_NOFILE", 50, 60),
        limit("RLIMIT_NPROC", 700, 800),
        limit("RLIMIT_MEMLOCK", 65536, 131_072),
        limit("RLIMIT_FSIZE", u64::MAX, u64::MAX),
    ];
    bundle.set("/process/rlimits", json!(all));
    let (_, out, err) = bundle.sh("cat /proc/self/limits");
    for (name, soft, hard) in [
        ("Max core file size", "0", "1024"),
        ("Max open files", "50", "60"),
        ("Max processes", "700", "800"),
        ("Max locked memory", "65536", "131072"),
        ("Max file size", "unlimited", "unlimited"),
    ] {
        let line = out.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{err}"));
        let fields: Vec<&str> = line[name.len()..].split_whitespace().collect();
        assert_eq!(fields[..2], [soft, hard], "{name}");
    }
    let mut bundle = Bundle::new("twice");
    let twice = [limit("RLIMIT_CORE", 0, 0), limit("RLIMIT_CORE", 0, 0)];
    bundle.set("/process/rlimits", json!(twice));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("given twice"), "{err}");
}

#[test]
fn the_schedulers_treat_it_as_asked() {
    require!();
    let mut bundle = Bundle::new("sched");
    bundle.set(
        "/process/scheduler",
        json!({"policy": "SCHED_BATCH", "nice": 19}),
    );
    bundle.set(
        "/process/ioPriority",
        json!({"class": "IOPRIO_CLASS_IDLE", "priority": 4}),
    );
    // Fields 19 and 41 of a process: niceness and policy.
    let line =
        "read -r a < /proc/self/stat; set -- ${a##*) }; echo ${17} ${39}; busybox ionice -p 0";
    let (_, out, err) = bundle.sh(line);
    assert!(out.starts_with("19 3\nidle"), "{out}{err}");
    let mut bundle = Bundle::new("badsched");
    bundle.set(
        "/process/scheduler",
        json!({"policy": "SCHED_OTHER", "priority": 3}),
    );
    assert_eq!(bundle.run(&["true"]).0, 1);
    let mut bundle = Bundle::new("badio");
    bundle.set(
        "/process/ioPriority",
        json!({"class": "IOPRIO_CLASS_BE", "priority": 9}),
    );
    assert_eq!(bundle.run(&["true"]).0, 1);
}

#[test]
fn further_processes_run_on_the_processors_of_the_document() {
    require!();
    let mut bundle = Bundle::new("affinity");
    bundle.set(
        "/process/execCPUAffinity",
        json!({"initial": "0", "final": "0"}),
    );
    bundle.write(&[
        "sh",
        "-c",
        "grep Cpus_allowed_list /proc/self/status > /tmp/own; sleep 60",
    ]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["run", "-d", &id]));
    let list = |text: &str| {
        text.split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    let output = bundle.call(&[
        "exec",
        &id,
        "grep",
        "Cpus_allowed_list",
        "/proc/self/status",
    ]);
    assert_eq!(list(&String::from_utf8(output.stdout).unwrap()), "0");
    // The first process has all of them, however this test is bound.
    let own = bundle.rootfs().join("tmp/own");
    wait_for(|| fs::read_to_string(&own).is_ok_and(|text| text.ends_with('\n')));
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let own = fs::read_to_string(own).unwrap();
    let cpuset = fs::read_to_string("/proc/1/status").unwrap();
    let allowed = cpuset
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"))
        .unwrap();
    assert!(
        list(&own) == online.trim() || list(&own) == list(allowed),
        "{own}"
    );
}

#[test]
fn the_kernel_is_as_asked() {
    require!();
    let mut bundle = Bundle::new("persona");
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    bundle.write(&["sleep", "60"]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["run", "-d", &id]));
    let machine = |bundle: &Bundle| {
        let output = bundle.call(&["exec", &id, "busybox", "uname", "-m"]);
        String::from_utf8(output.stdout).unwrap()
    };
    if cfg!(target_arch = "x86_64") {
        assert_eq!(machine(&bundle), "i686\n");
    }
    let mut plain = Bundle::new("plain");
    plain.set("/linux/personality", json!({"domain": "LINUX"}));
    let (_, out, _) = plain.run(&["busybox", "uname", "-m"]);
    assert_eq!(out.trim(), std::env::consts::ARCH);
}

#[test]
fn variables_are_given_once_and_home_is_found() {
    require!();
    let mut bundle = Bundle::new("env");
    bundle.set("/process/env", json!(["PATH=/bin", "A=1", "A=2", "HOME="]));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 100}));
    let (_, out, err) = bundle.run(&["busybox", "env"]);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=2", "HOME=/home/ann", "PATH=/bin"], "{err}");
}

#[test]
fn the_oom_score_is_left_alone_unless_asked_for() {
    require!();
    let read = ["cat", "/proc/self/oom_score_adj"];
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(Bundle::new("oom").run(&read).1, own);
    let mut bundle = Bundle::new("oomset");
    bundle.set("/process/oomScoreAdj", json!(333));
    assert_eq!(bundle.run(&read).1, "333\n");
}

#[test]
fn a_terminal_has_the_size_of_the_document() {
    require!();
    let size = json!({"height": 33, "width": 77});
    let mut bundle = Bundle::new("tty");
    bundle.set("/process/terminal", json!(true));
    bundle.set("/process/consoleSize", size.clone());
    let (_, out, err) =
        bundle.sh("tty; busybox stty size; stat -c %t:%T /dev/console; readlink /dev/ptmx");
    assert_eq!(out, "/dev/pts/0\n33 77\n88:0\npts/ptmx\n", "{err}");
    // Without a terminal the size means nothing.
    let mut bundle = Bundle::new("notty");
    bundle.set("/process/consoleSize", size);
    let (_, out, _) = bundle.sh("tty");
    assert_eq!(out, "not a tty\n");
    // Nobody would hold the other side.
    let mut bundle = Bundle::new("lonetty");
    bundle.set("/process/terminal", json!(true));
    bundle.write(&["true"]);
    assert!(!bundle.quietly(&["create", &bundle.id]));
}

#[test]
fn descriptors_are_passed_on_as_many_as_asked() {
    require!();
    let mut bundle = Bundle::new("fds");
    bundle.write(&["sh", "-c", "ls /proc/self/fd; cat <&3"]);
    let id = bundle.id.clone();
    let run = |count: &str| {
        let line = format!("exec 3< {}; exec 4< /dev/null; exec \"$@\"", "config.json");
        let oci = bundle.oci(&["run", "--preserve-fds", count, &id]);
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", &line, "sh"])
            .arg(oci.get_program())
            .args(oci.get_args());
        let output = shell
            .current_dir(bundle.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // One more is the listing's own.
    assert!(run("1").starts_with("0\n1\n2\n3\n4\n{"), "{}", run("1"));
    let none = run("0");
    assert!(
        none.starts_with("0\n1\n2\n3\n") && !none.contains('{'),
        "{none}"
    );
}

#[test]
fn capabilities_that_cannot_be_had_are_warned_of() {
    require!();
    let mut bundle = Bundle::new("capwarn");
    bundle.set("/process/capabilities/ambient", json!(["CAP_CHOWN"]));
    bundle.set(
        "/process/capabilities/bounding",
        json!(["CAP_CHOWN", "CAP_NOSUCH"]),
    );
    let (code, out, err) = bundle.run(&["grep", "CapBnd", "/proc/self/status"]);
    assert_eq!((code, out.as_str()), (0, "CapBnd:\t0000000000000001\n"));
    assert!(
        err.contains("ignoring unknown or unavailable capabilities: [CAP_NOSUCH]"),
        "{err}"
    );
    assert!(
        err.contains("can't raise ambient capability CAP_CHOWN"),
        "{err}"
    );
    // Without the property there are none at all.
    let mut bundle = Bundle::new("nocaps");
    bundle.set("/process/capabilities", json!(null));
    let (_, out, _) = bundle.run(&["grep", "Cap", "/proc/self/status"]);
    assert_eq!(out.matches("0000000000000000").count(), 5, "{out}");
}
