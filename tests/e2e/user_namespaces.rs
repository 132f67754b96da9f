//! Containers with ids of their own: `--userns auto`, which only our client knows,
//! and the daemon's `userns-remap`.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::harness::Engine;

/// First id on the host and number of ids of a running container.
fn range(engine: &Engine, container: &str) -> (u32, u32) {
    let text = engine
        .gantry(&["exec", container, "cat", "/proc/self/uid_map"])
        .ok()
        .stdout;
    let numbers: Vec<u32> = text
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert_eq!(numbers.len(), 3, "{text}");
    assert_eq!(numbers[0], 0, "{text}");
    (numbers[1], numbers[2])
}

fn upper(engine: &Engine, container: &str) -> PathBuf {
    engine
        .inspect(container, "{{.GraphDriver.Data.UpperDir}}")
        .into()
}

fn auto(engine: &Engine, name: &str) {
    engine
        .gantry(&[
            "run", "-d", "--name", name, "--userns", "auto", "busybox", "sleep", "1000",
        ])
        .ok();
}

#[test]
fn ranges_never_overlap_and_outlive_the_daemon() {
    let mut engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    auto(&engine, "one");
    auto(&engine, "two");
    let (one, two) = (range(&engine, "one"), range(&engine, "two"));
    assert_eq!((one.1, two.1), (65536, 65536));
    assert!(
        one.0 >= 100_000 && two.0 >= one.0 + one.1,
        "{one:?} {two:?}"
    );
    engine.kill_daemon();
    engine.boot();
    auto(&engine, "three");
    assert!(range(&engine, "three").0 >= two.0 + two.1);
    engine.gantry(&["rm", "-f", "one"]).ok();
    auto(&engine, "four");
    assert_eq!(
        range(&engine, "four"),
        one,
        "a removed container's are free"
    );
    engine.gantry(&["restart", "-t", "0", "two"]).ok();
    assert_eq!(range(&engine, "two"), two);
    assert_eq!(engine.inspect("two", "{{.HostConfig.UsernsMode}}"), "auto");
    engine
        .gantry(&["run", "--rm", "--userns", "auto:size=70", "busybox", "cat"])
        .ok();
    engine
        .gantry(&[
            "run",
            "--userns",
            "auto:uidmapping=0:0:1",
            "busybox",
            "true",
        ])
        .code(125)
        .says("uidmapping");
    engine
        .gantry(&["run", "--userns", "nonesuch", "busybox", "true"])
        .code(125)
        .says("--userns: invalid USER mode");
}

#[test]
fn files_keep_the_owners_that_the_container_sees() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let script = "set -e; echo new >/etc/group; touch /mine; chown 1000:33 /mine; rm /etc/passwd; \
                  mv /home /house; chown -R 7:8 /house; ls -lnd /mine /house /etc/group | \
                  tr -s ' ' | cut -d' ' -f1,3,4";
    let run = [
        "run", "--name", "box", "--userns", "auto", "busybox", "sh", "-c", script,
    ];
    let seen = engine.gantry(&run).ok().stdout;
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        ["-rw-r--r-- 0 0", "-rw-r--r-- 1000 33", "drwxr-xr-x 7 8"]
    );
    let on_disk = std::fs::metadata(upper(&engine, "box").join("mine")).expect("the file");
    assert_eq!((on_disk.uid(), on_disk.gid()), (1000, 33));
    // The same files, with other ids and with the host's.
    for options in [&["--userns", "auto"][..], &["--userns", "host"]] {
        let upper = upper(&engine, "box");
        let bind = format!("{}:/see", upper.display());
        let show = [
            "-v",
            &bind,
            "busybox",
            "sh",
            "-c",
            "ls -ln /see/mine | tr -s ' ' | cut -d' ' -f3,4",
        ];
        let shown = engine
            .gantry(&[&["run", "--rm"], options, &show].concat())
            .ok();
        let expected = match options[1] {
            "host" => "1000 33",
            // Binds are as they are on the host.
            _ => "65534 65534",
        };
        assert_eq!(shown.line(), expected);
    }
}

#[test]
fn a_container_is_whole_in_there() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let script = "set -e; test $(id -u) = 0; ping -c 1 127.0.0.1 >/dev/null; touch /dev/shm/x /t/x; \
                  echo out >/dev/stdout; echo x >>/etc/hosts; cat /etc/resolv.conf >/dev/null; \
                  test $(ulimit -n) = 77; test -d /sys/class/net/eth0; test -d /sys/fs/cgroup; \
                  echo >/dev/null; head -c 1 /dev/zero >/dev/null; \
                  mount -t tmpfs none /tmp; ! mknod /root/disk b 1 0 2>/dev/null; \
                  ip link set lo mtu 1000";
    let options = [
        "run",
        "--rm",
        "--init",
        "--userns",
        "auto",
        "--tmpfs",
        "/t",
        "--ulimit",
        "nofile=77:99",
        "--cap-add",
        "SYS_ADMIN",
        "--cap-add",
        "NET_ADMIN",
        "--security-opt",
        "apparmor=unconfined",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    assert_eq!(engine.gantry(&options).ok().line(), "out");
    let user = [
        "run",
        "--rm",
        "--userns",
        "auto",
        "-u",
        "user",
        "busybox",
        "sh",
        "-c",
        "id; echo err >/dev/stderr",
    ];
    engine
        .gantry(&user)
        .ok()
        .prints("uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n")
        .says("err");
    auto(&engine, "box");
    engine
        .gantry(&[
            "exec",
            "-u",
            "user",
            "box",
            "sh",
            "-c",
            "id -u; echo err >/dev/stderr",
        ])
        .ok()
        .prints("1000\n")
        .says("err");
    let pid = engine.inspect("box", "{{.State.Pid}}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let uid = status.lines().find(|line| line.starts_with("Uid:"));
    let uid: u32 = uid
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a number");
    assert_eq!(uid, range(&engine, "box").0, "no root of the host");
}

#[test]
fn what_needs_the_hosts_powers_is_refused() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    for (option, words) in [
        (
            &["--privileged"][..],
            "privileged mode is incompatible with user namespaces.  You must run the container in \
             the host namespace when running privileged mode",
        ),
        (
            &["--network", "host"],
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            &["--pid", "host"],
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
    ] {
        let words_of = [&["run", "--userns", "auto"], option, &["busybox", "true"]].concat();
        engine.gantry(&words_of).code(125).says(words);
    }
}

#[test]
fn remap_is_for_all_that_do_not_say() {
    let engine = Engine::start_with(&["--userns-remap", "default"]);
    if !engine.is_gantry() {
        return;
    }
    engine.import_busybox();
    let options = engine.docker(&["info", "-f", "{{.SecurityOptions}}"]).ok();
    assert!(options.stdout.contains("name=userns"), "{options:?}");
    let map = |args: &[&str]| {
        let cat = ["busybox", "cat", "/proc/self/uid_map"];
        let text = engine
            .docker(&[&["run", "--rm"], args, &cat].concat())
            .ok()
            .stdout;
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all = map(&[]);
    assert_eq!((all[0].as_str(), all[2].as_str()), ("0", "65536"));
    assert_eq!(map(&[]), all, "the same for each");
    assert_eq!(map(&["--userns", "host"])[1], "0");
    assert_eq!(map(&["--userns", "host", "--privileged"])[1], "0");
    engine
        .docker(&["run", "--privileged", "busybox", "true"])
        .code(125)
        .says("privileged mode is incompatible with user namespaces.");
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "donor",
            "--ipc",
            "shareable",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    for kind in ["pid", "ipc"] {
        let option = format!("--{kind}=container:donor");
        let link = format!("/proc/self/ns/{kind}");
        let ours = engine
            .docker(&["run", "--rm", &option, "busybox", "readlink", &link])
            .ok()
            .line();
        assert_eq!(
            engine
                .docker(&["exec", "donor", "readlink", &link])
                .ok()
                .line(),
            ours
        );
    }
}

#[test]
fn whose_ids_must_exist() {
    let engine = Engine::start();
    if !engine.is_gantry() {
        return;
    }
    let mut daemon = engine.daemon_command();
    daemon.args(["--userns-remap", "nonesuch", "--validate"]);
    let output = daemon.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && text.contains("nonesuch"),
        "{text}"
    );
}

#[test]
fn a_volume_has_the_same_owners_for_each_container() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        return;
    }
    let run = |userns: &[&str], options: &[&str], script: &str| {
        let words = ["busybox", "sh", "-c", script];
        engine.gantry(&[&["run", "--rm"], userns, options, &words].concat())
    };
    let (auto, host) = (["--userns", "auto"], ["--userns", "host"]);
    let volume = ["-v", "data:/etc"];
    // It begins with what the image has there, as root's.
    let look = "stat -c '%u:%g' /etc /etc/passwd /etc/made 2>/dev/null; true";
    run(&auto, &volume, look).prints("0:0\n0:0\n");
    run(&auto, &volume, "echo x >/etc/made && chown 5:6 /etc/made").ok();
    for userns in [&auto[..], &host, &["--userns", "auto:size=70"]] {
        run(userns, &volume, look).prints("0:0\n0:0\n5:6\n");
    }
    // What the host's root has made there belongs to the container's.
    run(&host, &volume, "echo y >/etc/made && chown 0:0 /etc/made").ok();
    run(&auto, &volume, "echo z >/etc/made").ok();
    let place = engine.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]);
    let made = PathBuf::from(place.ok().line()).join("made");
    let owner = std::fs::metadata(&made).expect("the file");
    assert_eq!((owner.uid(), owner.gid()), (0, 0));
    // So it is for those without a name, and for parts of one.
    run(&auto, &["-v", "/etc"], look).prints("0:0\n0:0\n");
    let part = ["--mount", "type=volume,src=data,dst=/part,volume-subpath=."];
    run(&auto, &part, "stat -c '%u:%g' /part/made").prints("0:0\n");
    // Two at once, with ids that are not the same.
    for name in ["one", "two"] {
        let start = ["-d", "--name", name, "-v", "data:/data"];
        let words = ["busybox", "sleep", "1000"];
        engine
            .gantry(&[&["run"], &auto[..], &start, &words].concat())
            .ok();
    }
    assert_ne!(range(&engine, "one"), range(&engine, "two"));
    let write = [
        "exec",
        "one",
        "sh",
        "-c",
        "echo w >/data/both && chown 7 /data/both",
    ];
    engine.gantry(&write).ok();
    let read = ["exec", "two", "stat", "-c", "%u:%g", "/data/both"];
    engine.gantry(&read).prints("7:0\n");
    engine.gantry(&["rm", "-f", "one", "two"]).ok();
}
