//! What goes wrong around a build: a full disk, somebody who prunes, and a client that
//! goes while another one waits for the same step. Nothing is left, and the next one works.

use std::process::Stdio;
use std::time::Duration;

use crate::gantry_only;
use crate::harness::{Engine, folder, remark, script};
use crate::run::wait_for;

/// Whether all that the daemon has is sound, and no other containers are left.
#[track_caller]
fn sound(engine: &Engine, containers: &str) {
    let mut checked = engine.gantry(&["system", "check"]);
    for _ in 0..100 {
        // It needs some room itself, and what was removed leaves the disk a moment later.
        if !checked.stderr.contains("No space left") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        checked = engine.gantry(&["system", "check"]);
    }
    assert_eq!(checked.code, 0, "{checked:?}");
    let left = engine.docker(&["ps", "-a", "--format", "{{.Names}}"]);
    left.ok().prints(containers);
}

/// The engine with a disk of this size as its data root.
fn on_small_disk(mut engine: Engine, size: &str) -> Option<Engine> {
    engine.stop_daemon();
    let mount = format!(
        "mount -t tmpfs -o size={size} none {}",
        engine.data_root().display()
    );
    let probe = format!("unshare -m sh -c '{mount}'");
    if !script(&probe).status().is_ok_and(|probe| probe.success()) {
        remark("SKIPPED: no file system can be mounted here");
        engine.boot();
        return None;
    }
    let mut engine = engine.with_mounts(&mount);
    engine.boot();
    engine.import_busybox();
    Some(engine)
}

#[test]
fn a_full_disk_is_told_of_and_leaves_nothing() {
    let engine = Engine::start();
    gantry_only!(engine);
    let Some(engine) = on_small_disk(engine, "96m") else {
        return;
    };
    let write = "dd if=/dev/urandom of=/big bs=1M count=40";
    let fill = |name: &str, count: u32| {
        let write = format!("dd if=/dev/urandom of=/x bs=1M count={count}");
        engine
            .docker(&["run", "--name", name, "busybox", "sh", "-c", &write])
            .ok();
    };
    let large: Vec<u8> = (0..40_000_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let run = format!("FROM busybox\nRUN {write}\n");
    let copy = "FROM busybox\nCOPY large /large\n";
    let both = folder(
        &engine,
        "context",
        &[("run/Dockerfile", &*run), ("copy/Dockerfile", copy)],
    );
    std::fs::write(both.join("copy/large"), large).expect("a large file");
    fill("filler", 60);
    for step in ["run", "copy"] {
        let dir = both.join(step).display().to_string();
        let full = engine.gantry(&["build", "--progress=plain", "-t", "built", &dir]);
        assert_ne!(full.code, 0, "{step}");
        assert!(
            full.stderr.contains("No space left on device"),
            "{step}: {}",
            full.stderr
        );
        let full = engine.classic_build(&both.join(step), &["--force-rm"]);
        let said = format!("{}{}", full.stdout, full.stderr);
        assert_ne!(full.code, 0, "{step}");
        assert!(said.contains("o space left on device"), "{step}: {said}");
        sound(&engine, "filler\n");
    }
    let images = || {
        engine
            .docker(&["images", "-aq"])
            .ok()
            .stdout
            .lines()
            .count()
    };
    assert_eq!(images(), 1);
    // What it has written is still there once, and there is no room for a second time.
    let full = engine.docker(&["commit", "filler", "built"]).code(1);
    assert!(full.stderr.contains("o space left on device"), "{full:?}");
    assert_eq!(images(), 1);
    sound(&engine, "filler\n");
    engine.docker(&["rm", "filler"]).ok();
    for step in ["run", "copy"] {
        let dir = both.join(step).display().to_string();
        engine.gantry(&["build", "-q", "-t", "built", &dir]).ok();
        sound(&engine, "");
        engine.docker(&["rmi", "built"]).ok();
        engine.docker(&["builder", "prune", "-af"]).ok();
    }
    fill("little", 20);
    engine.docker(&["commit", "little", "built"]).ok();
    sound(&engine, "little\n");
}

#[test]
fn a_build_keeps_what_it_needs_from_those_who_prune() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let file = "FROM busybox AS one\nRUN date +%N >/one\nFROM busybox AS two\n\
                COPY --from=one /one /two\nRUN sleep 2; cat /two >/three\n\
                FROM two\nCOPY --from=one /one /four\nRUN cmp /three /four\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    let dir = dir.display().to_string();
    for _ in 0..2 {
        let args = ["build", "-q", "-t", "built", &dir];
        std::thread::scope(|scope| {
            let build = scope.spawn(|| engine.gantry(&args));
            while !build.is_finished() {
                for prune in [&["builder", "prune", "-af"][..], &["image", "prune", "-f"]] {
                    engine.docker(prune).ok();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            build.join().expect("a build").ok();
        });
        let cmp = ["run", "--rm", "built", "cmp", "/two", "/four"];
        engine.docker(&cmp).ok();
        sound(&engine, "");
    }
}

#[test]
fn who_waits_for_a_step_gets_it_when_the_other_one_goes() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    // It goes on when it is told to, and says how often it was begun.
    let context = |name: &str, text: &str| {
        let dir = folder(&engine, name, &[("Dockerfile", text)]);
        dir.display().to_string()
    };
    let begin = |name: &str, dir: &str| {
        let args = ["build", "--progress=plain", "-t", name, dir];
        let mut command = engine.gantry_command(&args);
        let log = engine.dir().join(name);
        let file = std::fs::File::create(&log).expect("a file");
        command.stdout(Stdio::null()).stderr(file);
        let client = command.spawn().expect("a client");
        // The step is next when its base is told of.
        wait_for(|| std::fs::read_to_string(&log).is_ok_and(|told| told.contains("] FROM")));
        client
    };
    let running = || engine.docker(&["ps", "-q"]).ok().stdout.lines().count();
    // First the one that runs it goes, then the one that waits.
    for goes in [0, 1] {
        let run = format!("FROM busybox\nRUN --mount=type=cache,id=c{goes},target=/c");
        let step = "echo begun >>/c/n; until [ -e /c/go ]; do sleep .1; done; cp /c/n /n";
        let dir = context("context", &format!("{run} {step}\n"));
        let first = begin("first", &dir);
        wait_for(|| running() == 1);
        let mut clients = [first, begin("second", &dir)];
        clients[goes].kill().expect("its end");
        clients[goes].wait().expect("its end");
        let go = context("go", &format!("{run} touch /c/go\n"));
        engine.gantry(&["build", "-q", &go]).ok();
        let other = clients[1 - goes].wait().expect("its end");
        assert!(other.success(), "{goes}");
        let name = ["first", "second"][1 - goes];
        let begun = engine.docker(&["run", "--rm", name, "cat", "/n"]).ok();
        let times = begun.stdout.lines().count();
        // Who has waited for one that was ended begins it again.
        assert!(times == 1 || (goes == 0 && times == 2), "{goes}: {begun:?}");
        engine.docker(&["rmi", name]).ok();
        wait_for(|| running() == 0);
        sound(&engine, "");
    }
}
