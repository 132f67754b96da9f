//! Builds from git repositories, of a server beside the engine that is git's own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Engine, plugins, remark};

const PORT: &str = "19418";

/// What the repository has: a branch with a directory that is a context of its own, a tag
/// of an older commit, and a submodule.
const SCRIPT: &str = r#"
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x
git init -q -b main sub && cd sub && echo below >s && git add s && git commit -qm s && cd ..
git init -q -b main app && cd app && mkdir dir
printf 'FROM busybox\nCOPY . /all\nCMD ["cat", "/all/word"]\n' >Dockerfile
printf 'FROM busybox\nCOPY word /word\nCMD ["cat", "/word"]\n' >dir/Dockerfile
echo old >word && echo inner >dir/word && git add . && git commit -qm one && git tag -a v1 -m v1
echo new >word && printf '[submodule "m"]\n\tpath = m\n\turl = ../sub\n' >.gitmodules
git update-index --add --cacheinfo 160000,$(git -C ../sub rev-parse HEAD),m
git add word .gitmodules && git commit -qm two
"#;

struct Server {
    process: Child,
    commit: String,
    _root: tempfile::TempDir,
}

impl Server {
    /// One in the engine's network; none where there is no git.
    fn start(engine: &Engine) -> Option<Self> {
        let git = Command::new("git").arg("--version").output();
        if !git.is_ok_and(|output| output.status.success()) || !engine.is_gantry() {
            remark("SKIPPED: there is no git here, or no way into the engine's network");
            return None;
        }
        let root = tempfile::tempdir().expect("a folder");
        let mut script = Command::new("sh");
        let made = script
            .args(["-c", SCRIPT])
            .current_dir(root.path())
            .status();
        assert!(made.expect("sh").success());
        let mut head = Command::new("git");
        head.args(["-c", "safe.directory=*", "rev-parse", "HEAD"]);
        let head = head
            .current_dir(root.path().join("app"))
            .output()
            .expect("git");
        let mut daemon = inside(engine);
        daemon
            .args(["git", "daemon", "--export-all", "--reuseaddr"])
            .args(["--listen=127.0.0.1", &format!("--port={PORT}")])
            .arg(format!("--base-path={}", root.path().display()))
            .stderr(Stdio::null());
        let server = Self {
            process: daemon.spawn().expect("git"),
            commit: String::from_utf8(head.stdout)
                .expect("digits")
                .trim()
                .to_owned(),
            _root: root,
        };
        let end = Instant::now() + Duration::from_secs(20);
        let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{PORT}");
        loop {
            let mut probe = inside(engine);
            let probe = probe.args(["bash", "-c", &connect]).stderr(Stdio::null());
            if probe.status().expect("bash").success() {
                return Some(server);
            }
            assert!(Instant::now() < end, "git's server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is the leader of nobody: what it has started ends with its connections.
        let daemon =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.process.id()));
        for child in daemon.unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").arg(child).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn inside(engine: &Engine) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{}/ns/net", engine.pid()))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    command
}

fn url(rest: &str) -> String {
    format!("git://127.0.0.1:{PORT}/app{rest}")
}

#[test]
fn contexts_are_commits_of_repositories() {
    let engine = Engine::with_busybox();
    let Some(server) = Server::start(&engine) else {
        return;
    };
    for (rest, word) in [
        (String::new(), "new\n"),
        ("#v1".to_owned(), "old\n"),
        (format!("#{}", server.commit), "new\n"),
        ("#main:dir".to_owned(), "inner\n"),
        ("?ref=main&subdir=dir".to_owned(), "inner\n"),
    ] {
        engine
            .gantry(&["build", "-q", "-t", "built", &url(&rest)])
            .ok();
        engine.docker(&["run", "--rm", "built"]).ok().prints(word);
    }
    let missing = engine.gantry(&["build", &url("#none")]);
    assert!(
        missing
            .stderr
            .contains("repository does not contain ref none"),
        "{}",
        missing.stderr
    );
    let remote = format!("http://d/build?t=classic&remote={}", url("%23v1"));
    engine.curl(&["-X", "POST", &remote]).ok();
    engine
        .docker(&["run", "--rm", "classic"])
        .ok()
        .prints("old\n");
    if plugins::find("docker-buildx").is_some() && plugins::link(&engine, "docker-buildx") {
        let address = url("#main");
        let mut aside = "aside=".to_owned();
        aside.push_str(&url("#v1"));
        let built = engine.docker(&[
            "buildx",
            "build",
            "--progress=plain",
            "--build-context",
            &aside,
            "-t",
            "x",
            &address,
        ]);
        let built = built.ok();
        let step = format!("[internal] load git source {address}");
        assert!(built.stderr.contains(&step), "{}", built.stderr);
        engine
            .docker(&["run", "--rm", "x", "cat", "/all/m/s"])
            .ok()
            .prints("below\n");
    }
}

#[test]
fn repositories_are_added() {
    let engine = Engine::with_busybox();
    let Some(server) = Server::start(&engine) else {
        return;
    };
    let folder = engine.dir().join("context");
    std::fs::create_dir(&folder).expect("a folder");
    let build = |lines: &str| {
        let text = format!("FROM busybox\n{lines}\n");
        std::fs::write(folder.join("Dockerfile"), text).expect("the file is written");
        engine.gantry(&["build", "-t", "added", &folder.to_string_lossy()])
    };
    let commit = &server.commit;
    build(&format!(
        "ADD --checksum={commit} --chown=7:8 {0}#main /a\nADD --keep-git-dir=true {0}#v1 /b\n\
         ADD {0}#main:dir /c/\nRUN test -d /b/.git && ! test -e /a/.git && ! test -e /b/m",
        url("")
    ))
    .ok();
    engine
        .docker(&[
            "run",
            "--rm",
            "added",
            "sh",
            "-c",
            "cat /a/word /a/m/s /b/word /c/word; cat /b/.git/HEAD; stat -c %u:%g /a/word",
        ])
        .ok();
    let cached = build(&format!("ADD {}#main /a\nRUN true", url(""))).ok();
    // The base counts as no hit.
    let hits = |told: &str| told.matches(" CACHED\n").count();
    assert_eq!(hits(&cached.stderr), 0, "{}", cached.stderr);
    let cached = build(&format!("ADD {}#main /a\nRUN true", url(""))).ok();
    assert_eq!(hits(&cached.stderr), 2, "{}", cached.stderr);
    for (line, error) in [
        (
            format!("ADD --checksum=0000000 {} /a", url("")),
            "expected checksum to match 0000000",
        ),
        (
            format!("ADD {}#none /a", url("")),
            "repository does not contain ref none",
        ),
        ("ADD git@example.org:a/b.git /a".to_owned(), "git over ssh"),
        (
            format!("COPY {} /a", url("")),
            "source can't be a git ref for COPY",
        ),
    ] {
        let failed = build(&line);
        assert!(
            failed.code != 0 && failed.stderr.contains(error),
            "{line}: {}",
            failed.stderr
        );
    }
}
