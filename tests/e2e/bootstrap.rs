//! The first command of the README: `gantry run gantry/hello` on a machine
//! where no daemon runs. It needs the default socket, so it gets mount and
//! network namespaces of its own, with empty `/run` and `/var/lib`.

use crate::harness::{Outcome, finish, gantry_binary, script};

fn on_a_fresh_machine(text: &str) -> Outcome {
    let fresh =
        "mount -t tmpfs none /run; mount -t tmpfs none /var/lib; export HOME=/run GANTRY=$0;";
    let mut command = std::process::Command::new("unshare");
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
        "sh",
        "-c",
    ]);
    command.arg(format!("{fresh} {text}")).arg(gantry_binary());
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"] {
        command.env_remove(name);
    }
    finish(&mut command, b"")
}

#[test]
fn run_starts_a_daemon_and_the_stock_client_finds_it() {
    if finish(&mut script("test \"$(id -u)\" = 0"), b"").code != 0 {
        crate::harness::remark("SKIPPED: not root");
        return;
    }
    let outcome = on_a_fresh_machine(
        "$GANTRY run --rm gantry/hello && docker run --rm gantry/hello >/run/second && docker images --format '{{.Repository}}' \
         && docker info --format '{{.Driver}}' && kill $(cat /run/gantry/*.pid 2>/dev/null || pidof gantry)",
    )
    .ok();
    assert!(
        outcome.stdout.to_lowercase().contains("gantry"),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("gantry/hello\n"), "{outcome:?}");
}

#[test]
fn the_opt_out_is_respected() {
    let outcome = on_a_fresh_machine(
        "GANTRY_NO_AUTO_START=1 $GANTRY run --rm gantry/hello; echo code $?; ls /run",
    );
    assert!(
        outcome.stdout.contains("code 125") && !outcome.stdout.contains("docker.sock"),
        "{outcome:?}"
    );
}
