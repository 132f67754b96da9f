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
