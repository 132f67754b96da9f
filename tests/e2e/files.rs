//! `cp`, `export` and `commit`: what the transcripts cannot show. Races, traps, large
//! files, and a daemon that is killed meanwhile.

use std::path::Path;

use crate::exec::with_box;
use crate::gantry_only;
use crate::harness::api::Api;
use crate::harness::{Engine, finish, script};
use crate::run::wait_for;

/// Runs a shell script in the container `box`, detached.
fn in_background(engine: &Engine, text: &str) {
    engine.docker(&["exec", "-d", "box", "sh", "-c", text]).ok();
}

/// A shell on this machine, in the test's folder, with `docker` for the daemon.
fn shell(engine: &Engine, text: &str) -> crate::harness::Outcome {
    finish(
        script(text)
            .current_dir(engine.dir())
            .env("DOCKER_HOST", engine.host()),
        b"",
    )
}

/// CVE-2018-15664, from its public description: while the path of a copy was resolved
/// in the container and used on the host, the container exchanged a directory for a
/// link to one of the host's. Here a directory and such a link are exchanged all the
/// time. The test resolves and then opens by itself as well, and sees that escape.
#[test]
fn a_directory_that_becomes_a_link_leads_nowhere_else() {
    let engine = with_box();
    gantry_only!(engine);
    let host = engine.dir().join("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("secret"), "outside").unwrap();
    let setup = format!(
        "mkdir /d && echo -n inside >/d/secret && ln -s {} /l && ln -s d /swap",
        host.display()
    );
    engine.docker(&["exec", "box", "sh", "-c", &setup]).ok();
    in_background(
        &engine,
        "rm /swap; while :; do mv /d /swap; mv /swap /d; mv /l /swap; mv /swap /l; done",
    );
    let pid: u32 = engine.inspect("box", "{{.State.Pid}}").parse().unwrap();
    assert!(
        (0..5_000_000).any(|_| naive(pid).as_deref() == Some("outside")),
        "checking first and opening then does not even escape here"
    );
    shell(&engine, "echo -n new >planted && tar -cf body.tar planted").ok();
    let tar = std::fs::read(engine.dir().join("body.tar")).unwrap();
    let mut api = Api::connect(&engine);
    let (mut seen, mut missed, mut last) = (0, 0, String::new());
    // On a busy machine the other side may stand still for a long time.
    for round in 0.. {
        if round >= 400 && (round == 20_000 || (seen > 0 && missed > 0)) {
            break;
        }
        let got = api.get("/v1.51/containers/box/archive?path=/swap/secret");
        assert!(!got.body.contains("outside"), "{got:?}");
        match got.status {
            200 => seen += 1,
            _ => {
                missed += 1;
                last = got.body;
            }
        }
        let put = api.call("PUT", "/v1.51/containers/box/archive?path=/swap", &tar);
        assert_ne!(put.status, 0);
    }
    assert!(
        seen > 0 && missed > 0,
        "{seen} {missed}: no race at all: {last}"
    );
    let names: Vec<_> = std::fs::read_dir(&host).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(std::fs::read(host.join("secret")).unwrap(), b"outside");
}

/// What a daemon must not do: look whether it is no link, then open it.
fn naive(pid: u32) -> Option<String> {
    let path = format!("/proc/{pid}/root/swap");
    let found = std::fs::symlink_metadata(&path).ok()?;
    if found.file_type().is_symlink() {
        return None;
    }
    std::fs::read_to_string(Path::new(&path).join("secret")).ok()
}

/// CVE-2019-14271, from its public description: a helper of the daemon that had taken
/// the container's root for its own loaded the container's name service libraries. Here
/// all such files are pipes, and a process in the container learns when one is opened.
#[test]
fn nothing_of_a_container_is_loaded() {
    let engine = with_box();
    gantry_only!(engine);
    let traps = r#"
        for d in /lib /lib64 /usr/lib /usr/lib64 /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do
            mkdir -p $d
            for f in libnss_files.so.2 libnss_compat.so.2 libnss_dns.so.2 libnss_systemd.so.2 \
                libc.so.6 ld-linux-x86-64.so.2 libpthread.so.0 libdl.so.2 libresolv.so.2; do
                echo $d/$f
            done
        done
        mkdir -p /usr/bin /usr/sbin /etc
        for f in /etc/nsswitch.conf /etc/ld.so.cache /etc/ld.so.preload /etc/localtime \
            /usr/bin/getent /usr/bin/tar /bin/tar2 /usr/bin/xz /etc/host.conf; do echo $f; done"#;
    let set = format!(
        "for t in $({traps}); do rm -f $t; mkfifo $t; (echo trap >$t; echo $t >>/sprung) & done; wait"
    );
    in_background(&engine, &set);
    wait_for(|| {
        let count = "ls /lib64/*.so* /etc/ld.so.preload | wc -l";
        engine.docker(&["exec", "box", "sh", "-c", count]).line() == "10"
    });
    let work = "echo x >one && docker cp one box:/tmp && docker cp -a one box:/tmp/two \
        && docker cp box:/etc/passwd - | tar t && docker cp -L box:/tmp . \
        && tar -c one | xz | docker cp - box:/tmp && docker export box >all.tar \
        && docker commit box trapped >/dev/null && docker diff box >/dev/null";
    shell(&engine, work).ok();
    let user = "docker run -d --name other -u user busybox sleep 1000 >/dev/null \
        && docker cp -a one other:/tmp && docker exec other stat -c %u /tmp/one";
    shell(&engine, user).ok().prints("1000\n");
    let sprung = [
        "exec",
        "box",
        "sh",
        "-c",
        "cat /sprung 2>/dev/null || echo none",
    ];
    engine.docker(&sprung).ok().prints("none\n");
    // They are traps indeed: somebody who opens one is noticed.
    let pid = engine.inspect("box", "{{.State.Pid}}");
    shell(&engine, &format!("cat /proc/{pid}/root/etc/nsswitch.conf")).ok();
    wait_for(|| engine.docker(&sprung).stdout.contains("nsswitch"));
}

/// A pipe or a device in the place of a file that is read: it is not opened.
#[test]
fn pipes_and_devices_are_not_opened() {
    let engine = with_box();
    gantry_only!(engine);
    let set = "rm /etc/passwd && mkfifo /etc/passwd && mknod /etc/group c 10 130; \
        mkfifo /tmp/pipe; mknod /tmp/null c 1 3";
    engine.docker(&["exec", "box", "sh", "-c", set]).ok();
    let named = "echo x >one; docker run -d --name u -u nobody busybox true; \
        tar -c one | curl -s -o /dev/null -w '%{http_code}' -X PUT -T - --unix-socket \
        ${DOCKER_HOST#unix://} 'http://d/containers/box/archive?path=/tmp&copyUIDGID=1'";
    shell(&engine, named);
    let got = shell(&engine, "docker cp box:/tmp - | tar tv | cut -c1,11-").ok();
    assert!(
        got.stdout.contains("tmp/pipe") && got.stdout.contains("1,3"),
        "{got:?}"
    );
    shell(&engine, "docker export box | tar t >/dev/null").ok();
    shell(&engine, "docker commit box special >/dev/null").ok();
    let made = [
        "run",
        "--rm",
        "special",
        "sh",
        "-c",
        "test -p /tmp/pipe && test -c /tmp/null",
    ];
    engine.docker(&made).ok();
}

/// A server that locks itself up in a directory: its root is not the container's.
#[test]
fn a_process_with_another_root_is_looked_around() {
    let engine = Engine::with_busybox();
    let command = "mkdir -p /jail/bin && cp /bin/busybox /jail/bin/sleep && echo in >/jail/f; \
        echo out >/f; exec chroot /jail /bin/sleep 1000";
    engine
        .docker(&["run", "-d", "--name", "box", "busybox", "sh", "-c", command])
        .ok();
    wait_for(|| shell(&engine, "docker top box | grep -q '/bin/sleep 1000'").code == 0);
    shell(&engine, "docker cp box:/f - | tar xO")
        .ok()
        .prints("out\n");
    shell(&engine, "docker cp box:/jail/f - | tar xO")
        .ok()
        .prints("in\n");
    shell(&engine, "docker export box | tar xO f jail/f")
        .ok()
        .prints("out\nin\n");
}

#[test]
fn large_files_come_and_go_unchanged() {
    let engine = with_box();
    let text = "head -c 60000000 /dev/urandom >big; truncate -s 300000000 big; ln big hard; \
        docker cp big box:/tmp/big && docker cp box:/tmp/big back && cmp big back && rm back; \
        docker exec box sh -c 'ln /tmp/big /tmp/hard' && docker cp box:/tmp/. dir && cmp big dir/hard \
        && stat -c %h dir/hard; docker commit box big >/dev/null; \
        docker run --rm big cat /tmp/big | cmp - big && echo same";
    shell(&engine, text).ok().prints("2\nsame\n");
}

#[test]
fn extended_attributes_and_odd_names_are_kept() {
    let engine = with_box();
    gantry_only!(engine);
    let long = "l".repeat(250);
    let text = format!(
        "mkdir odd && cd odd && echo x >'a b' && echo x >\"$(printf 'new\\nline')\" && echo x >{long} \
        && mkdir -p {long}d/{long} && echo deep >{long}d/{long}/{long} \
        && printf x >$(printf '\\377raw') && setfattr -n user.note -v kept 'a b' && cd .. \
        && docker cp odd box:/ && docker cp box:/odd back && diff -r odd back \
        && getfattr --only-values -n user.note 'back/a b'"
    );
    let outcome = shell(&engine, &text);
    if outcome.stderr.contains("setfattr: not found") {
        return;
    }
    outcome.ok().prints("kept");
}

/// `commit` is a transaction: a daemon that is killed meanwhile leaves neither an
/// image, nor files, nor a container that stays paused.
#[test]
fn a_killed_commit_leaves_nothing() {
    let mut engine = with_box();
    gantry_only!(engine);
    let fill = "dd if=/dev/urandom of=/tmp/r bs=1M count=150 2>/dev/null; cp /tmp/r /tmp/s; \
        for i in $(seq 3000); do echo $i >/tmp/f$i; done";
    engine.docker(&["exec", "box", "sh", "-c", fill]).ok();
    let count = |engine: &Engine| {
        let find = "find snapshots content -maxdepth 3 | wc -l; docker images -q | wc -l";
        let text = format!("cd {} && {find}", engine.data_root().display());
        shell(engine, &text).ok().stdout
    };
    let before = count(&engine);
    let mut commit = engine
        .docker_command(&["commit", "box", "half"])
        .spawn()
        .unwrap();
    wait_for(|| engine.inspect("box", "{{.State.Status}}") == "paused");
    std::thread::sleep(std::time::Duration::from_millis(100));
    engine.kill_daemon();
    let _ = commit.wait();
    engine.boot();
    wait_for(|| engine.inspect("box", "{{.State.Status}}") == "running");
    wait_for(|| count(&engine) == before);
    engine.docker(&["commit", "box", "whole"]).ok();
    engine
        .docker(&["run", "--rm", "whole", "cat", "/tmp/f3000"])
        .ok()
        .prints("3000\n");
}

/// Many files; and two commits, a copy and an export at the same time.
#[test]
fn ten_thousand_files_and_many_at_once() {
    let engine = with_box();
    let fill = "mkdir /many; i=0; while [ $i -lt 10000 ]; do echo $i >/many/$i; i=$((i+1)); done";
    engine.docker(&["exec", "box", "sh", "-c", fill]).ok();
    let text = "docker commit box one >/dev/null & docker commit box two >/dev/null & \
        docker export box | tar t | grep -c '^many/[0-9]' & docker cp box:/many m1 & wait; \
        ls m1 | wc -l; docker diff box | grep -c /many/; \
        docker run --rm one sh -c 'ls /many | wc -l; cat /many/9999'; docker run --rm two sh -c 'ls /many | wc -l'";
    shell(&engine, text)
        .ok()
        .prints("10000\n10000\n10000\n10000\n9999\n10000\n");
}

/// With a user namespace, files have the container's ids wherever a client sees them.
#[test]
fn ids_of_a_user_namespace_are_the_containers() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let run = ["run", "-d", "--name", "box", "--userns", "auto"];
    engine
        .gantry(&[&run[..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    let text = "mkdir d && echo x >d/f && chown 7:8 d/f && mkfifo d/p && ln -s f d/l; \
        ids() { tar --numeric-owner -tv | awk '{print $2, $6}' | sort; }; \
        docker cp d box:/; docker exec box stat -c '%u %g %n' /d /d/f /d/l /d/p; \
        docker cp box:/d - | ids; docker export box | tar --numeric-owner -tv d/f | awk '{print $2}'; \
        docker commit box mapped >/dev/null; docker run --rm mapped stat -c '%u %g' /d/f; \
        docker stop -t 0 box >/dev/null; docker cp box:/d - | ids; docker cp d/f box:/d/g; \
        docker start box >/dev/null; docker exec box stat -c '%u %g' /d/g; \
        docker cp -a d/f box:/d/h; docker exec box stat -c '%u %g' /d/h";
    let there = "0/0 d/\n0/0 d/l\n0/0 d/p\n7/8 d/f\n";
    shell(&engine, text).ok().prints(&format!(
        "0 0 /d\n7 8 /d/f\n0 0 /d/l\n0 0 /d/p\n{there}7/8\n7 8\n{there}7 8\n7 8\n"
    ));
}

/// What is mounted in a container is not taken from under it, and stays read-only.
#[test]
fn mounts_are_not_replaced() {
    let engine = Engine::with_busybox();
    std::fs::create_dir(engine.dir().join("vol")).unwrap();
    std::fs::write(engine.dir().join("vol/v"), "v").unwrap();
    let bind = format!("{}/vol", engine.dir().display());
    let run = format!(
        "docker run -d --name box -v {bind}:/a/b/vol -v {bind}/v:/etc/one:ro busybox sleep 1000"
    );
    shell(&engine, &run).ok();
    let refused = "mkdir x && echo new >x/one && echo new >x/hosts && echo file >a; \
        docker cp x/one box:/etc/one; docker cp x/hosts box:/etc/hosts; tar -c a | docker cp - box:/ ; \
        docker exec box cat /etc/one /a/b/vol/v; grep -c . vol/v";
    for _ in 0..2 {
        let outcome = shell(&engine, refused);
        assert!(outcome.stdout.ends_with("vv1\n"), "{outcome:?}");
        let busy = "device or resource busy";
        assert_eq!(outcome.stderr.matches(busy).count(), 2, "{outcome:?}");
        shell(&engine, "docker restart -t 0 box; rm -r x").ok();
    }
}
