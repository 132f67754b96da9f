//! What the classic builder does in its own way, and what the options of its steps become
//! there.

use crate::gantry_only;
use crate::harness::{Engine, folder, remark};

#[test]
fn a_volume_is_not_put_over_a_file() {
    let engine = Engine::with_busybox();
    let file = "FROM busybox\nRUN touch /foo\nVOLUME /foo\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    let refused = engine.classic_build(&dir, &["--force-rm"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = "cannot mount volume over existing file, file exists";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let file = "FROM busybox\nRUN mkdir /foo\nVOLUME /foo /new\nRUN touch /foo/lost\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    engine.classic_build(&dir, &["-t", "built"]).ok();
    let none = engine.docker(&["run", "--rm", "built", "ls", "/foo"]);
    none.ok().prints("");
}

#[test]
fn a_command_of_no_words_is_the_images_own() {
    let engine = Engine::with_busybox();
    for (own, code, said) in [
        ("CMD [\"echo\", \"own\", \"words\"]", 0, "own words\n"),
        // Of a program the arguments are not.
        ("ENTRYPOINT [\"sh\", \"-c\"]\nCMD [\"echo own\"]", 2, "-c"),
    ] {
        let file = format!("FROM busybox\n{own}\nRUN []\n");
        let dir = folder(&engine, "context", &[("Dockerfile", &file)]);
        let built = engine.classic_build(&dir, &["--force-rm"]);
        assert_eq!(built.code, code, "{built:?}");
        assert!(built.stdout.contains(said), "{}", built.stdout);
        let failed = format!("The command '' returned a non-zero code: {code}");
        assert_eq!(built.stderr.contains(&failed), code != 0, "{built:?}");
    }
}

#[test]
fn a_copy_is_what_it_takes_not_how_that_is_named() {
    let engine = Engine::with_busybox();
    let build = |from: &str, name: &str| {
        let file = format!("FROM busybox\nCOPY {from} /tmp/\n");
        let dir = folder(
            &engine,
            "context",
            &[("Dockerfile", &file), ("file1.txt", "x")],
        );
        engine.classic_build(&dir, &["-t", name]).ok();
        engine.inspect(name, "{{.Id}}")
    };
    assert_eq!(build("file1.txt", "one"), build("file*.txt", "two"));
}

/// What a step sees of what it was given; the hierarchies of cgroups may be of either kind.
const SEEN: &str = "FROM busybox\nRUN cd /sys/fs/cgroup; \
    first() { for f; do [ -e $f ] && cat $f && return; done; echo none; }; \
    echo memory $(first memory/memory.limit_in_bytes memory.max); \
    echo swap $(first memory/memory.memsw.limit_in_bytes memory.swap.max); \
    echo shares $(first cpu/cpu.shares cpu,cpuacct/cpu.shares cpu.weight); \
    echo quota $(first cpu/cpu.cfs_quota_us cpu,cpuacct/cpu.cfs_quota_us cpu.max); \
    echo cpus $(first cpuset/cpuset.cpus cpuset.cpus); \
    echo open $(ulimit -n); echo shm $(df -k /dev/shm | tail -1); \
    echo mems $(first cpuset/cpuset.mems cpuset.mems); \
    echo hosts $(grep far /etc/hosts); echo net $(ls /sys/class/net)\n";

#[test]
fn the_options_of_steps_reach_them() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dir = folder(&engine, "context", &[("Dockerfile", SEEN)]);
    let parent = format!("{}/steps", engine.cgroup_parent());
    let given = [
        "--memory=64m",
        "--memory-swap=96m",
        "--cpu-shares=512",
        "--cpu-period=100000",
        "--cpu-quota=50000",
        "--cpuset-cpus=0",
        "--cpuset-mems=0",
        "--ulimit=nofile=77:77",
        "--shm-size=3m",
        "--add-host=far:10.9.8.7",
        "--network=none",
        "--cgroup-parent",
        &parent,
        "--isolation=default",
    ];
    let built = engine.classic_build(&dir, &given).ok().stdout;
    let seen = |name: &str| {
        let line = built.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {built}")).trim()
    };
    let is = |name: &str, values: &[&str]| match seen(name) {
        "none" => remark(&format!("SKIPPED: no cgroup says what {name} is")),
        value => assert!(values.contains(&value), "{name}: {value}"),
    };
    is("memory", &["67108864"]);
    is("swap", &["100663296", "33554432"]);
    is("shares", &["512", "20"]);
    is("quota", &["50000", "50000 100000"]);
    is("cpus", &["0"]);
    is("mems", &["0"]);
    assert_eq!(seen("open"), "77");
    assert!(seen("shm").contains(" 3072 "), "{}", seen("shm"));
    assert_eq!(seen("hosts"), "10.9.8.7 far");
    assert_eq!(seen("net"), "lo");
    for (refused, words) in [
        ("--isolation=hyperv", "unsupported isolation: \"hyperv\""),
        (
            "--security-opt=seccomp=unconfined",
            "security options are not supported on linux",
        ),
        ("--cpuset-cpus=4096", "Requested CPUs are not available"),
        ("--memory=1", "Minimum memory limit allowed is 6MB"),
        ("--network=container:nobody", "No such container: nobody"),
    ] {
        let outcome = engine.classic_build(&dir, &[refused, "--no-cache", "--force-rm"]);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_ne!(outcome.code, 0, "{refused}: {said}");
        assert!(
            said.to_lowercase().contains(&words.to_lowercase()),
            "{refused}: {said}"
        );
    }
    engine.docker(&["ps", "-aq"]).ok().prints("");
    // Whose parent was named stays, as everywhere.
    let mut parents = engine.cgroups();
    parents.retain(|parent| std::fs::remove_dir(parent.join("steps")).is_ok());
    assert!(!parents.is_empty());
}

/// What is taken from a stage counts by its name while nobody has looked at its files.
#[test]
fn another_file_of_a_stage_is_another_copy() {
    let engine = Engine::with_busybox();
    let taken = |name: &str| {
        let file = format!(
            "FROM busybox AS one\nRUN echo a >/a; echo b >/b\n\
             FROM busybox\nCOPY --from=one /{name} /taken\n"
        );
        let dir = folder(&engine, "context", &[("Dockerfile", &*file)]);
        engine.classic_build(&dir, &["-t", "taken"]).ok();
        let cat = ["run", "--rm", "taken", "cat", "/taken"];
        engine.docker(&cat).ok().stdout
    };
    assert_eq!(["a", "b", "a"].map(taken), ["a\n", "b\n", "a\n"]);
    engine.docker(&["image", "prune", "-af"]).ok();
}
