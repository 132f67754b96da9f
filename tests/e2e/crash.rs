//! `kill -9` of the daemon at random moments of starts, loads and removals.

use std::time::Duration;

use crate::gantry_only;
use crate::harness::{Engine, docker_archive, finish, script};
use crate::run::wait_for;

/// A small generator (Numerical Recipes' LCG), so that a failure can be repeated by its seed.
pub struct Moments(u64);

impl Moments {
    /// Begins with `GANTRY_CRASH_SEED`, or with the time; says which.
    pub fn from_environment() -> Self {
        let seed = std::env::var("GANTRY_CRASH_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| {
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(1, |since| since.as_nanos() as u64)
            });
        crate::harness::remark(&format!("GANTRY_CRASH_SEED={seed}"));
        Self(seed)
    }

    /// A number below `below`.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// How often the daemon is killed.
const KILLS: u32 = 50;

#[test]
fn fifty_kills_lose_nothing_and_leave_nothing() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let mut moments = Moments::from_environment();
    let archive = docker_archive(engine.dir()).display().to_string();
    let host = engine.host();
    for round in 0..KILLS {
        let acknowledged = engine.dir().join("acknowledged");
        let _ = std::fs::remove_file(&acknowledged);
        // Each word is written only after the client was told that it is done.
        let work = format!(
            "export DOCKER_HOST={host} A={}; \
             (for i in 1 2 3 4 5 6; do n=k{round}-$i; docker create --name $n busybox sleep 1000 && echo created $n >>$A; \
              docker start $n && echo started $n >>$A; \
              [ $((i % 2)) = 0 ] && docker rm -f $n && echo removed $n >>$A; done) & \
             (docker load -i {archive} && echo loaded >>$A; docker rmi archived:v1 && echo unloaded >>$A) & wait",
            acknowledged.display()
        );
        engine.kill_during(&work, Duration::from_micros(moments.next(900_000)));
        let said = std::fs::read_to_string(&acknowledged).unwrap_or_default();
        check(&engine, &said, round);
        clean(&engine);
    }
    engine.docker(&["rmi", "busybox"]).ok();
    wait_for(|| stored(&engine) == "0");
}

/// What was acknowledged is there.
fn check(engine: &Engine, said: &str, round: u32) {
    let all = engine
        .docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])
        .ok()
        .stdout;
    for line in said.lines() {
        let has = |word: &str| said.lines().any(|line| line == word);
        match line.split_once(' ') {
            Some(("created", name)) if name.ends_with(['1', '3', '5']) => {
                assert!(
                    all.lines().any(|row| row.starts_with(&format!("{name} "))),
                    "round {round}: {name} is lost: {all}"
                );
            }
            Some(("started", name)) if name.ends_with(['1', '3', '5']) => {
                assert!(
                    all.lines().any(|row| row == format!("{name} running")),
                    "round {round}: {name} died: {all}"
                );
            }
            Some(("removed", name)) => {
                assert!(
                    !all.contains(&format!("{name} ")),
                    "round {round}: {name} is back: {all}"
                );
            }
            _ => {}
        }
        if line == "loaded" && !has("unloaded") {
            // The removal may have been under way: the image is there, or gone as a whole.
            let code = engine
                .docker(&["run", "--rm", "--pull", "never", "archived:v1"])
                .code;
            assert!(
                code == 0 || engine.docker(&["inspect", "archived:v1"]).code != 0,
                "round {round}: a broken image"
            );
        }
    }
    engine.docker(&["run", "--rm", "busybox", "true"]).ok();
}

/// Removes what is left, and expects that the kernel then holds nothing of it.
fn clean(engine: &Engine) {
    let ids = engine.docker(&["ps", "-aq"]).ok().stdout;
    let ids: Vec<&str> = ids.lines().collect();
    if !ids.is_empty() {
        engine.docker(&[&["rm", "-f"], &ids[..]].concat()).ok();
    }
    engine.docker(&["rmi", "-f", "archived:v1"]);
    wait_for(|| {
        let root = engine.data_root().join("containers");
        std::fs::read_dir(root).into_iter().flatten().count() == 0
    });
}

/// Layers and blobs that are still on disk.
fn stored(engine: &Engine) -> String {
    let root = engine.data_root().display().to_string();
    let text = format!(
        "find {root}/content/blobs {root}/content/ingest -type f 2>/dev/null | wc -l; \
         find {root}/snapshots/overlay -mindepth 1 -maxdepth 1 -name '[0-9]*' 2>/dev/null | wc -l"
    );
    let counts = finish(&mut script(&text), b"").ok().stdout;
    counts
        .lines()
        .map(|line| line.trim().parse::<u32>().expect("a number"))
        .sum::<u32>()
        .to_string()
}
