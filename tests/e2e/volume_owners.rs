//! Whose the files of a bind are: `owner=` and `idmap=`, which Docker does not have.

use std::os::unix::fs::{MetadataExt, chown};

use crate::gantry_only;
use crate::harness::Engine;

/// Ids that nobody on the host has.
const USER: u32 = 61_234;
const GROUP: u32 = 61_235;

fn users_folder(engine: &Engine) -> String {
    let folder = engine.dir().join("home");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("mine"), "text").expect("a file");
    for path in [folder.clone(), folder.join("mine")] {
        chown(path, Some(USER), Some(GROUP)).expect("a change of owner");
    }
    folder.display().to_string()
}

fn owner(folder: &str, name: &str) -> (u32, u32) {
    let found = std::path::Path::new(folder)
        .join(name)
        .metadata()
        .expect("a file");
    (found.uid(), found.gid())
}

#[test]
fn a_users_files_keep_their_owner() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let folder = users_folder(&engine);
    let work = "stat -c %u:%g /d /d/mine; touch /d/$0";
    let run = |mount: &[&str], name: &str, shown: &str| {
        let args = [
            &["run", "--rm"],
            mount,
            &["busybox", "sh", "-c", work, name],
        ]
        .concat();
        engine
            .docker(&args)
            .ok()
            .prints(&format!("{shown}\n{shown}\n"));
        assert_eq!(owner(&folder, name), (USER, GROUP), "{mount:?}");
    };
    let volume = |words: &str| format!("{folder}:/d:{words}");
    run(&["-v", &volume("owner=0")], "short", "0:0");
    run(
        &["-v", &volume("rw,owner=33.44"), "-u", "33:44"],
        "user",
        "33:44",
    );
    let map = format!("idmap=uids={USER}-7-1;gids={GROUP}-8-1");
    run(&["-v", &volume(&map), "-u", "7:8"], "map", "7:8");
    let mount = format!("type=bind,src={folder},dst=/d");
    run(
        &[
            "--mount",
            &mount,
            "--annotation",
            "gantry.mount./d=owner=0:0",
        ],
        "annotation",
        "0:0",
    );
    // Others stay who they are, and nobody becomes root on the disk.
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &volume("owner=0"),
            "busybox",
            "sh",
            "-c",
            "chown 55:55 /d/mine && stat -c %u /d/mine",
        ])
        .ok()
        .prints("55\n");
    assert_eq!(owner(&folder, "mine"), (55, 55));
    let user = USER.to_string();
    engine
        .docker(&[
            "run",
            "--rm",
            "-v",
            &volume("owner=0"),
            "busybox",
            "sh",
            "-c",
            &format!("chmod 777 /d; chown {user} /d/mine"),
        ])
        .code(1);
    // Our own client has keys for it.
    let mount = format!("type=bind,src={folder},dst=/d,owner=0:0");
    engine
        .gantry(&[
            "run", "--rm", "--mount", &mount, "busybox", "touch", "/d/key",
        ])
        .ok();
    assert_eq!(owner(&folder, "key"), (USER, GROUP));
    let json = "{{(index .HostConfig.Mounts 0).BindOptions.Owner}}";
    engine
        .gantry(&[
            "create", "--name", "kept", "--mount", &mount, "busybox", "true",
        ])
        .ok();
    let raw = engine
        .curl(&["http://d/v1.51/containers/kept/json"])
        .ok()
        .stdout;
    assert!(raw.contains("\"Owner\":\"0:0\""), "{json} {raw}");
}

#[test]
fn users_of_a_user_namespace_own_files_too() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let folder = users_folder(&engine);
    let host = r#""HostConfig":{"UsernsMode":"auto","Binds":["FOLDER:/d:WORDS"]}"#
        .replace("FOLDER", &folder);
    for (name, words, shown) in [
        ("ns1", "owner=5", "5:5"),
        ("ns2", "idmap=uids=61234-0-1;gids=61235-0-1", "0:0"),
    ] {
        let host = host.replace("WORDS", words);
        let command = format!("stat -c %u:%g /d; touch /d/{name}");
        let uid = shown.split(':').next().unwrap_or_default();
        let body = format!(
            r#"{{"Image":"busybox","User":"{uid}:{uid}","Cmd":["sh","-c","{command}"],{host}}}"#
        );
        let path = format!("http://d/v1.51/containers/create?name={name}");
        engine
            .curl(&["-H", "Content-Type: application/json", "-d", &body, &path])
            .ok();
        engine
            .docker(&["start", "-a", name])
            .ok()
            .prints(&format!("{shown}\n"));
        assert_eq!(owner(&folder, name), (USER, GROUP), "{words}");
    }
}

#[test]
fn wrong_owners_are_refused() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let folder = users_folder(&engine);
    let refused = |args: &[&str], words: &str| {
        let args = [&["run", "--rm"], args, &["busybox", "true"]].concat();
        engine.docker(&args).code(125).says(words);
    };
    let volume = |words: &str| format!("{folder}:/d:{words}");
    refused(
        &["-v", &volume("owner=me")],
        "invalid owners of a mount: owner=me",
    );
    refused(
        &["-v", &volume("owner=1,owner=2")],
        "invalid mode: owner=1,owner=2",
    );
    refused(
        &["-v", "named:/d:owner=1"],
        "field BindOptions must not be specified",
    );
    refused(
        &["-v", &volume("idmap")],
        "idmap without a map needs a container with a user namespace",
    );
    let note = ["--annotation", "gantry.mount./other=owner=1"];
    refused(
        &[&["-v", &volume("ro")], &note[..]].concat(),
        "nothing is bound there",
    );
    refused(&["-v", "/proc:/d:owner=5"], "invalid argument");
}
