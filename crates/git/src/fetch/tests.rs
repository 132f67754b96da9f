//! Repositories of a server made here, which lies where it is told to, and of git's own.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::testing::{Packed, Server, backend};

fn web() -> gantry_registry::Client {
    gantry_registry::Client::new(gantry_registry::Config::default()).unwrap()
}

struct Got {
    directory: tempfile::TempDir,
    result: Result<Checkout>,
}

impl Got {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn error(&self) -> String {
        self.result.as_ref().unwrap_err().to_string()
    }
}

fn get_as(address: &str, authorization: Option<&str>, checksum: &str) -> Got {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let web = web();
    let client = Client {
        web: &web,
        authorization: &|_| authorization.map(str::to_owned),
        cancel: &Cancel::new(),
    };
    let mut source = Source::parse(address).unwrap().unwrap();
    if !checksum.is_empty() {
        source.require(checksum).unwrap();
    }
    let result = checkout(&client, &source, &files, directory.path());
    Got { directory, result }
}

fn get(address: &str) -> Got {
    get_as(address, None, "")
}

#[test]
fn a_commit_becomes_files() {
    let mut packed = Packed::default();
    let file = packed.object("blob", b"text");
    let link = packed.object("blob", b"../../etc/passwd");
    let below = packed.tree(&[("100755", "run", file)]);
    let tree = packed.tree(&[
        ("100644", "a", file),
        ("40000", "d", below),
        ("120000", "l", link),
    ]);
    let commit = packed.commit(tree);
    let server = Server::of(commit, packed.bytes());
    let got = get(&format!("{}#main", server.url()));
    assert_eq!(got.result.as_ref().unwrap().commit, commit);
    assert_eq!(got.read("a"), "text");
    let mode = got.path("d/run").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let link = std::fs::read_link(got.path("l")).unwrap();
    assert_eq!(link.to_str(), Some("../../etc/passwd"));
    assert_eq!(get(&format!("{}#:d", server.url())).read("run"), "text");
    assert_eq!(
        get(&format!("{}#{commit}:d", server.url())).read("run"),
        "text"
    );
    for (wish, error) in [
        (
            "#:x",
            "failed to open subdir \"x\": no such file or directory",
        ),
        ("#:a", "subdir not directory \"a\""),
        ("#none", "repository does not contain ref none"),
    ] {
        assert_eq!(get(&format!("{}{wish}", server.url())).error(), error);
    }
    let own = commit.to_string();
    assert!(get_as(&server.url(), None, &own[..8]).result.is_ok());
    let other = get_as(&server.url(), None, "0000000");
    assert_eq!(
        other.error(),
        format!("expected checksum to match 0000000, got {commit}")
    );
}

#[test]
fn trees_that_lead_elsewhere_are_refused() {
    type Lines = fn(&mut Packed) -> Vec<(&'static str, &'static str, ObjectId)>;
    let wrong: [(&str, Lines); 5] = [
        ("called \"..\"", |packed| {
            vec![("100644", "..", packed.object("blob", b"x"))]
        }),
        ("called \".Git\"", |packed| {
            let file = packed.object("blob", b"x");
            vec![("40000", ".Git", packed.tree(&[("100644", "config", file)]))]
        }),
        // The same name as a link and as a directory: nothing is written through the link.
        ("exists", |packed| {
            let link = packed.object("blob", b"/tmp");
            let file = packed.object("blob", b"x");
            let below = packed.tree(&[("100644", "gantry-was-here", file)]);
            vec![("120000", "a", link), ("40000", "a", below)]
        }),
        ("did not come", |_| {
            vec![("100644", "a", ObjectId::default())]
        }),
        ("no url found", |_| {
            vec![("160000", "sub", ObjectId::default())]
        }),
    ];
    for (what, make) in wrong {
        let mut packed = Packed::default();
        let lines = make(&mut packed);
        let tree = packed.tree(&lines);
        let commit = packed.commit(tree);
        let server = Server::of(commit, packed.bytes());
        let error = get(&server.url()).error();
        assert!(error.contains(what), "{what}: {error}");
    }
    assert!(!std::path::Path::new("/tmp/gantry-was-here").exists());
}

#[test]
fn trees_that_are_in_themselves_many_times_end() {
    let mut packed = Packed::default();
    let mut tree = packed.tree(&[]);
    for _ in 0..600 {
        tree = packed.tree(&[("40000", "d", tree)]);
    }
    let commit = packed.commit(tree);
    let server = Server::of(commit, packed.bytes());
    let error = get(&server.url()).error();
    assert!(error.contains("too deep"), "{error}");
}

#[test]
fn servers_that_are_none_and_secrets() {
    let kind = "application/x-git-upload-pack-advertisement";
    let server = Server::new(move |asked| match asked.target.as_str() {
        target if target.starts_with("/old.git") => {
            let line = crate::testing::packet(b"0000000000000000000000000000000000000000 x\n");
            (200, kind.to_owned(), [line, b"0000".to_vec()].concat())
        }
        target if target.starts_with("/files.git") => (200, "text/plain".to_owned(), Vec::new()),
        target if target.starts_with("/private.git") => match asked.authorization.as_deref() {
            Some("Basic dTpw") => (404, String::new(), Vec::new()),
            _ => (401, String::new(), Vec::new()),
        },
        _ => (200, kind.to_owned(), b"fffe".to_vec()),
    });
    let error = |path: &str| get(&format!("http://{}{path}", server.address)).error();
    assert!(error("/old.git").contains("does not speak version 2"));
    assert!(error("/files.git").contains("is no git repository"));
    assert!(error("/x.git").contains("a packet of 65534 bytes"));
    assert!(error("/private.git").contains("GIT_AUTH_TOKEN"));
    let address = format!("http://u:p@{}/private.git", server.address);
    let error = get(&address).error();
    assert!(
        error.contains("repository not found") && !error.contains("u:p"),
        "{error}"
    );
    let address = format!("http://{}/private.git", server.address);
    let error = get_as(&address, Some("Basic dTpw"), "").error();
    assert!(error.contains("repository not found"), "{error}");
}

/// A repository of git's own, with what servers make of repositories in the field.
fn repository() -> Option<tempfile::TempDir> {
    let known = Command::new("git").arg("--version").output();
    if !known.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: there is no git on this machine");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let script = "
        export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x
        export GIT_COMMITTER_DATE='1600000000 +0000' GIT_AUTHOR_DATE='1600000000 +0000'
        set -e
        git init -q -b main sub.git && cd sub.git && echo below > s && git add s && git commit -qm s
        cd .. && git init -q -b main repo.git && cd repo.git
        mkdir d && echo one > a && ln -s a l && printf '#!/bin/sh\\n' > d/run && chmod +x d/run
        seq 1 20000 > long && seq 1 20001 > d/longer && git add . && git commit -qm first
        git tag -a v1 -m tagged && echo two > a && git commit -qam second && git branch other
        printf '[submodule \"sub\"]\\n\\tpath = m/sub\\n\\turl = ../sub.git\\n' > .gitmodules
        git update-index --add --cacheinfo 160000,$(git -C ../sub.git rev-parse HEAD),m/sub
        git add .gitmodules && git commit -qm third && git gc -q
        for r in . ../sub.git; do touch $r/.git/git-daemon-export-ok; done
        cd .. && for r in repo sub; do mv $r.git/.git x && rm -r $r.git && mv x $r.git; done";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(root.path())
        .status();
    assert!(made.unwrap().success());
    Some(root)
}

#[test]
fn gits_own_server_over_http() {
    let Some(root) = repository() else { return };
    let path = root.path().to_owned();
    let server = Server::new(move |asked| match asked.target.strip_prefix("/moved") {
        Some(rest) => (302, rest.to_owned(), Vec::new()),
        None => backend(&path, asked),
    });
    let got = get(&server.url());
    got.result.as_ref().unwrap();
    assert_eq!(got.read("a"), "two\n");
    assert_eq!(got.read("m/sub/s"), "below\n");
    assert!(got.read("d/longer").ends_with("20001\n"));
    assert!(!got.path(".git").exists());
    let time = got.path("a").metadata().unwrap().modified().unwrap();
    let time = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(time.as_secs(), 1_600_000_000);
    let got = get(&format!("http://{}/moved/repo.git#v1", server.address));
    assert_eq!(got.read("a"), "one\n");
    let first = got.result.unwrap().commit;
    let got = get(&format!("{}#{first}:d", server.url()));
    assert!(got.path("run").exists());
    let got = get(&format!("{}?submodules=0", server.url()));
    assert!(!got.path("m/sub/s").exists());
    let missing = get(&format!("{}#{}", server.url(), "1".repeat(40)));
    assert!(
        missing.error().contains("not our ref"),
        "{}",
        missing.error()
    );
    assert!(
        get(&format!("http://{}/none.git", server.address))
            .error()
            .contains("not found")
    );
}

#[test]
fn git_goes_on_from_what_was_kept() {
    let Some(root) = repository() else { return };
    let path = root.path().to_owned();
    let server = Server::new(move |asked| backend(&path, asked));
    for reference in ["v1", "other"] {
        let address = format!("{}?keep-git-dir=true&ref={reference}", server.url());
        let got = get(&address);
        let commit = got.result.as_ref().unwrap().commit.to_string();
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            let command = command.args(["-c", "safe.directory=*"]).args(args);
            let output = command.current_dir(got.path(".")).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {error}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(git(&["rev-parse", "HEAD"]), commit);
        assert_eq!(git(&["status", "--porcelain"]), "");
        assert_eq!(git(&["rev-list", "--count", "HEAD"]), "1");
        git(&["fsck", "--full", "--strict"]);
        if reference == "v1" {
            assert_eq!(git(&["describe"]), "v1");
        }
    }
}

#[test]
fn gits_own_server_over_its_own_protocol() {
    let Some(root) = repository() else { return };
    // Whoever connects is served by a program of its own, so that no port has to be chosen.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = root.path().to_owned();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let stream = std::os::fd::OwnedFd::from(stream);
        let mut command = Command::new("git");
        command.args([
            "daemon",
            "--inetd",
            "--export-all",
            "--log-destination=none",
        ]);
        command.arg(format!("--base-path={}", base.display()));
        command.stdin(stream.try_clone().unwrap()).stdout(stream);
        command.status().unwrap();
    });
    let got = get(&format!(
        "git://127.0.0.1:{port}/repo.git?submodules=false&ref=other"
    ));
    server.join().unwrap();
    got.result.as_ref().unwrap();
    assert_eq!(got.read("a"), "two\n");
}
