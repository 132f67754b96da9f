//! The image that all contenders run: busybox, as a tar and as a folder.

use std::path::PathBuf;

use crate::command::{run, words};

/// The image's name.
pub const IMAGE: &str = "bench:latest";

/// A root file system in a temporary folder (under /var/tmp, which the peers see too).
pub struct Rootfs {
    dir: tempfile::TempDir,
}

impl Rootfs {
    /// Copies Debian's static busybox.
    pub fn make() -> Result<Self, String> {
        let dir = crate::ending::folder()?;
        let script = "set -e; cd \"$0\"; mkdir -p rootfs/bin rootfs/etc rootfs/proc rootfs/dev rootfs/sys rootfs/tmp; \
            cp \"$(command -v busybox)\" rootfs/bin/busybox; for a in sh true sleep cat seq awk; do ln -s busybox rootfs/bin/$a; done; \
            echo root:x:0:0:root:/:/bin/sh >rootfs/etc/passwd; tar -C rootfs -cf rootfs.tar .";
        run(&words(&["sh", "-c", script, &dir.path().to_string_lossy()]))?;
        Ok(Self { dir })
    }

    /// The tar.
    pub fn tar(&self) -> PathBuf {
        self.dir.path().join("rootfs.tar")
    }

    /// The folder that holds `rootfs`: an OCI bundle once it has a `config.json`.
    pub fn bundle(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}
