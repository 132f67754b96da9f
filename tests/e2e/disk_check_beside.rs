//! `gantry system check` beside everything that images and containers do, and after the
//! daemon was killed in it: it never tells of damage, and takes nothing away.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::served::Registry;
use crate::harness::{Engine, Outcome, busybox_tar, command, finish, remark, script};

/// How often each of the workers goes round.
const ROUNDS: usize = 6;
/// How often the daemon is killed.
const KILLS: u64 = 16;
/// The registry's port, in the engine's own network namespace.
const PORT: u16 = 5000;

/// Images `app0` to `app2` in the registry, which share a layer and have one each.
fn fill(engine: &Engine, registry: &Registry) -> Vec<String> {
    let tar = busybox_tar().display().to_string();
    engine.docker(&["import", &tar, "base"]).ok();
    let names: Vec<String> = (0..3)
        .map(|n| registry.name(&format!("team/app{n}:1")))
        .collect();
    for (n, name) in names.iter().enumerate() {
        let write = format!("head -c 300000 /dev/urandom >/own{n}; echo {n} >/n");
        let maker = format!("maker{n}");
        let run = ["run", "--name", &maker, "base", "sh", "-c", &write];
        engine.docker(&run).ok();
        engine.docker(&["commit", &maker, name]).ok();
        engine.docker(&["rm", &maker]).ok();
        engine.docker(&["push", "-q", name]).ok();
    }
    names
}

/// Whether a command did what it should, or lost a race that it may lose: somebody else
/// has removed, or uses, what it wanted.
fn may_lose(outcome: &Outcome) -> bool {
    const LOST: [&str; 7] = [
        "No such image",
        "image is being used",
        "must force",
        "is using its referenced image",
        "already running",
        "An image does not exist locally with the tag",
        "has dependent child images",
    ];
    outcome.code == 0 || LOST.iter().any(|words| outcome.stderr.contains(words))
}

/// Runs a script of the stock client's commands; each that fails must have lost a race.
fn work(engine: &Engine, commands: &[&[&str]]) {
    for command in commands {
        let outcome = engine.docker(command);
        assert!(may_lose(&outcome), "{command:?}: {outcome:?}");
    }
}

/// Pulls, runs, pushes and removes one image of three, round after round.
fn travel(engine: &Engine, registry: &Registry, names: &[String], worker: usize) {
    for round in 0..ROUNDS {
        let name = &names[(worker + round) % names.len()];
        let copy = registry.name(&format!("copy/w{worker}:{round}"));
        work(
            engine,
            &[
                &["pull", "-q", name],
                &["run", "--rm", "--pull", "missing", name, "cat", "/n"],
                &["tag", name, &copy],
                &["push", "-q", &copy],
                &["rmi", "-f", &copy],
                &["rmi", "-f", name],
            ],
        );
    }
}

/// Saves and loads the base, and removes what was loaded and what nobody has a name for.
fn archive(engine: &Engine) {
    let file = engine.dir().join("base.tar").display().to_string();
    engine.docker(&["tag", "base", "saved"]).ok();
    engine.docker(&["save", "-o", &file, "saved"]).ok();
    for _ in 0..ROUNDS {
        work(
            engine,
            &[
                &["rmi", "saved"],
                &["load", "-q", "-i", &file],
                &["image", "prune", "-f"],
                &["image", "prune", "-af", "--filter", "label=none"],
            ],
        );
    }
}

/// Containers come and go, with volumes, one on an image that was removed meanwhile.
fn containers(engine: &Engine) {
    for round in 0..ROUNDS {
        let (left, made) = (format!("left{round}"), format!("made:{round}"));
        work(
            engine,
            &[
                &["run", "--name", &left, "-v", "/data", "base", "touch", "/x"],
                &["commit", &left, &made],
                &["rm", "-v", &left],
                &["create", "--name", &left, "-v", "named:/v", &made],
                &["rmi", "-f", &made],
                &["rm", "-f", &left],
                &["volume", "rm", "named"],
            ],
        );
    }
}

/// Builds: some fail half-way, and their cache goes while others use it.
fn builds(engine: &Engine) {
    let files = engine.dir().join("context");
    std::fs::create_dir(&files).expect("a folder");
    for round in 0..ROUNDS {
        std::fs::write(files.join("file"), format!("{round}")).expect("a file");
        let last = ["RUN cat /file /b", "RUN false"][round % 2];
        let text = format!("FROM base\nRUN echo a >/a\nCOPY file /file\nRUN echo b >/b\n{last}\n");
        std::fs::write(files.join("Dockerfile"), text).expect("a file");
        let context = files.display().to_string();
        let build = ["build", "--force-rm", "-q", "-t", "built", &context];
        let mut build = engine.docker_command(&build);
        let built = finish(build.env("DOCKER_BUILDKIT", "0"), b"");
        assert_eq!(built.code != 0, round % 2 == 1, "{built:?}");
        work(engine, &[&["rmi", "-f", "built"]]);
        if round % 3 == 2 {
            let prune = "http://d/v1.51/build/prune?all=1";
            engine.curl(&["-sf", "-X", "POST", prune]).ok();
        }
    }
}

/// Checks in all ways until the others have ended.
fn check(engine: &Engine, ended: &AtomicBool) -> usize {
    let mut checks = 0;
    for flags in [&["--quick"][..], &[], &["--repair"]].iter().cycle() {
        let outcome = engine.gantry(&[&["system", "check"], *flags].concat());
        assert!(
            outcome.code == 0 && outcome.stdout.ends_with("all is well\n"),
            "{flags:?}: {outcome:?}"
        );
        checks += 1;
        if ended.load(Ordering::Relaxed) && checks >= 3 {
            break;
        }
    }
    checks
}

#[test]
fn a_check_finds_nothing_wrong_beside_all_others() {
    let engine = Engine::start();
    gantry_only!(engine);
    let registry = Registry::ours(&engine, PORT);
    let names = fill(&engine, &registry);
    let ended = AtomicBool::new(false);
    let checks = std::thread::scope(|scope| {
        let (engine, registry, names, ended) = (&engine, &registry, &names, &ended);
        let mut workers: Vec<_> = (0..2)
            .map(|worker| scope.spawn(move || travel(engine, registry, names, worker)))
            .collect();
        workers.push(scope.spawn(|| archive(engine)));
        workers.push(scope.spawn(|| containers(engine)));
        workers.push(scope.spawn(|| builds(engine)));
        let checker = scope.spawn(|| check(engine, ended));
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        ended.store(true, Ordering::Relaxed);
        let checks = checker.join();
        for result in results {
            result.expect("a worker's commands do what they should");
        }
        checks.expect("all is well, always")
    });
    remark(&format!("{checks} checks"));
    // Nothing was taken that somebody still has, nothing left that nobody has.
    for name in &names {
        engine.docker(&["pull", "-q", name]).ok();
        engine.docker(&["run", "--rm", name, "cat", "/n"]).ok();
        engine.docker(&["rmi", name]).ok();
    }
    engine.docker(&["rmi", "saved", "base"]).ok();
    engine.docker(&["image", "prune", "-af"]).ok();
    let prune = "http://d/v1.51/build/prune?all=1";
    engine.curl(&["-sf", "-X", "POST", prune]).ok();
    crate::pull::nothing_is_left(&engine, "all was removed");
}

/// What a daemon is killed in; each time it is begun anew.
fn interrupted(engine: &Engine, registry: &Registry, name: &str, file: &str) -> String {
    let copy = registry.name("copy/again");
    format!(
        "export DOCKER_HOST={host}; \
         (while docker pull -q {name}; do docker rmi {name}; done) & \
         (while docker load -q -i {file}; do docker rmi saved; done) & \
         (i=0; while docker tag base {copy}:$i && docker push -q {copy}:$i; do i=$((i+1)); done) & \
         wait",
        host = engine.host(),
    )
}

#[test]
fn kills_in_pulls_loads_and_pushes_leave_nothing_to_repair() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    let mut moments = Moments::from_environment();
    let mut registry = Registry::ours(&engine, PORT);
    let names = fill(&engine, &registry);
    let file = engine.dir().join("saved.tar").display().to_string();
    engine.docker(&["tag", &names[0], "saved"]).ok();
    engine.docker(&["save", "-o", &file, "saved"]).ok();
    engine.docker(&["rmi", "saved", &names[0]]).ok();
    for round in 0..KILLS {
        let commands = interrupted(&engine, &registry, &names[1], &file);
        // Spread over the whole of what they do.
        let moment = 20 + round * 25 + moments.next(25);
        engine.kill_during(&commands, std::time::Duration::from_millis(moment));
        registry = registry.follow(&engine);
        for flags in [&["--quick"][..], &[]] {
            let found = engine.gantry(&[&["system", "check"], flags].concat());
            assert_eq!(found.code, 0, "round {round}, {moment} ms: {found:?}");
        }
        engine.docker(&["pull", "-q", &names[1]]).ok();
        let run = ["run", "--rm", &names[1], "cat", "/n"];
        engine.docker(&run).ok().prints("1\n");
        engine.docker(&["load", "-q", "-i", &file]).ok();
        engine
            .docker(&["run", "--rm", "saved", "cat", "/n"])
            .ok()
            .prints("0\n");
        engine.docker(&["rmi", "saved", &names[1]]).ok();
    }
}

/// Mounts a file system whose disk is much smaller than it knows, for blobs: what is
/// written seems to be there until the kernel comes to write it down.
const SHORT_DISK: &str = "mkdir -p $S $C && mount -t tmpfs -o size=24m none $S && \
     truncate -s 400m $S/disk && mkfs.ext4 -qF -E lazy_itable_init=1 $S/disk && \
     mount -o loop $S/disk $C";

#[test]
fn what_the_disk_did_not_take_is_no_image() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    engine.stop_daemon();
    let (small, content) = (
        engine.dir().join("small"),
        engine.data_root().join("content"),
    );
    let mount = SHORT_DISK
        .replace("$S", &small.display().to_string())
        .replace("$C", &content.display().to_string());
    let probe = command("unshare", &["-m", "sh", "-c", &mount]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        remark("SKIPPED: no file system can be mounted from a file here");
        engine.boot();
        return;
    }
    let mut engine = engine.with_mounts(&mount);
    engine.boot();
    let registry = crate::harness::registry::Registry::start(&engine);
    // Bytes that do not compress, more than the disk has room for.
    let make = format!(
        "cd {} && head -c 40000000 /dev/urandom >noise && tar c noise && rm noise",
        engine.dir().display()
    );
    let layer = script(&make).output().expect("a shell").stdout;
    let diff_id = gantry_types::Digest::of(&layer);
    registry.image("large", &[layer], &[diff_id]);
    let large = "127.0.0.1:5000/team/app:large";
    let failed = engine.docker(&["pull", large]).code(1);
    let words = [
        "Input/output error",
        "Read-only file system",
        "No space left on device",
    ];
    assert!(
        words.iter().any(|words| failed.stderr.contains(words)),
        "{failed:?}"
    );
    engine.docker(&["images", "-aq"]).ok().prints("");

    // With a disk that takes it the same pull works.
    engine.stop_daemon();
    let mut engine = engine.with_mounts("true");
    engine.boot();
    registry.listen(&engine);
    engine.docker(&["pull", "-q", large]).ok();
    let found = engine.gantry(&["system", "check"]);
    assert_eq!(found.code, 0, "{found:?}");
}
