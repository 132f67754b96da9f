//! A real distribution: Debian's root file system made by mmdebstrap.

use crate::harness::{Engine, debian_tar};

#[test]
fn a_real_debian_works() {
    let engine = Engine::start();
    let tar = debian_tar();
    engine
        .docker(&["import", &tar.to_string_lossy(), "debian:local"])
        .ok();
    let run = |script: &str| {
        engine
            .docker(&["run", "--rm", "debian:local", "bash", "-c", script])
            .ok()
            .line()
    };
    assert_eq!(run(". /etc/os-release; echo $ID"), "debian");
    assert_eq!(run("stat -c %a /usr/bin/su"), "4755");
    assert_eq!(
        run("dpkg --verify 2>&1 | grep -v '^??5' | grep -cv '/usr/share' || true"),
        "0"
    );
    assert_eq!(
        run("useradd -m someone && su someone -c 'id -un'"),
        "someone"
    );
    assert_eq!(
        run("rm -rf /usr/share/doc && mkdir /usr/share/doc && ls -A /usr/share/doc | wc -l"),
        "0"
    );
    assert_eq!(run("ls /usr/share/doc | head -n1 | wc -l"), "1");
    assert_eq!(run("perl -e 'print 6*7'"), "42");
    assert_eq!(
        run("mv /etc/apt /etc/apt2 && test -d /etc/apt2 && test ! -e /etc/apt && echo moved"),
        "moved"
    );
}
