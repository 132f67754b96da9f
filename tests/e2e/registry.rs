//! `gantry registry serve`: the requirement's example with the built-in image, other
//! programs as clients, kill -9 at any time, a full disk, TLS with passwords.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Engine, gantry_binary, peers, remark};

/// A registry as a process of its own, on a port of loopback.
struct Registry {
    child: Child,
    address: String,
    root: tempfile::TempDir,
    options: Vec<String>,
}

impl Registry {
    fn start(options: &[&str]) -> Self {
        let root = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (child, address) = spawn(&[], root.path(), &options);
        Self {
            child,
            address,
            root,
            options,
        }
    }

    /// Kills it at once and starts it again on the same data.
    fn kill_and_start(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        (self.child, self.address) = spawn(&[], self.root.path(), &self.options);
    }

    /// Status and body of a request by curl.
    fn curl(&self, args: &[&str], path: &str) -> (String, String) {
        let url = format!("http://{}{path}", self.address);
        curl(args, &url)
    }

    /// Pushes a blob in one request; the status.
    fn push(&self, name: &str, bytes: &Path) -> String {
        let digest = digest(&std::fs::read(bytes).expect("the file is there"));
        let data = format!("@{}", bytes.display());
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let octets = "Content-Type: application/octet-stream";
        self.curl(&["-X", "POST", "-H", octets, "--data-binary", &data], &path)
            .0
    }

    fn url(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may be dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl(args: &[&str], url: &str) -> (String, String) {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "60", "-w", "\n%{http_code}"])
        .args(args)
        .arg(url)
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", ""));
    (status.to_owned(), body.to_owned())
}

/// Starts a registry behind `wrap` and reads from its log where it listens.
fn spawn(wrap: &[&str], root: &Path, options: &[String]) -> (Child, String) {
    let gantry = gantry_binary().display().to_string();
    let root = root.display().to_string();
    let own = [gantry.as_str(), "registry", "serve", "--root", &root];
    let mut words: Vec<&str> = wrap.iter().chain(&own).copied().collect();
    words.extend(["--addr", "127.0.0.1:0"]);
    words.extend(options.iter().map(String::as_str));
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the registry starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("the registry is ready") {
        line.clear();
        assert!(
            log.read_line(&mut line).expect("a log") > 0,
            "it does not start"
        );
    }
    let address = line.split("address=").nth(1).expect("an address");
    let address = address.split(' ').next().expect("an address").to_owned();
    // Whoever writes a log must not wait for its reader.
    std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = log.read_to_string(&mut rest);
    });
    (child, address)
}

fn digest(bytes: &[u8]) -> String {
    gantry_types::Digest::of(bytes).to_string()
}

#[test]
fn the_built_in_registry_takes_images_and_gives_them_back() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        remark("SKIPPED: gantry/registry is built into gantry");
        return;
    }
    let data = engine.dir().join("my registry");
    std::fs::create_dir(&data).unwrap();
    let volume = format!("{}:/var/lib/registry", data.display());
    let run = [
        "run",
        "-d",
        "--name",
        "reg",
        "-p",
        "5000:5000",
        "-v",
        &volume,
        "gantry/registry",
    ];
    engine.docker(&run).ok();
    let ask = |path: &str| {
        let command = format!(
            "for i in $(seq 50); do wget -qO- http://127.0.0.1:5000{path} && exit; sleep 0.1; done"
        );
        let words = [
            "run",
            "--rm",
            "--network",
            "host",
            "busybox",
            "sh",
            "-c",
            &command,
        ];
        engine.docker(&words).ok().stdout
    };
    assert_eq!(ask("/v2/_catalog"), "{\"repositories\":[]}\n");
    let name = "127.0.0.1:5000/team/box:v1";
    engine.docker(&["tag", "busybox", name]).ok();
    engine.docker(&["push", "-q", name]).ok();
    assert_eq!(ask("/v2/_catalog"), "{\"repositories\":[\"team/box\"]}\n");
    let tags = ask("/v2/team/box/tags/list");
    assert_eq!(tags, "{\"name\":\"team/box\",\"tags\":[\"v1\"]}\n");
    engine.docker(&["rmi", name]).ok();
    engine
        .docker(&["run", "--rm", name, "echo", "back"])
        .ok()
        .prints("back\n");
    // Another registry on the same data has the same.
    engine.docker(&["rm", "-f", "reg"]).ok();
    engine.docker(&run).ok();
    engine.docker(&["rmi", name]).ok();
    ask("/v2/");
    engine.docker(&["pull", "-q", name]).ok();
    engine.docker(&["stop", "reg"]).ok();
    let state = engine.inspect("reg", "{{.State.ExitCode}}");
    assert_eq!(state, "0", "SIGTERM ends it in an orderly way");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut registry = Registry::start(&["--access-log=false"]);
    let dir = tempfile::tempdir().unwrap();
    let mut taken = Vec::new();
    for round in 0..4_u64 {
        std::thread::scope(|scope| {
            let pusher = scope.spawn(|| {
                let mut taken = Vec::new();
                for number in 0.. {
                    let file = dir.path().join(format!("{round}-{number}"));
                    let bytes = format!("{round} {number} ").repeat(20_000);
                    std::fs::write(&file, &bytes).unwrap();
                    match registry.push("a", &file).as_str() {
                        "201" => taken.push(digest(bytes.as_bytes())),
                        _ => return taken,
                    }
                }
                taken
            });
            std::thread::sleep(Duration::from_millis(300 + 70 * round));
            let pid = registry.child.id().to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
            taken.extend(pusher.join().unwrap());
        });
        registry.kill_and_start();
    }
    assert!(taken.len() > 4, "{}", taken.len());
    for digest in &taken {
        let path = format!("/v2/a/blobs/{digest}");
        let (status, body) = registry.curl(&[], &path);
        assert_eq!(status, "200", "{digest}");
        assert_eq!(&self::digest(body.as_bytes()), digest);
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let root = tempfile::tempdir_in("/var/tmp").unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=24m tmpfs '{}' && exec \"$0\" \"$@\"",
        root.path().display()
    );
    let options = vec!["--access-log=false".to_owned()];
    let wrap = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        &mount,
    ];
    let (child, address) = spawn(&wrap, root.path(), &options);
    let registry = Registry {
        child,
        address,
        root,
        options,
    };
    let dir = tempfile::tempdir().unwrap();
    let mut taken = Vec::new();
    let mut refused = None;
    for number in 0..30_u8 {
        let file = dir.path().join(number.to_string());
        let bytes = vec![b'a' + number; 3 << 20];
        std::fs::write(&file, &bytes).unwrap();
        match registry.push("a", &file).as_str() {
            "201" => taken.push((digest(&bytes), bytes)),
            status => {
                refused = Some(status.to_owned());
                break;
            }
        }
    }
    assert_eq!(refused.as_deref(), Some("507"));
    assert!(taken.len() >= 3, "{}", taken.len());
    for (digest, bytes) in &taken {
        let (status, body) = registry.curl(&[], &format!("/v2/a/blobs/{digest}"));
        assert!(status == "200" && body.as_bytes() == bytes, "{digest}");
    }
    // Deletion works, gives room back after a collection, and then there is room.
    let path = format!("/v2/a/blobs/{}", taken[0].0);
    assert_eq!(registry.curl(&["-X", "DELETE"], &path).0, "202");
    let pid = registry.child.id().to_string();
    let root = registry.root.path().display().to_string();
    let inside = ["-m", "-t", &pid, "--"];
    let collected = Command::new("nsenter")
        .args(inside)
        .arg(gantry_binary())
        .args(["registry", "gc", "--root", &root, "--grace", "0s"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&collected.stdout).into_owned();
    assert!(told.starts_with("removed "), "{collected:?}");
    let file = dir.path().join("after");
    std::fs::write(&file, vec![b'!'; 1 << 20]).unwrap();
    assert_eq!(registry.push("a", &file), "201");
}

#[test]
fn tls_and_passwords_keep_strangers_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        remark("SKIPPED: openssl is not here");
        return;
    }
    // Of "secret".
    let hash = "$2b$05$o2DD/KCJdOq00eRuN6Wuv.Uyf2yllPesoa.EWEPVMHdN8aNSb2txa";
    std::fs::write(path("htpasswd"), format!("ann:{hash}\n")).unwrap();
    let registry = Registry::start(&[
        "--tls-cert",
        &path("cert.pem"),
        "--tls-key",
        &path("key.pem"),
        "--htpasswd",
        &path("htpasswd"),
        "--auth",
        "token",
    ]);
    let url = format!("https://{}", registry.address);
    let trusted = path("cert.pem");
    let ask = |args: &[&str], path: &str| {
        let args: Vec<&str> = ["--cacert", &trusted].iter().chain(args).copied().collect();
        curl(&args, &format!("{url}{path}"))
    };
    assert_eq!(ask(&[], "/v2/").0, "401");
    assert_eq!(ask(&["-u", "ann:wrong"], "/token?service=x").0, "401");
    let (status, body) = ask(
        &["-u", "ann:secret"],
        "/token?service=x&scope=registry:catalog:*",
    );
    assert_eq!(status, "200", "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = format!(
        "Authorization: Bearer {}",
        answer["token"].as_str().unwrap()
    );
    assert_eq!(ask(&["-H", &token], "/v2/_catalog").0, "200");
    // Without its certificate nobody believes it; without TLS it says nothing.
    assert_eq!(curl(&[], &format!("{url}/v2/")).0, "000");
    assert_ne!(registry.curl(&[], "/v2/").0, "200");
}

#[test]
fn skopeo_copies_in_both_directions() {
    let Some(peers) = peers::folder() else {
        remark("SKIPPED: skopeo is not installed");
        return;
    };
    let engine = Engine::with_busybox();
    let ours = Registry::start(&[]);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let archive = dir.path().join("box.tar").display().to_string();
    engine.docker(&["save", "-o", &archive, "busybox"]).ok();
    let skopeo = |args: &[&str]| {
        let output = Command::new(peers.join("enter"))
            .args(["skopeo", "--insecure-policy"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let here = ["--dest-tls-verify=false", "--src-tls-verify=false"];
    let copy = |from: &str, to: &str| skopeo(&["copy", "-q", here[0], here[1], from, to]);
    copy(&format!("docker-archive:{archive}"), &ours.url("box:v1"));
    let look = |of: &str| {
        skopeo(&[
            "inspect",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
            of,
        ])
    };
    let digest = look(&ours.url("box:v1"));
    let layout = format!("oci:{}:v1", dir.path().join("layout").display());
    copy(&ours.url("box:v1"), &layout);
    copy(&ours.url("box:v1"), &ours.url("other/box:v2"));
    assert_eq!(look(&ours.url("other/box:v2")), digest);
    skopeo(&["delete", "--tls-verify=false", &ours.url("box:v1")]);
    assert_eq!(ours.curl(&[], "/v2/box/manifests/v1").0, "404");
}
