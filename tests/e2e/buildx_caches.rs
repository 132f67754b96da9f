//! Caches that travel: what one engine has built, another one with nothing finds.

use crate::harness::buildx::{build, start};
use crate::harness::served::Registry;
use crate::harness::{Engine, Outcome};

const PORT: u16 = 5000;
const FILE: &str = "FROM busybox AS made\nCOPY f /f\nRUN echo ran >>/log && cat /f >/made\n\
                    FROM busybox\nCOPY --from=made /made /made\nRUN echo last >/last\n";
const FILES: &[(&str, &str)] = &[("Dockerfile", FILE), ("f", "contents\n")];

/// How many steps of a build were known.
fn cached(outcome: &Outcome) -> usize {
    let lines = outcome.stderr.lines();
    lines.filter(|line| line.ends_with(" CACHED")).count()
}

/// Forgets all that was built.
fn forget(engine: &Engine) {
    let _ = engine.docker(&["rmi", "-f", "built"]);
    engine.docker(&["builder", "prune", "-af"]).ok();
}

/// The same, and what ended builds are still asked for.
fn forget_all(engine: &mut Engine) {
    forget(engine);
    engine.stop_daemon();
    engine.boot();
}

/// The image's last step is known, and so nothing was run.
fn all_known(outcome: &Outcome) {
    let mut lines = outcome.stderr.lines();
    let step = lines.find(|line| line.ends_with("] RUN echo last >/last"));
    let number = step
        .and_then(|step| step.split(' ').next())
        .unwrap_or("none");
    let known = outcome.stderr.contains(&format!("\n{number} CACHED\n"));
    assert!(known, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("ERROR"), "{}", outcome.stderr);
}

#[test]
fn a_directory_and_a_registry_have_a_cache_for_others() {
    let Some(engine) = start(FILES) else { return };
    let registry = Registry::ours(&engine, PORT);
    let name = registry.name("team/cache:1");
    let to = format!("--cache-to=type=registry,ref={name},mode=max");
    let args = ["--cache-to=type=local,dest=cache,mode=max", &to, "-t=built"];
    let first = build(&engine, &args).ok();
    assert!(
        first.stderr.contains("exporting cache to registry"),
        "{}",
        first.stderr
    );
    let id = engine.inspect("built", "{{.Id}}");
    let from = format!("--cache-from=type=registry,ref={name}");
    for from in ["--cache-from=type=local,src=cache", &from] {
        forget(&engine);
        let again = build(&engine, &[from, "-t=built"]).ok();
        all_known(&again);
        // The times are those of the results, so that the image is the very same one.
        assert_eq!(engine.inspect("built", "{{.Id}}"), id, "{from}");
        let run = engine
            .docker(&["run", "--rm", "built", "cat", "/made", "/last"])
            .ok();
        run.prints("contents\nlast\n");
    }
    // Another context is another result.
    forget(&engine);
    std::fs::write(engine.dir().join("context/f"), "other\n").unwrap();
    build(&engine, &[&from, "-t=built"]).ok();
    let run = engine
        .docker(&["run", "--rm", "built", "cat", "/made"])
        .ok();
    run.prints("other\n");
}

#[test]
fn images_carry_their_cache() {
    let Some(engine) = start(FILES) else { return };
    let registry = Registry::ours(&engine, PORT);
    let name = registry.name("team/app:1");
    let args = ["--cache-to=type=inline", "--push", "-t", &name];
    build(&engine, &args).ok();
    engine.docker(&["rmi", "-f", &name]).ok();
    forget(&engine);
    let again = build(&engine, &["--cache-from", &name, "-t=built"]).ok();
    // The other stage is not needed.
    all_known(&again);
    let run = engine
        .docker(&["run", "--rm", "built", "cat", "/made"])
        .ok();
    run.prints("contents\n");
    // By the argument, too.
    let args = ["--build-arg=BUILDKIT_INLINE_CACHE=1", "--push", "-t", &name];
    build(&engine, &args).ok();
    engine.docker(&["rmi", "-f", &name, "built"]).ok();
    forget(&engine);
    all_known(&build(&engine, &["--cache-from", &name]).ok());
}

#[test]
fn what_is_wrong_with_a_cache_costs_only_time() {
    let Some(mut engine) = start(FILES) else {
        return;
    };
    // One that is not there.
    let from = "--cache-from=type=registry,ref=127.0.0.1:1/none";
    let built = build(&engine, &[from, "-t=built"]).ok();
    assert!(
        built
            .stderr
            .contains("importing cache manifest from 127.0.0.1:1/none")
    );
    let to = "--cache-to=type=registry,ref=127.0.0.1:1/none";
    build(&engine, &[to])
        .code(1)
        .says("error writing cache to 127.0.0.1:1/none");
    build(&engine, &[&format!("{to},ignore-error=true")]).ok();
    build(&engine, &["--cache-to=type=gha"]).ok();
    // One whose layers are others than it says.
    let args = ["--cache-to=type=local,dest=cache,mode=max", "-t=built"];
    build(&engine, &args).ok();
    let blobs = engine.dir().join("context/cache/blobs/sha256");
    for blob in std::fs::read_dir(blobs).unwrap() {
        let path = blob.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.first() != Some(&b'{') {
            let mut wrong = bytes.clone();
            let last = wrong.len() - 1;
            wrong[last] ^= 1;
            std::fs::write(&path, wrong).unwrap();
        }
    }
    forget_all(&mut engine);
    let built = build(&engine, &["--cache-from=type=local,src=cache", "-t=built"]).ok();
    assert!(cached(&built) <= 1, "{}", built.stderr);
    let run = engine
        .docker(&["run", "--rm", "built", "cat", "/made"])
        .ok();
    run.prints("contents\n");
}
