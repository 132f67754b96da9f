//! The daemon itself: flags, configuration, sockets, restarts.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::gantry_only;
use crate::harness::{Engine, finish, gantry_binary, script};
use crate::run::wait_for;

fn refused(engine: &Engine, args: &[&str]) -> String {
    let mut daemon = engine.daemon_command();
    let outcome = finish(daemon.args(args), b"");
    assert_ne!(outcome.code, 0, "{outcome:?}");
    outcome.stderr
}

#[test]
fn a_second_daemon_is_told_the_first_ones_pid() {
    let engine = Engine::start();
    gantry_only!(engine);
    let other = format!("unix://{}/other.sock", engine.dir().display());
    let words = refused(&engine, &["--host", &other]);
    assert!(words.contains(&engine.pid().to_string()), "{words}");
}

#[test]
fn the_socket_is_for_the_group_only() {
    let engine = Engine::start();
    gantry_only!(engine);
    let mode = std::fs::metadata(engine.dir().join("docker.sock"))
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn a_wrong_configuration_is_named() {
    let engine = Engine::start();
    gantry_only!(engine);
    let file = engine.dir().join("daemon.json");
    let path = file.to_string_lossy().into_owned();
    for (text, words) in [
        ("{\n  \"debug\": true\n  \"mtu\": 1400\n}", &["line 3"][..]),
        ("{\"no-such-key\": 1}", &["no-such-key"]),
        ("{\"mtu\": \"many\"}", &["mtu"]),
    ] {
        std::fs::write(&file, text).expect("a file");
        let said = refused(&engine, &["--config-file", &path, "--validate"]);
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
    std::fs::write(&file, "{\"log-level\": \"warn\", \"shutdown-timeout\": 5}").expect("a file");
    let mut daemon = engine.daemon_command();
    let good = finish(daemon.args(["--config-file", &path, "--validate"]), b"").ok();
    assert!(
        format!("{}{}", good.stdout, good.stderr).contains("configuration OK"),
        "{good:?}"
    );
    let other = |name: &str| engine.dir().join(name).display().to_string();
    let (data, exec) = (other("other-data"), other("other-run"));
    let roots = ["--data-root", &data, "--exec-root", &exec];
    let said = refused(
        &engine,
        &[&roots[..], &["--host", "tcp://0.0.0.0:23751"]].concat(),
    );
    assert!(said.contains("insecure-tcp"), "{said}");
    let said = refused(
        &engine,
        &[&roots[..], &["--group", "no-such-group-here"]].concat(),
    );
    assert!(said.contains("no-such-group-here"), "{said}");
}

#[test]
fn containers_outlive_the_daemon() {
    let mut engine = Engine::with_busybox();
    gantry_only!(engine);
    let ticking = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done";
    engine
        .docker(&[
            "run", "-d", "--name", "ticks", "busybox", "sh", "-c", ticking,
        ])
        .ok();
    engine
        .docker(&[
            "run",
            "-d",
            "--name",
            "ends",
            "busybox",
            "sh",
            "-c",
            "sleep 1; exit 17",
        ])
        .ok();
    engine
        .docker(&[
            "run", "-d", "--rm", "--name", "vanishes", "busybox", "sleep", "1",
        ])
        .ok();
    let pid = engine.inspect("ticks", "{{.State.Pid}}");
    engine.kill_daemon();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    engine.boot();
    assert_eq!(
        engine.inspect("ticks", "{{.State.Running}} {{.State.Pid}}"),
        format!("true {pid}")
    );
    assert_eq!(
        engine.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 17"
    );
    wait_for(|| {
        !engine
            .docker(&["ps", "-a", "--format", "{{.Names}}"])
            .ok()
            .stdout
            .contains("vanishes")
    });
    let logs = engine.docker(&["logs", "ticks"]).ok().stdout;
    let expected: Vec<String> = (0..logs.lines().count()).map(|n| n.to_string()).collect();
    assert_eq!(logs.lines().collect::<Vec<_>>(), expected);
    assert!(expected.len() > 20, "the log went on while no daemon ran");
    engine.stop_daemon();
    engine.boot();
    assert_eq!(engine.inspect("ticks", "{{.State.Pid}}"), pid);
    engine.docker(&["kill", "ticks"]).ok();
    engine.docker(&["wait", "ticks"]).ok().prints("137\n");
}

#[test]
fn every_other_route_says_that_it_is_not_there_yet() {
    let engine = Engine::start();
    gantry_only!(engine);
    for (method, path) in [("POST", "/v1.51/plugins/pull"), ("POST", "/swarm/init")] {
        let answer = engine.curl(&["-X", method, &format!("http://x{path}")]);
        let (body, status) = answer.stdout.rsplit_once('\n').expect("a status");
        assert_eq!(status, "501", "{method} {path}: {body}");
        let named = path.trim_start_matches("/v1.51");
        assert!(
            body.contains("\"message\"") && body.contains(named),
            "{body}"
        );
    }
    let nowhere = engine.curl(&["http://x/no/such/page"]).stdout;
    assert_eq!(nowhere, "{\"message\":\"page not found\"}\n\n404");
    let old = engine.curl(&["http://x/v1.23/version"]).stdout;
    assert!(
        old.contains("client version 1.23 is too old. Minimum supported API version is 1.24"),
        "{old}"
    );
    let new = engine.curl(&["http://x/v1.99/version"]).stdout;
    assert!(
        new.contains("client version 1.99 is too new. Maximum supported API version is 1.51"),
        "{new}"
    );
    let ping = engine.curl(&["-i", "http://x/_ping"]).stdout.to_lowercase();
    for header in [
        "api-version: 1.51",
        "ostype: linux",
        "docker-experimental: false",
        "cache-control: no-cache",
    ] {
        assert!(ping.contains(header), "{header} in {ping}");
    }
}

#[test]
fn bad_bodies_are_refused_clearly() {
    let engine = Engine::start();
    gantry_only!(engine);
    let create = "http://x/v1.51/containers/create";
    let post = |body: &str| {
        let answer = engine.curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
            create,
        ]);
        answer.stdout
    };
    assert!(post("{nonsense").ends_with("400"), "bad JSON");
    assert!(post("{}{}").ends_with("400"), "trailing garbage");
    assert!(
        post("{\"Image\":\"ghost\",\"Cmd\":[\"x\"]}").ends_with("404"),
        "no image"
    );
    let answer = engine.curl(&[
        "-X",
        "POST",
        "-H",
        "Content-Type: text/plain",
        "-d",
        "{}",
        create,
    ]);
    assert!(
        answer.stdout.contains("must be 'application/json'") && answer.stdout.ends_with("400"),
        "{answer:?}"
    );
    let filters = engine.curl(&[
        "-g",
        "http://x/containers/json?filters=%7B%22nonsense%22:%5B%221%22%5D%7D",
    ]);
    assert!(
        filters.stdout.contains("invalid filter 'nonsense'") && filters.stdout.ends_with("400"),
        "{filters:?}"
    );
}

#[test]
fn tcp_with_mutual_tls() {
    let pki = tempfile::tempdir().expect("a folder");
    let text = "set -e; cd $DIR; s() { openssl \"$@\" 2>/dev/null; }; \
        s req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=ca; \
        for n in server client; do s req -newkey rsa:2048 -nodes -keyout $n-key.pem -out $n.csr -subj /CN=localhost; \
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext; \
        s x509 -req -in $n.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out $n.pem -days 2 -extfile ext; done";
    if finish(&mut script("command -v openssl"), b"").code != 0 {
        crate::harness::remark("SKIPPED: openssl is not installed");
        return;
    }
    finish(script(text).env("DIR", pki.path()), b"").ok();
    let path = |name: &str| pki.path().join(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("server.pem"), path("server-key.pem"));
    let flags = [
        "--host",
        "tcp://127.0.0.1:23760",
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &cert,
        "--tlskey",
        &key,
    ];
    // The real Docker of the runner listens on its socket only.
    if std::env::var_os("GANTRY_E2E_DOCKER").is_some() {
        return;
    }
    let engine = Engine::start_with(&flags);
    let inside = |args: &str| {
        let pid = engine.pid();
        let text =
            format!("nsenter --net=/proc/{pid}/ns/net sh -c 'busybox ip link set lo up; {args}'");
        finish(&mut script(&text), b"")
    };
    let docker = "docker -H tcp://127.0.0.1:23760 --tlsverify";
    let good = inside(&format!(
        "{docker} --tlscacert {ca} --tlscert {} --tlskey {} version",
        path("client.pem"),
        path("client-key.pem")
    ));
    assert!(good.stdout.contains("Server:"), "{good:?}");
    let bare = inside(&format!(
        "curl -s --cacert {ca} https://127.0.0.1:23760/version"
    ));
    assert_ne!(bare.code, 0, "no client certificate: {bare:?}");
}

#[test]
fn the_binary_is_static_and_small_talk_is_quick() {
    let binary = gantry_binary().display().to_string();
    let ldd = finish(&mut script(&format!("ldd {binary} 2>&1")), b"");
    assert!(
        ldd.stdout.contains("not a dynamic executable") || ldd.stdout.contains("statically linked"),
        "{ldd:?}"
    );
    finish(
        std::process::Command::new(gantry_binary())
            .arg("--version")
            .stdin(Stdio::null()),
        b"",
    )
    .ok();
}

#[test]
fn a_full_disk_can_be_made_empty_again() {
    let mut engine = Engine::start();
    gantry_only!(engine);
    engine.stop_daemon();
    let root = engine.data_root().display().to_string();
    let mount = format!("rm -rf {root}/*; mount -t tmpfs -o size=24m gantry-full {root}");
    finish(&mut script(&mount), b"").ok();
    engine.boot();
    engine.import_busybox();
    let fill = "dd if=/dev/zero of=/big bs=64k; yes something | head -c 1000000";
    let filled = engine.docker(&["run", "--name", "filler", "busybox", "sh", "-c", fill]);
    engine.stop_daemon();
    engine.boot();
    let state = engine.inspect("filler", "{{.State.Status}}");
    let removed = engine.docker(&["rm", "filler"]);
    let ran = engine.docker(&["run", "--rm", "busybox", "echo", "room again"]);
    engine.stop_daemon();
    finish(&mut script(&format!("umount {root}")), b"").ok();
    engine.boot();
    assert!(filled.stderr.contains("No space left"), "{filled:?}");
    assert_eq!(state, "exited");
    removed.ok();
    ran.ok().prints("room again\n");
}
