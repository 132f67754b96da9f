//! Copies of volumes, which Docker does not have: `gantry volume clone`, `snapshot`,
//! `export`, `import` and `rename`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::crash::Moments;
use crate::gantry_only;
use crate::harness::Engine;

/// How often the daemon is killed.
const KILLS: u32 = 8;

/// Files of all kinds, with all that belongs to them.
const FILL: &str = "cd /v; mkdir -m 2750 d; echo text >d/f; chown 7:8 d/f; chmod 4711 d/f; ln d/f hard; \
    ln -s d/f soft; mkfifo -m 620 pipe; mknod null c 1 3; dd if=/dev/zero of=sparse bs=1 count=1 seek=50M 2>/dev/null; \
    touch -d @981173106 d/f; touch -d @981173107 d; chown 70000:70001 /v; chmod 1770 /v";
/// What can be seen of them.
const LOOK: &str = "cd /v; stat -c '%n %a %u:%g %h %F %Y %s' . d d/f hard soft pipe null | sed 's/^\\. .*/top &/; /^top/s/ [0-9]* [0-9]*$//'; \
    stat -c '%n %Y' d d/f; readlink soft; stat -c '%n %s %b' sparse | awk '{print $1, $2, ($3 < 1000)}'; ls -a | sort";

fn look(engine: &Engine, volume: &str) -> String {
    let mount = format!("{volume}:/v");
    let run = ["run", "--rm", "-v", &mount, "busybox", "sh", "-c", LOOK];
    engine.docker(&run).ok().stdout
}

fn filled(engine: &Engine, volume: &str) -> String {
    let mount = format!("{volume}:/v");
    let run = ["run", "--rm", "-v", &mount, "busybox", "sh", "-c", FILL];
    engine.docker(&run).ok();
    look(engine, volume)
}

#[test]
fn copies_have_all_that_the_volume_has() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let gantry = |args: &[&str]| engine.gantry(args);
    let labels = ["volume", "create", "--label", "a=b", "one"];
    engine.docker(&labels).ok();
    let original = filled(&engine, "one");
    assert!(original.contains("d/f 4711 7:8 2"), "{original}");
    let place = engine.data_root().join("volumes/one/_data/d/f");
    rustix::fs::setxattr(
        &place,
        "user.note",
        b"kept",
        rustix::fs::XattrFlags::empty(),
    )
    .expect("an attribute");
    gantry(&["volume", "clone", "--label", "c=d", "one", "two"])
        .ok()
        .prints("two\n");
    gantry(&["volume", "snapshot", "one", "snap"])
        .ok()
        .prints("snap\n");
    let archive = engine.dir().join("one.tar").display().to_string();
    gantry(&["volume", "export", "-o", &archive, "one"]).ok();
    gantry(&["volume", "import", "--label", "e=f", "three", &archive])
        .ok()
        .prints("three\n");
    let nameless = gantry(&["volume", "snapshot", "one"]).ok().line();
    assert!(nameless.starts_with("one-2"), "{nameless}");
    for copy in ["two", "snap", "three", &nameless] {
        assert_eq!(look(&engine, copy), original, "{copy}");
        let file = engine
            .data_root()
            .join("volumes")
            .join(copy)
            .join("_data/d/f");
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&file, "user.note", &mut value).expect("an attribute");
        assert_eq!(&value[..length], b"kept", "{copy}");
    }
    let format = ["volume", "inspect", "-f", "{{json .Labels}}"];
    for (name, labels) in [
        ("two", "{\"a\":\"b\",\"c\":\"d\"}\n"),
        ("snap", "{\"a\":\"b\",\"gantry.snapshot.of\":\"one\"}\n"),
        ("three", "{\"e\":\"f\"}\n"),
    ] {
        engine
            .docker(&[&format[..], &[name]].concat())
            .ok()
            .prints(labels);
    }
    let of = [
        "volume",
        "ls",
        "-q",
        "--filter",
        "label=gantry.snapshot.of=one",
    ];
    engine
        .docker(&of)
        .ok()
        .prints(&format!("{nameless}\nsnap\n"));
    // A snapshot stays what it is; its clone may change.
    let touch = |volume: &str| {
        let mount = format!("{volume}:/v");
        engine.docker(&["run", "--rm", "-v", &mount, "busybox", "touch", "/v/new"])
    };
    touch("snap").code(1).says("Read-only file system");
    gantry(&["volume", "clone", "snap", "again"]).ok();
    touch("again").ok();
    // Sparse files stay sparse in archives, too.
    let size = std::fs::metadata(&archive).expect("an archive").len();
    assert!(size < 1 << 20, "{size}");
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let gantry = |args: &[&str]| engine.gantry(args);
    for name in ["one", "two"] {
        engine.docker(&["volume", "create", name]).ok();
    }
    let tmpfs = [
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "mem",
    ];
    engine.docker(&tmpfs).ok();
    gantry(&["volume", "clone", "one", "two"])
        .code(1)
        .says("volume two exists already");
    gantry(&["volume", "clone", "none", "new"])
        .code(1)
        .says("get none: no such volume");
    gantry(&["volume", "clone", "one", "../new"])
        .code(1)
        .says("includes invalid characters");
    gantry(&["volume", "clone", "mem", "new"])
        .code(1)
        .says("read mem: its files are on a file system that is mounted in containers only");
    gantry(&["volume", "export", "none"])
        .code(1)
        .says("get none: no such volume");
    let junk = engine.dir().join("junk");
    std::fs::write(&junk, "no archive at all").expect("a file");
    gantry(&["volume", "import", "new", &junk.display().to_string()]).code(1);
    gantry(&["volume", "import", "two", "-"])
        .code(1)
        .says("exists already");
    engine
        .docker(&["volume", "ls", "-q"])
        .ok()
        .prints("mem\none\ntwo\n");
    let made = std::fs::read_dir(engine.data_root().join("volumes/.making")).expect("a folder");
    assert_eq!(made.count(), 0);
    engine
        .docker(&[
            "create", "--name", "user", "-v", "one:/v", "busybox", "true",
        ])
        .ok();
    gantry(&["volume", "rename", "one", "three"])
        .code(1)
        .says("rename one: volume is in use - [");
    engine.docker(&["rm", "user"]).ok();
    gantry(&["volume", "rename", "one", "two"])
        .code(1)
        .says("volume two exists already");
    gantry(&["volume", "rename", "one", "three"]).ok();
    engine
        .docker(&["volume", "ls", "-q"])
        .ok()
        .prints("mem\nthree\ntwo\n");
    gantry(&["volume", "clone"])
        .code(1)
        .says("requires 2 arguments");
}

#[test]
fn containers_stand_still_while_their_volume_is_copied() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    // Two files that are the same whenever nobody writes.
    let work = "i=0; while :; do i=$((i+1)); echo $i >/v/a; echo $i >/v/b; done";
    engine
        .docker(&[
            "run", "-d", "--name", "writer", "-v", "one:/v", "busybox", "sh", "-c", work,
        ])
        .ok();
    std::thread::sleep(Duration::from_millis(300));
    for round in 0..5 {
        let name = format!("copy{round}");
        engine.gantry(&["volume", "clone", "one", &name]).ok();
        let read = |file: &str| {
            let path = engine
                .data_root()
                .join("volumes")
                .join(&name)
                .join("_data")
                .join(file);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.trim().parse::<i64>().unwrap_or(-1)
        };
        let (a, b) = (read("a"), read("b"));
        // The writer stood between two of its steps.
        assert!(a == b || a == b + 1 || a == -1 || b == -1, "{a} {b}");
    }
    assert_eq!(engine.inspect("writer", "{{.State.Paused}}"), "false");
    engine.docker(&["rm", "-f", "writer"]).ok();
}

#[test]
fn kills_leave_whole_volumes() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let mut moments = Moments::from_environment();
    let fill = "for d in 1 2 3 4 5 6; do mkdir /v/$d; for f in 1 2 3 4 5 6 7 8 9; do echo $f >/v/$d/$f; done; done";
    engine
        .docker(&["run", "--rm", "-v", "one:/v", "busybox", "sh", "-c", fill])
        .ok();
    let binary = crate::harness::gantry_binary().display().to_string();
    for round in 0..KILLS {
        let work = format!(
            "export DOCKER_HOST={}; g={binary}; for i in 1 2 3 4 5 6; do \
             $g volume clone one c{round}-$i; $g volume rename c{round}-$i r{round}-$i; \
             $g volume export one | $g volume import i{round}-$i -; done",
            engine.host()
        );
        engine.kill_during(&work, Duration::from_micros(moments.next(900_000)));
        let listed = engine.docker(&["volume", "ls", "-q"]).ok().stdout;
        let root = engine.data_root().join("volumes");
        for name in listed.lines() {
            let count =
                |path: std::path::PathBuf| std::fs::read_dir(path).map_or(0, Iterator::count);
            let data = root.join(name).join("_data");
            let files: usize = (1..=6).map(|d| count(data.join(d.to_string()))).sum();
            assert_eq!((count(data), files), (6, 54), "{name}");
        }
        let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
        let found = std::fs::read_dir(&root).expect("volumes");
        let found = found.map(|entry| {
            entry
                .expect("one")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        let found: BTreeSet<String> = found.filter(|name| !name.starts_with('.')).collect();
        assert_eq!(found, listed);
    }
}
