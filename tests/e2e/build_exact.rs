//! The cache is exact, whatever a step takes its files from: contents, modes, owners,
//! attributes, names and targets of links count, times do not.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::gantry_only;
use crate::harness::{Engine, folder};
use crate::run::wait_for;

/// Whether the step whose line has these words was known.
fn known(engine: &Engine, args: &[&str], step: &str) -> bool {
    let built = engine.gantry(&[&["build", "--progress", "plain"], args].concat());
    built.ok().was_known(step)
}

/// A directory with a file, a link and a directory in it.
fn tree(engine: &Engine, name: &str) -> PathBuf {
    let dir = folder(
        engine,
        name,
        &[("d/f", "aaaa"), ("d/below/g", "gggg"), ("Dockerfile", "")],
    );
    symlink("f", dir.join("d/l")).expect("a link");
    dir
}

/// What changes in a directory, and whether that counts.
type Change = (&'static str, bool, fn(&Path));

fn changes() -> Vec<Change> {
    let later = |path: &Path| {
        let file = std::fs::File::open(path.join("f")).expect("the file");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_200_000_000);
        file.set_modified(time).expect("a time");
    };
    vec![
        ("time", false, later),
        ("content", true, |d| {
            std::fs::write(d.join("f"), "bbbbb").expect("a file");
        }),
        ("mode", true, |d| {
            let mode = std::fs::Permissions::from_mode(0o751);
            std::fs::set_permissions(d.join("below/g"), mode).expect("a mode");
        }),
        ("attribute", true, |d| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(d.join("f"), "user.note", b"x", flags).expect("an attribute");
        }),
        ("name", true, |d| {
            std::fs::rename(d.join("below/g"), d.join("below/h")).expect("a name");
        }),
        ("target", true, |d| {
            std::fs::remove_file(d.join("l")).expect("the link");
            symlink("below", d.join("l")).expect("a link");
        }),
        ("directory", true, |d| {
            std::fs::create_dir(d.join("below/empty")).expect("a directory");
        }),
    ]
}

#[test]
fn of_contexts_all_but_times_counts() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let dir = tree(&engine, "context");
    std::fs::write(dir.join("Dockerfile"), "FROM busybox\nCOPY d /d\n").expect("a file");
    let other = folder(
        &engine,
        "other",
        &[("Dockerfile", "FROM busybox\nCOPY --from=named d /d\n")],
    );
    let [path, other] = [&dir, &other].map(|dir| dir.display().to_string());
    let named = format!("--build-context=named={path}");
    let own = || known(&engine, &[&path], "COPY d /d");
    let aside = || known(&engine, &[&named, &other], "COPY --from=named d /d");
    assert_eq!((own(), aside()), (false, false), "new");
    for (what, counts, change) in changes() {
        assert_eq!((own(), aside()), (true, true), "before {what}");
        change(&dir.join("d"));
        // As in BuildKit, a file is sent again when its size, mode or time is another one.
        let sent = counts && what != "attribute";
        assert_eq!((own(), aside()), (!counts, !sent), "{what}");
    }
    // Files of contexts are root's.
    std::os::unix::fs::chown(dir.join("d/f"), Some(7), Some(8)).expect("an owner");
    assert_eq!((own(), aside()), (true, true), "owner");
    let checked = engine.gantry(&["system", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

/// What a command can make of the same tree, and whether it is another one then.
const MADE: [(&str, bool); 8] = [
    ("true", false),
    ("touch -t 200102030405 /d/f /d", false),
    ("echo b >/d/f", true),
    ("chmod 600 /d/f", true),
    ("chown 7:8 /d/f", true),
    ("mv /d/f /d/g", true),
    ("ln -sf g /d/l", true),
    ("rm /d/f; ln -s f /d/f", true),
];

#[test]
fn of_stages_and_images_what_they_have_become_counts() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let make = |more: &str| format!("RUN mkdir /d; echo a >/d/f; ln -s f /d/l; {more}\n");
    let of_stage = |more: &str| {
        let file = format!(
            "FROM busybox AS made\n{}FROM busybox\nCOPY --from=made /d /e\n\
             RUN --mount=from=made,source=/d,target=/in cp -a /in /copy\n",
            make(more)
        );
        folder(&engine, "stage", &[("Dockerfile", &file)])
    };
    let of_image = |more: &str| {
        let file = format!("FROM busybox\n{}", make(more));
        let dir = folder(&engine, "image", &[("Dockerfile", &file)]);
        let dir = dir.display().to_string();
        engine.gantry(&["build", "-q", "-t", "made", &dir]).ok();
        let file = "FROM busybox\nWORKDIR /w\nCOPY --from=made /d /e\n";
        folder(&engine, "user", &[("Dockerfile", file)])
    };
    for (index, (more, another)) in MADE.iter().enumerate() {
        // Nothing is known of the first.
        let expected = !*another && index != 0;
        let stage = of_stage(more).display().to_string();
        let copy = "COPY --from=made /d /e";
        assert_eq!(known(&engine, &[&stage], copy), expected, "{more}");
        assert!(known(&engine, &[&stage], "RUN --mount=from=made"), "{more}");
        let user = of_image(more).display().to_string();
        assert_eq!(known(&engine, &[&user], copy), expected, "{more}");
    }
    // A mount of them counts in the same way.
    engine.docker(&["builder", "prune", "-af"]).ok();
    for (index, (more, another)) in MADE.iter().enumerate() {
        let stage = of_stage(more).display().to_string();
        let found = known(&engine, &[&stage], "RUN --mount=from=made");
        assert_eq!(found, !*another && index != 0, "{more}");
    }
    let checked = engine.gantry(&["system", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[test]
fn of_the_web_what_was_got_counts() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let served = folder(&engine, "served", &[("f", "aaaa")]);
    let volume = format!("{}:/www", served.display());
    let serve = "run -d --network=host -v".split(' ');
    let httpd = "busybox httpd -f -p 127.0.0.1:8099 -h /www".split(' ');
    let args: Vec<&str> = serve.chain([&*volume]).chain(httpd).collect();
    engine.docker(&args).ok();
    let file = "FROM busybox\nADD http://127.0.0.1:8099/f /f\n";
    let dir = folder(&engine, "context", &[("Dockerfile", file)]);
    let dir = dir.display().to_string();
    let found = || known(&engine, &[&dir], "ADD http://127.0.0.1:8099/f /f");
    wait_for(|| engine.gantry(&["build", "-q", &dir]).code == 0);
    assert!(found(), "the same");
    let touched = std::fs::File::open(served.join("f")).expect("the file");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    touched.set_modified(time).expect("a time");
    assert!(found(), "another time");
    std::fs::write(served.join("f"), "bbbb").expect("a file");
    assert!(!found(), "another content");
    assert!(found(), "the same again");
}
