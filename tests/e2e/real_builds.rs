//! Real builds with the network: packages of a distribution, a Rust program in two
//! stages with caches, a Python application, and the example application, each by every
//! way of building that is installed. The sources are those of the machine: what its own
//! clients read says where they are, and reaches a build as a secret.

use std::path::{Path, PathBuf};

use crate::harness::compose::Project;
use crate::harness::{
    Engine, Outcome, command, debian_tar, finish, gantry_binary, plugins, remark, script,
};

/// One way of building; each has what it takes besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Classic,
    Buildx,
    Gantry,
}

/// An engine that reaches what the machine reaches, with Debian's root file system;
/// `None` where that cannot be.
fn start(name: &str) -> Option<Engine> {
    let tools = "command -v mmdebstrap && command -v apt-get";
    if std::env::var_os("GANTRY_E2E_DOCKER").is_some() || finish(&mut script(tools), b"").code != 0
    {
        remark(&format!(
            "SKIPPED: real_builds::{name}: needs gantry, mmdebstrap and apt-get"
        ));
        return None;
    }
    let engine = Engine::start_outside();
    let tar = debian_tar().to_string_lossy();
    engine.docker(&["import", &tar, "debian:plain"]).ok();
    trust_as_here(&engine);
    Some(engine)
}

/// Debian with the certificates that this machine believes.
fn trust_as_here(engine: &Engine) {
    let certificates = std::env::var("SSL_CERT_FILE")
        .unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned());
    let base = crate::harness::folder(engine, "base", &[("Dockerfile", "FROM debian:plain")]);
    if let Ok(certificates) = std::fs::read(certificates) {
        // Not where a package puts its own.
        let text = "FROM debian:plain\nCOPY certificates /etc/ssl/here.crt\n\
                    ENV SSL_CERT_FILE=/etc/ssl/here.crt PIP_CERT=/etc/ssl/here.crt\n";
        std::fs::write(base.join("certificates"), certificates).expect("a copy");
        std::fs::write(base.join("Dockerfile"), text).expect("a Dockerfile");
    }
    build(engine, Way::Classic, &base, "debian:local").ok();
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("real_builds")
        .join(name)
}

/// A copy that a test may change.
fn copied(engine: &Engine, name: &str) -> PathBuf {
    let to = engine.dir().join(name);
    finish(command("cp", &["-r"]).arg(folder(name)).arg(&to), b"").ok();
    to
}

/// What builds with commands that reach the network by this machine's configuration.
fn build(engine: &Engine, way: Way, dir: &Path, tag: &str) -> Outcome {
    let dir = dir.to_string_lossy();
    let mut words = vec!["build", "--network=host", "-t", tag];
    let secrets = secrets();
    if way != Way::Classic {
        words.extend(["--progress=plain", "--allow=network.host"]);
        words.extend(secrets.iter().map(String::as_str));
    }
    words.push(&dir);
    let mut command = match way {
        Way::Gantry => engine.gantry_command(&words),
        Way::Classic | Way::Buildx => engine.docker_command(&words),
    };
    let buildkit = if way == Way::Classic { "0" } else { "1" };
    finish(command.env("DOCKER_BUILDKIT", buildkit), b"")
}

/// The configurations of pip and cargo, as far as they are there.
fn secrets() -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let files = [
        ("cargo", format!("{cargo}/config.toml")),
        ("pip", "/etc/pip.conf".to_owned()),
    ];
    let there = files.iter().filter(|(_, path)| Path::new(path).is_file());
    there
        .map(|(id, path)| format!("--secret=id={id},src={path}"))
        .collect()
}

/// What a build came to; `None` when it failed and this machine's own client of the same
/// source fails as well, which is no fault of the engine.
fn unless_offline(name: &str, outcome: Outcome, own: &str) -> Option<Outcome> {
    if outcome.code != 0 && finish(&mut script(own), b"").code != 0 {
        remark(&format!(
            "SKIPPED: real_builds::{name}: this machine's own client does not reach it either"
        ));
        return None;
    }
    Some(outcome.ok())
}

/// Whether this machine's own package sources answer.
const APT: &str = "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; \
                   timeout 60 apt-get -qq --error-on=any -o Dir::State::Lists=$d update";
const PIP: &str = "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; \
                   timeout 60 pip download -q --no-deps -d $d idna";

/// The number of steps that were found.
fn found(outcome: &Outcome) -> usize {
    let both = format!("{}{}", outcome.stdout, outcome.stderr);
    both.matches(" CACHED").count() + both.matches("Using cache").count()
}

#[test]
fn packages_are_installed() {
    let Some(engine) = start("packages_are_installed") else {
        return;
    };
    let dir = folder("packages");
    let first = build(&engine, Way::Classic, &dir, "packages");
    if unless_offline("packages_are_installed", first, APT).is_none() {
        return;
    }
    let run = |words: &[&str]| {
        let run = ["run", "--rm", "--network=none", "packages"];
        engine.docker(&[&run, words].concat()).ok().stdout
    };
    assert_eq!(run(&[]).trim(), "built");
    let status = "dpkg-query -f '${Package} ${db:Status-Status}\\n' -W figlet less; \
                  ls -A /var/lib/apt/lists | wc -l; ls /var/cache/apt 2>&1 | wc -l";
    assert_eq!(
        run(&["sh", "-c", status]),
        "figlet installed\nless installed\n0\n1\n"
    );
    assert_eq!(run(&["dpkg", "--verify", "figlet", "less"]), "");
    // One cache for all three.
    let again = build(&engine, Way::Gantry, &dir, "packages:again").ok();
    assert_eq!(found(&again), 2, "{again:?}");
    if plugins::link(&engine, "docker-buildx") {
        let again = build(&engine, Way::Buildx, &dir, "packages:again").ok();
        assert_eq!(found(&again), 2, "{again:?}");
    }
}

/// The Rust toolchain of this machine as an image.
fn toolchain(engine: &Engine) -> bool {
    let import = format!(
        "set -e; cd \"$(rustc --print sysroot)\"; \
         tar -c bin/rustc bin/cargo lib/*.so* lib/rustlib/*-linux-gnu \
         | '{}' --host '{}' import - rust:local",
        gantry_binary().display(),
        engine.host()
    );
    finish(&mut script(&import), b"").code == 0
}

#[test]
fn a_rust_program_is_compiled_with_caches() {
    let name = "a_rust_program_is_compiled_with_caches";
    let Some(engine) = start(name) else {
        return;
    };
    if !toolchain(&engine) {
        return remark(&format!(
            "SKIPPED: real_builds::{name}: there is no rustc here"
        ));
    }
    let dir = copied(&engine, "rust");
    let way = match plugins::link(&engine, "docker-buildx") {
        true => Way::Buildx,
        false => Way::Gantry,
    };
    let fetch = format!("cd '{}' && timeout 120 cargo fetch && {APT}", dir.display());
    let Some(first) = unless_offline(name, build(&engine, way, &dir, "counts"), &fetch) else {
        return;
    };
    assert!(first.stderr.contains("Compiling memchr"), "{first:?}");
    let counts = |tag: &str| {
        let words = ["run", "--rm", "-i", "--network=none", tag];
        engine.docker_with(&words, b"a\nb\n").ok().stdout
    };
    assert_eq!(counts("counts"), "2 lines\n");
    // Nothing of the mounts is in the image, and in the stage only where they were.
    let files = "ls -A /opt; ls -d /src /cargo 2>/dev/null | wc -l";
    let words = [
        "run",
        "--rm",
        "--network=none",
        "--entrypoint=sh",
        "counts",
        "-c",
        files,
    ];
    engine.docker(&words).ok().prints("0\n");

    let main = dir.join("src/main.rs");
    let text = std::fs::read_to_string(&main).expect("the program");
    std::fs::write(&main, text.replace("{} lines", "{} rows")).expect("the program");
    for (way, tag) in [(Way::Gantry, "counts:own"), (way, "counts:two")] {
        let second = build(&engine, way, &dir, tag).ok();
        assert!(!second.stderr.contains("Compiling memchr"), "{second:?}");
        assert!(!second.stderr.contains("Downloaded"), "{second:?}");
        assert_eq!(counts(tag), "2 rows\n");
    }
}

#[test]
fn a_python_application_is_installed_with_a_cache() {
    let name = "a_python_application_is_installed_with_a_cache";
    let Some(engine) = start(name) else {
        return;
    };
    let dir = copied(&engine, "python");
    let first = build(&engine, Way::Gantry, &dir, "hello");
    let Some(first) = unless_offline(name, first, &format!("{APT} && {PIP}")) else {
        return;
    };
    assert!(first.stderr.contains("Successfully installed"), "{first:?}");
    let hello = |tag: &str| engine.docker(&["run", "--rm", "--network=none", tag]);
    hello("hello").ok().prints("hello JINJA\n");
    let list = dir.join("requirements.txt");
    let text = std::fs::read_to_string(&list).expect("the list");
    std::fs::write(&list, format!("{text}# once more\n")).expect("the list");
    let mut ways = vec![Way::Gantry];
    if plugins::link(&engine, "docker-buildx") {
        ways.push(Way::Buildx);
    }
    for way in ways {
        let again = build(&engine, way, &dir, "hello:again").ok();
        if again.stderr.contains("Successfully installed") {
            let kept = again.stderr.matches("File was already downloaded").count();
            assert_eq!(kept, 2, "{again:?}");
        }
        hello("hello:again").ok().prints("hello JINJA\n");
    }
}

/// The example's folder.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wordcount")
}

#[test]
fn the_example_is_built_and_goes_up() {
    let name = "the_example_is_built_and_goes_up";
    let Some(engine) = start(name) else {
        return;
    };
    let Some(project) = Project::at(&engine, &example()) else {
        return;
    };
    if !plugins::link(&engine, "docker-buildx") {
        return;
    }
    engine
        .docker(&["tag", "debian:local", "debian:stable-slim"])
        .ok();
    let outside = "services:\n  db: {build: {network: host, entitlements: [network.host]}}\n  \
                   web: {build: {network: host, entitlements: [network.host]}}\n";
    let outside_file = engine.dir().join("outside.yaml");
    std::fs::write(&outside_file, outside).expect("a file");
    let outside_file = outside_file.to_string_lossy();
    let files = ["-f", "compose.yaml", "-f", &outside_file];
    let built = project.docker(&[&files[..], &["build"]].concat());
    if unless_offline(name, built, APT).is_none() {
        return;
    }
    // Compose says in labels of the image what it is for.
    let layers = |image: &str| engine.inspect(image, "{{json .RootFS.Layers}}");
    let by_compose = ["wordcount/app", "wordcount/db"].map(layers);
    engine
        .docker(&["rmi", "wordcount/app", "wordcount/db"])
        .ok();
    let bake = [
        &["buildx", "bake", "--progress=plain", "--allow=network.host"],
        &files[..],
    ];
    let mut bake = engine.docker_command(&bake.concat());
    let baked = finish(bake.current_dir(example()), b"").ok();
    assert_eq!(found(&baked), 4, "{baked:?}");
    assert_eq!(["wordcount/app", "wordcount/db"].map(layers), by_compose);

    // Where the example's own networks are nobody else's.
    let inside = Engine::start();
    let images = engine.dir().join("images.tar");
    let images = images.to_string_lossy();
    engine
        .docker(&["save", "-o", &images, "wordcount/app", "wordcount/db"])
        .ok();
    inside.docker(&["load", "-i", &images]).ok();
    let Some(project) = Project::at(&inside, &example()) else {
        return;
    };
    let up = [
        "up",
        "-d",
        "--no-build",
        "--wait",
        "--wait-timeout=120",
        "web",
        "worker",
    ];
    project.docker(&up).ok();
    project.docker(&["down", "-v", "-t1"]).ok();
}
