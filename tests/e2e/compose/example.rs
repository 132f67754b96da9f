//! `examples/wordcount`: real programs from Debian packages, as its README says.

use std::path::{Path, PathBuf};

use super::{settles, things};
use crate::harness::compose::Project;
use crate::harness::{Engine, command, finish, image_store, remark, script};
use crate::run::wait_for;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wordcount")
}

/// Makes the images, or uses those of an earlier run.
fn make_images(engine: &Engine) {
    let mut make = command(
        &folder().join("make-images").to_string_lossy(),
        &["docker", "-H"],
    );
    let cache = image_store().join("wordcount");
    std::fs::create_dir_all(&cache).expect("a folder");
    make.arg(engine.host()).env("WORDCOUNT_CACHE", cache);
    finish(&mut make, b"").ok();
}

#[test]
fn the_example_goes_up_is_used_scaled_killed_and_down() {
    let engine = Engine::start();
    let Some(project) = Project::at(&engine, &folder()) else {
        return;
    };
    if finish(&mut script("command -v mmdebstrap"), b"").code != 0 {
        remark("SKIPPED: compose::example: mmdebstrap is not installed here");
        return;
    }
    let before = things(&engine);
    make_images(&engine);
    project
        .docker(&[
            "up",
            "-d",
            "--wait",
            "--wait-timeout",
            "120",
            "web",
            "worker",
        ])
        .ok();
    let up = [
        "db-1 running healthy",
        "setup-1 exited",
        "web-1 running healthy",
        "worker-1 running",
        "worker-2 running",
    ];
    assert_eq!(project.ps(), up);
    // The database's password is in no list of processes.
    let top = project.docker(&["top", "db"]).ok().stdout;
    assert!(
        top.contains("redis-server") && !top.contains("example-only"),
        "{top}"
    );

    count(&project, "the cat and the dog");
    wait_for(|| page(&project).contains("<li>the: 2</li>"));
    assert!(
        page(&project).contains("1 are counted"),
        "{}",
        page(&project)
    );
    if engine.is_gantry() {
        let netns = format!("nsenter --net=/proc/{}/ns/net", engine.pid());
        let fetched = finish(
            &mut script(&format!("{netns} curl -s http://127.0.0.1:8080/")),
            b"",
        )
        .ok();
        assert!(
            fetched.stdout.contains("<h1>Word count</h1>"),
            "{fetched:?}"
        );
    }

    project
        .docker(&["up", "-d", "--scale", "worker=4", "--no-recreate"])
        .ok();
    let worker = project.container("worker", 4);
    let pid = engine.inspect(&worker, "{{.State.Pid}}");
    finish(&mut script(&format!("kill -9 {pid}")), b"").ok();
    wait_for(|| engine.inspect(&worker, "{{.RestartCount}} {{.State.Running}}") == "1 true");
    project.docker(&["restart", "db"]).ok();
    let scaled = [&up[..], &["worker-3 running", "worker-4 running"]].concat();
    settles(&project, &scaled);
    count(&project, "the bird");
    wait_for(|| page(&project).contains("<li>the: 3</li>"));

    project.docker(&["down"]).ok();
    project
        .docker(&["up", "-d", "--wait", "--wait-timeout", "120"])
        .ok();
    assert!(
        page(&project).contains("<li>the: 3</li>"),
        "{}",
        page(&project)
    );
    project.docker(&["down", "-v"]).ok();
    assert_eq!(things(&engine), before);
}

/// Sends a text from another container.
fn count(project: &Project, text: &str) {
    let send = "import sys, urllib.request as r, urllib.parse as p; \
                r.urlopen('http://web:8080/texts', p.urlencode({'text': sys.argv[1]}).encode()).read()";
    project
        .docker(&["exec", "-T", "worker", "python3", "-c", send, text])
        .ok();
}

fn page(project: &Project) -> String {
    let read = "import urllib.request as r; print(r.urlopen('http://web:8080/').read().decode())";
    project
        .docker(&["exec", "-T", "worker", "python3", "-c", read])
        .stdout
}
