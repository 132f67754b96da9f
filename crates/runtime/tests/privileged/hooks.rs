//! Programs at points of a container's life.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn hooks_run_in_order_and_failures_end_the_start() {
    require!();
    let mut bundle = Bundle::new("hooks");
    let log = bundle.dir.path().join("log");
    let hook = |name: &str| {
        let line = format!("cat > /dev/null; echo {name} >> {}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let mut hooks = json!({});
    for name in [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ] {
        hooks[name] = hook(name);
    }
    bundle.set("/hooks", hooks);
    assert_eq!(bundle.run(&["true"]).0, 0);
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(
        text,
        "prestart\ncreateRuntime\ncreateContainer\npoststart\npoststop\n"
    );
    let mut bundle = Bundle::new("badhook");
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(
        code == 1 && err.contains("error running createRuntime hook #0: exit status 1"),
        "{err}"
    );
}

/// A hook that writes what it sees into a file that the host can read.
fn witness(file: &str) -> serde_json::Value {
    let line = format!(
        "{{ cat; echo; readlink /proc/self/ns/mnt; readlink /proc/self/ns/pid; echo \"$0 $A\"; }} > {file}"
    );
    json!([{"path": "/bin/sh", "args": ["sh", "-c", line, "me"], "env": ["A=b", "PATH=/usr/bin:/bin"]}])
}

#[test]
fn each_point_has_its_namespaces_and_the_state() {
    require!();
    let mut bundle = Bundle::new("points");
    let dir = bundle.dir.path().to_path_buf();
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let points = [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ];
    let mut hooks = json!({});
    for name in points {
        hooks[name] = witness(&at(name));
    }
    // This one is found and run in the container.
    let line = "{ busybox cat; echo; busybox readlink /proc/self/ns/mnt; } > /tmp/startContainer";
    hooks["startContainer"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", line]}]);
    bundle.set("/hooks", hooks);
    bundle.set("/annotations", json!({"k": "v"}));
    bundle.write(&[
        "sh",
        "-c",
        "busybox readlink /proc/self/ns/mnt > /tmp/own; exec sleep 60",
    ]);
    let id = bundle.id.clone();
    assert!(bundle.quietly(&["create", "--pid-file", "pid", &id]));
    for name in ["prestart", "createRuntime", "createContainer"] {
        assert!(dir.join(name).exists(), "{name}");
    }
    assert!(!bundle.rootfs().join("tmp/startContainer").exists());
    assert!(!dir.join("poststart").exists());
    assert!(bundle.quietly(&["start", &id]));
    assert!(dir.join("poststart").exists());
    crate::bundle::wait_for(|| bundle.rootfs().join("tmp/own").exists());
    let inner = fs::read_link(format!(
        "/proc/{}/ns/mnt",
        fs::read_to_string(dir.join("pid")).unwrap()
    ));
    let inner = inner.unwrap().to_string_lossy().into_owned();
    assert!(bundle.quietly(&["delete", "-f", &id]));

    let host = fs::read_link("/proc/self/ns/mnt")
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let pid: i64 = fs::read_to_string(dir.join("pid"))
        .unwrap()
        .parse()
        .unwrap();
    for (name, status, inside) in [
        ("prestart", "creating", false),
        ("createRuntime", "creating", false),
        ("createContainer", "creating", true),
        ("startContainer", "created", true),
        ("poststart", "running", false),
        ("poststop", "stopped", false),
    ] {
        let in_container = bundle.rootfs().join("tmp").join(name);
        let file = if name == "startContainer" {
            in_container
        } else {
            dir.join(name)
        };
        let text = fs::read_to_string(file).unwrap();
        let mut lines = text.lines();
        let state: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(state["id"], json!(id), "{name}");
        assert_eq!(state["status"], status, "{name}");
        assert_eq!(state["annotations"], json!({"k": "v"}), "{name}");
        assert!(state["bundle"].is_string() && state["ociVersion"].is_string());
        match (name, inside) {
            ("poststop", _) => assert!(state["pid"].is_null()),
            // As each side sees it.
            (_, true) => assert_eq!(state["pid"], 1, "{name}"),
            (_, false) => assert_eq!(state["pid"], pid, "{name}"),
        }
        let namespace = lines.next().unwrap();
        assert_eq!(namespace == host, !inside, "{name}");
        assert_eq!(namespace == inner, inside, "{name}");
        if name != "startContainer" {
            assert_eq!(lines.last(), Some("me b"), "{name}");
        }
    }
}

#[test]
fn hooks_before_the_program_end_the_start_when_they_fail() {
    require!();
    for point in [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
    ] {
        let mut bundle = Bundle::new("failing");
        let log = bundle.dir.path().join("log");
        let after = format!("echo after >> {}", log.display());
        let stop = format!("echo stop >> {}", log.display());
        let line = |text: &str| json!({"path": "/bin/sh", "args": ["sh", "-c", text], "env": ["PATH=/bin"]});
        bundle.set(
            "/hooks",
            json!({point: [line("echo why >&2; exit 3"), line(&after)], "poststop": [line(&stop)]}),
        );
        let (code, out, err) = bundle.sh("echo program");
        let words = format!("error running {point} hook #0: exit status 3");
        assert_eq!((code, out.as_str()), (1, ""), "{point}");
        assert!(err.contains(&words) && err.contains("stderr: why"), "{err}");
        assert!(!bundle.dir.path().join("run").join(&bundle.id).exists());
        let said = fs::read_to_string(&log).unwrap_or_default();
        assert!(!said.contains("after"), "{point}: {said}");
    }
}

#[test]
fn hooks_after_the_start_only_warn() {
    require!();
    let mut bundle = Bundle::new("warning");
    let log = bundle.dir.path().join("log");
    let line = format!("echo next >> {}", log.display());
    let next = json!({"path": "/bin/sh", "args": ["sh", "-c", line]});
    let failing = json!({"path": "/bin/false"});
    bundle.set(
        "/hooks",
        json!({"poststart": [failing, next], "poststop": [failing, next]}),
    );
    let (code, out, err) = bundle.sh("echo program");
    assert_eq!((code, out.as_str()), (0, "program\n"), "{err}");
    for point in ["poststart", "poststop"] {
        let words = format!("level=warning msg=\"error running {point} hook #0");
        assert!(err.contains(&words), "{err}");
    }
    assert_eq!(fs::read_to_string(&log).unwrap(), "next\nnext\n");
}

#[test]
fn hooks_have_a_time_and_a_path() {
    require!();
    let mut bundle = Bundle::new("slowhook");
    let slow = json!([{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]);
    bundle.set("/hooks", json!({"prestart": slow}));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(
        code == 1 && err.contains("hook ran past specified timeout of 1.0s"),
        "{err}"
    );
    for (hook, words) in [
        (json!({"path": "bin/true"}), "is not an absolute path"),
        (
            json!({"path": "/bin/true", "timeout": 0}),
            "timeout must be greater than zero",
        ),
        (
            json!({"path": "/nosuch"}),
            "fork/exec /nosuch: no such file or directory",
        ),
    ] {
        let mut bundle = Bundle::new("badhooks");
        bundle.set("/hooks", json!({"createRuntime": [hook]}));
        let (code, _, err) = bundle.run(&["true"]);
        assert!(code == 1 && err.contains(words), "{err}");
    }
}

#[test]
fn hooks_of_the_containers_files_have_no_more_rights_than_its_program() {
    require!();
    let mut bundle = Bundle::new("hookrights");
    let line = "busybox grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status > /tmp/rights";
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", line]});
    bundle.set("/hooks", json!({"startContainer": [hook]}));
    bundle.set("/process/noNewPrivileges", json!(true));
    let (code, out, err) = bundle.run(&[
        "grep",
        "-E",
        "CapEff|Seccomp:|NoNewPrivs",
        "/proc/self/status",
    ]);
    assert_eq!(code, 0, "{err}");
    let rights = fs::read_to_string(bundle.rootfs().join("tmp/rights")).unwrap();
    assert_eq!(rights, out);
    assert!(
        out.contains("Seccomp:\t2") && out.contains("NoNewPrivs:\t1"),
        "{out}"
    );
}
