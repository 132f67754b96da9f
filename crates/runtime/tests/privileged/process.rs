//! The process: program, rights, limits, working directory.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn programs_that_cannot_run_are_told_apart() {
    require!();
    for (program, words) in [
        (
            "nosuch",
            r#"exec: \"nosuch\": executable file not found in $PATH"#,
        ),
        ("/nosuch", "stat /nosuch: no such file or directory"),
        ("/etc/passwd", "permission denied"),
        ("/etc", "is a directory"),
    ] {
        let (code, out, err) = Bundle::new("cannot").run(&[program]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn capabilities_and_no_new_privileges() {
    require!();
    let line = "grep -E 'Cap(Eff|Bnd)|NoNew|Seccomp:' /proc/self/status";
    let (_, out, err) = Bundle::new("caps").sh(line);
    let expected =
        "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n";
    assert_eq!(out, expected, "{err}");
    let mut bundle = Bundle::new("nnp");
    bundle.set("/process/noNewPrivileges", json!(true));
    bundle.set(
        "/process/user",
        json!({"uid": 1000, "gid": 100, "additionalGids": [5], "umask": 63}),
    );
    let ambient = json!(["CAP_NET_RAW"]);
    bundle.set("/process/capabilities/inheritable", ambient.clone());
    bundle.set("/process/capabilities/ambient", ambient);
    let (_, out, err) = bundle.sh(&format!("{line}; id; umask; echo $HOME"));
    assert!(out.contains("CapEff:\t0000000000002000"), "{out}{err}");
    assert!(out.contains("NoNewPrivs:\t1\nSeccomp:\t2"), "{out}{err}");
    assert!(
        out.contains("uid=1000(ann) gid=100 groups=5\n0077\n/home/ann\n"),
        "{out}{err}"
    );
}

#[test]
fn limits_and_working_directory() {
    require!();
    let mut bundle = Bundle::new("limits");
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]),
    );
    bundle.set("/process/cwd", json!("/work/made/now"));
    bundle.set("/process/oomScoreAdj", json!(77));
    let (_, out, err) = bundle.sh("ulimit -n; ulimit -Hn; pwd; cat /proc/self/oom_score_adj");
    assert_eq!(out, "100\n200\n/work/made/now\n77\n", "{err}");
    let mut bundle = Bundle::new("nodir");
    bundle.set("/process/cwd", json!("/etc/passwd"));
    let (code, _, err) = bundle.run(&["true"]);
    assert!(code == 1 && err.contains("not a directory"), "{err}");
}
