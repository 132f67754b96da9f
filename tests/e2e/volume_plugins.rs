//! Docker's volume plug-in protocol, with a small plug-in of our own: HTTP over a unix
//! socket. What is expected here the real Docker answers as well, where it has an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gantry_only;
use crate::harness::Engine;
use crate::run::wait_for;

/// How the plug-in behaves.
#[derive(Clone, Copy, Default, PartialEq)]
enum Manner {
    #[default]
    Good,
    /// It does not answer.
    Silent,
    /// It closes the connection.
    Dead,
    /// It answers something else.
    Babbling,
    /// Its answer has no end.
    Endless,
    /// It says that everything is somewhere else.
    Lying,
}

#[derive(Default)]
struct State {
    manner: Manner,
    volumes: BTreeMap<String, Value>,
    mounted: BTreeMap<String, BTreeSet<String>>,
    calls: Vec<String>,
}

/// A plug-in called `test`, and the folder that it is found in.
struct Plugin {
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

impl Plugin {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = Arc::<Mutex<State>>::default();
        let listener = UnixListener::bind(folder.path().join("test.sock")).expect("a socket");
        let (shared, files) = (Arc::clone(&state), folder.path().join("files"));
        std::thread::spawn(move || {
            for line in listener.incoming().flatten() {
                let (state, files) = (Arc::clone(&shared), files.clone());
                std::thread::spawn(move || serve(line, &state, &files));
            }
        });
        Self { folder, state }
    }

    fn engine(&self) -> Engine {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let engine = Engine::start_with(&["--plugin-dir", &folder, "--plugin-timeout", "2"]);
        if engine.is_gantry() {
            engine.import_busybox();
        }
        engine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has failed")
    }

    fn behaves(&self, manner: Manner) {
        self.state().manner = manner;
    }

    fn mounts(&self, volume: &str) -> usize {
        self.state().mounted.get(volume).map_or(0, BTreeSet::len)
    }

    fn calls(&self, what: &str) -> usize {
        let state = self.state();
        state
            .calls
            .iter()
            .filter(|call| call.contains(what))
            .count()
    }
}

fn request(line: &mut UnixStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let path = head.split(' ').nth(1)?.to_owned();
                return Some((path, serde_json::from_str(body).unwrap_or(Value::Null)));
            }
        }
        match line.read(&mut piece).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn serve(mut line: UnixStream, state: &Mutex<State>, files: &std::path::Path) {
    let Some((path, body)) = request(&mut line) else {
        return;
    };
    let manner = state.lock().expect("no thread has failed").manner;
    let answer = match manner {
        Manner::Silent => {
            std::thread::sleep(Duration::from_secs(30));
            return;
        }
        Manner::Dead => return,
        Manner::Babbling => "SSH-2.0-OpenSSH_10.0\r\n\r\n".to_owned(),
        Manner::Endless => {
            let _ = line.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"Mountpoint\":\"");
            while line.write_all(&[b'x'; 4096]).is_ok() {}
            return;
        }
        Manner::Good | Manner::Lying => {
            let mut state = state.lock().expect("no thread has failed");
            state.calls.push(format!("{path} {body}"));
            let (status, answer) = answer(&mut state, &path, &body, files);
            let text = answer.to_string();
            let length = text.len();
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{text}")
        }
    };
    let _ = line.write_all(answer.as_bytes());
}

fn answer(
    state: &mut State,
    path: &str,
    body: &Value,
    files: &std::path::Path,
) -> (&'static str, Value) {
    let name = body["Name"].as_str().unwrap_or_default().to_owned();
    let id = body["ID"].as_str().unwrap_or_default().to_owned();
    let place = |name: &str| match state.manner {
        Manner::Lying => PathBuf::from("../../etc"),
        _ => files.join(name),
    };
    let refused = |why: &str| ("200 OK", json!({"Err": why}));
    let good = ("200 OK", json!({"Err": ""}));
    match path.rsplit(['.', '/']).next().unwrap_or_default() {
        "Activate" => (
            "200 OK",
            json!({"Implements": ["NetworkDriver", "VolumeDriver"]}),
        ),
        "Capabilities" => ("200 OK", json!({"Capabilities": {"Scope": "Global"}})),
        "Create" if body["Opts"]["fail"] == "1" => refused("boom"),
        "Create" if body["Opts"]["fail"] == "500" => ("500 Oh", json!({"Err": "five"})),
        "Create" => {
            std::fs::create_dir_all(files.join(&name)).expect("a directory");
            state.volumes.insert(name, body["Opts"].clone());
            good
        }
        "Get" => match state.volumes.get(&name) {
            Some(options) => {
                let volume = json!({"Name": name, "Mountpoint": place(&name),
                    "CreatedAt": "2020-01-02T03:04:05Z", "Status": {"options": options}});
                ("200 OK", json!({"Volume": volume, "Err": ""}))
            }
            None => refused("no such volume"),
        },
        "List" => {
            let all = state.volumes.keys();
            let all: Vec<Value> = all.map(|name| json!({"Name": name})).collect();
            ("200 OK", json!({"Volumes": all, "Err": ""}))
        }
        "Remove" if name == "sticky" => refused("will not go"),
        "Remove" => {
            state.volumes.remove(&name);
            good
        }
        "Mount" if name == "broken" => refused("cannot mount"),
        "Mount" => {
            let answer = ("200 OK", json!({"Mountpoint": place(&name), "Err": ""}));
            state.mounted.entry(name).or_default().insert(id);
            answer
        }
        "Unmount" => {
            let known = state
                .mounted
                .get_mut(&name)
                .is_some_and(|all| all.remove(&id));
            match known {
                true => good,
                false => refused("it is not mounted"),
            }
        }
        other => panic!("nobody asks for {other}"),
    }
}

#[test]
fn plugins_drive_volumes() {
    let plugin = Plugin::new();
    let engine = plugin.engine();
    gantry_only!(engine);
    let docker = |args: &[&str]| engine.docker(args);
    docker(&[
        "volume", "create", "-d", "test", "-o", "a=b", "--label", "x=y", "one",
    ])
    .ok()
    .prints("one\n");
    docker(&["volume", "create", "-d", "test", "one"]).ok();
    assert_eq!(plugin.calls("VolumeDriver.Create"), 1);
    let format =
        "{{.Driver}} {{.Scope}} {{json .Options}} {{json .Labels}} {{.CreatedAt}} {{json .Status}}";
    docker(&["volume", "inspect", "-f", format, "one"]).ok().prints(
        "test global {\"a\":\"b\"} {\"x\":\"y\"} 2020-01-02T03:04:05Z {\"options\":{\"a\":\"b\"}}\n",
    );
    // Names of plug-ins' volumes are the plug-ins' matter.
    docker(&["volume", "create", "-d", "test", "a name"]).ok();
    docker(&["volume", "rm", "a name"]).ok();
    let taken = "driver 'test' already has volume 'one': volume name must be unique";
    docker(&["volume", "create", "one"]).code(1).says(taken);
    docker(&["volume", "create", "local"]).ok();
    docker(&["volume", "create", "-d", "test", "local"])
        .code(1)
        .says("driver 'local' already has volume 'local': volume name must be unique");
    docker(&["volume", "create", "-d", "test", "-o", "fail=1", "no"])
        .code(1)
        .says("create no: boom");
    docker(&["volume", "create", "-d", "test", "-o", "fail=500", "no"])
        .code(1)
        .says("create no: VolumeDriver.Create: five");
    docker(&["volume", "create", "-d", "../test", "no"])
        .code(1)
        .says("plugin \"../test\" not found");
    // One that was made elsewhere.
    plugin
        .state()
        .volumes
        .insert("foreign".to_owned(), Value::Null);
    std::fs::create_dir_all(plugin.folder.path().join("files/foreign")).expect("a directory");
    docker(&["volume", "ls", "--format", "{{.Driver}} {{.Name}}"])
        .ok()
        .prints("test foreign\nlocal local\ntest one\n");
    docker(&["volume", "ls", "-q", "--filter", "driver=test"])
        .ok()
        .prints("foreign\none\n");
    docker(&[
        "run",
        "--rm",
        "-v",
        "foreign:/f",
        "busybox",
        "touch",
        "/f/here",
    ])
    .ok();
    assert!(plugin.folder.path().join("files/foreign/here").exists());
    // A volume begins with the image's files here, too.
    docker(&[
        "run",
        "--rm",
        "-v",
        "one:/bin",
        "busybox",
        "busybox",
        "ls",
        "/bin/busybox",
    ])
    .ok();
    assert!(plugin.folder.path().join("files/one/busybox").exists());
    let info = docker(&["info", "-f", "{{json .Plugins.Volume}}"]).ok();
    info.prints("[\"local\",\"test\"]\n");
    let mount = "type=volume,src=made,dst=/m,volume-driver=test,volume-opt=k=v";
    docker(&["run", "--rm", "--mount", mount, "busybox", "true"]).ok();
    assert_eq!(plugin.state().volumes["made"], json!({"k": "v"}));
    docker(&["volume", "prune", "-af"]).ok();
    assert!(
        plugin.state().volumes.contains_key("made"),
        "as in Docker, they stay"
    );
    docker(&[
        "run",
        "--rm",
        "--volume-driver",
        "test",
        "-v",
        "/anon",
        "busybox",
        "true",
    ])
    .ok();
    docker(&[
        "create", "--name", "user", "-v", "made:/m", "busybox", "true",
    ])
    .ok();
    docker(&["volume", "rm", "made"])
        .code(1)
        .says("volume is in use - [");
    docker(&["rm", "user"]).ok();
    for name in ["made", "one", "foreign"] {
        docker(&["volume", "rm", name])
            .ok()
            .prints(&format!("{name}\n"));
    }
    docker(&["volume", "rm", "one"])
        .code(1)
        .says("get one: no such volume");
    docker(&["volume", "create", "-d", "test", "sticky"]).ok();
    docker(&["volume", "rm", "sticky"])
        .code(1)
        .says("remove sticky: will not go");
    wait_for(|| plugin.state().mounted.values().all(BTreeSet::is_empty));
    assert_eq!(plugin.state().volumes.len(), 1, "the anonymous one is gone");
}

#[test]
fn what_plugins_do_wrong_is_bounded_and_told() {
    let plugin = Plugin::new();
    let engine = plugin.engine();
    gantry_only!(engine);
    let docker = |args: &[&str]| engine.docker(args);
    docker(&["volume", "create", "-d", "test", "broken"]).ok();
    docker(&["volume", "create", "-d", "test", "good"]).ok();
    docker(&["run", "--rm", "-v", "broken:/x", "busybox", "true"])
        .code(125)
        .says("error while mounting volume '': cannot mount");
    let post = "Post \"http://plugin.moby.localhost/VolumeDriver.";
    for (manner, words) in [
        (Manner::Silent, "Get\": context deadline exceeded"),
        (Manner::Dead, "Get\": EOF"),
        (Manner::Babbling, "Get\": malformed answer: it is no HTTP"),
        (Manner::Endless, "Get\": malformed answer: it is too long"),
    ] {
        plugin.behaves(manner);
        let begun = Instant::now();
        docker(&["volume", "inspect", "good"])
            .code(1)
            .says("error while checking if volume \"good\" exists in driver \"test\"")
            .says(&format!("{post}{words}"));
        docker(&["run", "--rm", "-v", "good:/x", "busybox", "true"])
            .code(125)
            .says("found reference to volume 'good' in driver 'test'");
        docker(&["volume", "rm", "good"]).code(1);
        // The others are there all the same.
        docker(&["volume", "create", "local"]).ok();
        docker(&["volume", "ls", "-q"])
            .ok()
            .prints("broken\ngood\nlocal\n");
        assert!(
            begun.elapsed() < Duration::from_secs(25),
            "{:?}",
            begun.elapsed()
        );
    }
    plugin.behaves(Manner::Lying);
    docker(&["run", "--rm", "-v", "good:/x", "busybox", "ls", "/x"])
        .code(125)
        .says("\"../../etc\" is no absolute path");
    plugin.behaves(Manner::Good);
    wait_for(|| plugin.mounts("good") == 0);
    docker(&["volume", "rm", "good", "broken"]).ok();
    std::fs::write(
        plugin.folder.path().join("tls.json"),
        r#"{"Addr":"tcp://127.0.0.1:1","TLSConfig":{}}"#,
    )
    .expect("a file");
    docker(&["volume", "create", "-d", "tls", "x1"])
        .code(1)
        .says("TLSConfig of plug-ins needs a CAFile");
    std::fs::write(
        plugin.folder.path().join("gone.spec"),
        "unix:///no/where.sock",
    )
    .expect("a file");
    docker(&["volume", "create", "-d", "gone", "x1"])
        .code(1)
        .says("dial unix /no/where.sock: connect: no such file or directory");
}

#[test]
fn mounts_of_plugins_balance_whoever_dies() {
    let plugin = Plugin::new();
    let mut engine = plugin.engine();
    gantry_only!(engine);
    let run = |engine: &Engine, name: &str| {
        let run = [
            "run",
            "-d",
            "--name",
            name,
            "-v",
            "vol:/v",
            "--volume-driver",
            "test",
        ];
        engine
            .docker(&[&run[..], &["busybox", "sleep", "1000"]].concat())
            .ok();
    };
    run(&engine, "first");
    run(&engine, "second");
    assert_eq!(plugin.mounts("vol"), 2);
    engine.docker(&["restart", "-t", "0", "second"]).ok();
    wait_for(|| plugin.mounts("vol") == 2);
    engine.kill_daemon();
    engine.boot();
    assert_eq!(plugin.mounts("vol"), 2, "they run on");
    engine.docker(&["kill", "second"]).ok();
    wait_for(|| plugin.mounts("vol") == 1);
    engine.kill_daemon();
    engine.kill_shims();
    engine.boot();
    wait_for(|| plugin.mounts("vol") == 0);
    // One that was asked to mount, and nobody knows for whom, since all was killed.
    plugin.behaves(Manner::Silent);
    engine.docker(&["start", "first"]).code(1);
    plugin.behaves(Manner::Good);
    engine.docker(&["rm", "-f", "first", "second"]).ok();
    engine.docker(&["volume", "rm", "vol"]).ok();
    assert_eq!(plugin.mounts("vol"), 0);
    assert!(plugin.state().volumes.is_empty());
}
