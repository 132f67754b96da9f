//! Root file systems made on this machine: busybox, and a real Debian.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::outcome::{command, finish, script};

/// Where made root file systems are kept between runs.
pub fn store() -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    let dir = exe
        .ancestors()
        .nth(3)
        .expect("target/…/deps/e2e")
        .join("e2e-rootfs");
    std::fs::create_dir_all(&dir).expect("a folder in the target folder");
    dir
}

/// Makes `name` once by `script`, which writes to `$OUT`.
fn made_once(name: &str, text: &str) -> PathBuf {
    let path = store().join(name);
    if !path.is_file() {
        let unfinished = store().join(format!("{name}.{}", std::process::id()));
        finish(script(text).env("OUT", &unfinished), b"").ok();
        std::fs::rename(&unfinished, &path).expect("the finished file gets its name");
    }
    path
}

/// A tar of a root file system with Debian's static busybox and its applets.
pub fn busybox_tar() -> &'static Path {
    static TAR: OnceLock<PathBuf> = OnceLock::new();
    TAR.get_or_init(|| {
        made_once(
            "busybox.tar",
            "set -e; d=$(mktemp -d); mkdir -p $d/bin $d/etc $d/tmp $d/root $d/home/user $d/var; \
             chmod 1777 $d/tmp; cp \"$(command -v busybox)\" $d/bin/busybox; \
             for a in $(busybox --list); do ln -s busybox $d/bin/$a 2>/dev/null || true; done; \
             printf 'root:x:0:0:root:/root:/bin/sh\\nuser:x:1000:1000::/home/user:/bin/sh\\n' >$d/etc/passwd; \
             printf 'root:x:0:\\nuser:x:1000:\\nextra:x:2000:user\\n' >$d/etc/group; \
             tar -C $d --numeric-owner --owner=0 --group=0 -cf \"$OUT\" .; rm -rf $d",
        )
    })
}

/// A tar of a Debian root file system by mmdebstrap, from this machine's own
/// apt sources.
pub fn debian_tar() -> &'static Path {
    static TAR: OnceLock<PathBuf> = OnceLock::new();
    TAR.get_or_init(|| {
        let codename = finish(
            &mut script(". /etc/os-release; echo \"$VERSION_CODENAME\""),
            b"",
        )
        .ok()
        .line();
        let path = store().join("debian-minbase.tar");
        if !path.is_file() {
            let unfinished = store().join(format!("debian-{}.tar", std::process::id()));
            let name = unfinished.to_string_lossy();
            finish(
                &mut command(
                    "mmdebstrap",
                    &["--quiet", "--variant=minbase", &codename, &name],
                ),
                b"",
            )
            .ok();
            std::fs::rename(&unfinished, &path).expect("the finished file gets its name");
        }
        path
    })
}

/// Also how `cargo xtask vm-test` has it made, where there are GNU tools.
#[test]
fn busybox_can_be_made() {
    let tar = std::fs::metadata(busybox_tar()).expect("a file");
    assert!(tar.len() > 1 << 20, "{tar:?}");
}
