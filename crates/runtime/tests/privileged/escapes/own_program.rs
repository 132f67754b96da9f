//! CVE-2019-5736: a container makes whoever enters it execute `/proc/self/exe`, takes
//! hold of that program of the host by `/proc/PID/exe`, and overwrites it once nobody
//! runs it any more.
//!
//! The defence: what enters a container runs from a place that cannot be written
//! (`cli/own_program.rs`).
//!
//! Seen to fail with the call of `own_program::protect` taken out: the host's file is
//! the container's then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use crate::bundle::Bundle;

/// Waits for a process that is the runtime's program (which stands still: the pipe
/// that it is told to log to has no reader), takes hold of it, lets it go and writes.
const ATTACK: &str = r#"
exec 2>/tmp/errors
attack() {
    echo held >/tmp/held
    cat /tmp/pipe >/dev/null &
    tries=0
    while [ $tries -lt 300 ]; do
        if echo overwritten >/proc/self/fd/9; then break; fi
        tries=$((tries + 1)); usleep 10000
    done
    echo over >/tmp/over
}
echo ready >/tmp/ready
while [ ! -e /tmp/over ]; do
    for p in /proc/[0-9]*; do
        case "$(readlink $p/exe)" in
            */busybox|"") ;;
            *) attack 9<$p/exe; break;;
        esac
    done
done
exec sleep 1000
"#;

/// A container that attacks, and a runtime's program of its own for it.
struct Attacked {
    bundle: Bundle,
    program: PathBuf,
}

impl Attacked {
    fn begin() -> Self {
        let mut bundle = Bundle::new("exe");
        let rootfs = bundle.rootfs();
        let program = bundle.dir.path().join("runtime");
        fs::copy(bundle.oci(&[]).get_program(), &program).unwrap();
        // What the victim believes to be a program.
        let bait = rootfs.join("bin/bait");
        fs::write(&bait, "#!/proc/self/exe --log=/tmp/pipe\n").unwrap();
        fs::set_permissions(&bait, fs::Permissions::from_mode(0o755)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, rootfs.join("tmp/pipe"), 0o666.into()).unwrap();
        std::os::unix::fs::symlink("busybox", rootfs.join("bin/usleep")).unwrap();
        std::os::unix::fs::symlink("busybox", rootfs.join("bin/readlink")).unwrap();
        bundle.write(&["sh", "-c", ATTACK]);
        Self { bundle, program }
    }

    /// Runs the runtime's own copy.
    fn call(&self, args: &[&str]) -> bool {
        let plain = self.bundle.oci(args);
        let mut command = std::process::Command::new(&self.program);
        command.args(plain.get_args()).stdin(Stdio::null());
        command.current_dir(self.bundle.dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn wait(&self, name: &str) {
        let path = self.bundle.rootfs().join("tmp").join(name);
        for _ in 0..2000 {
            if path.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let errors = fs::read_to_string(self.bundle.rootfs().join("tmp/errors"));
        panic!("no {name}: {errors:?}");
    }

    /// Whether the host's program is what it was.
    fn whole(&self) -> bool {
        let original = fs::read(self.bundle.oci(&[]).get_program()).unwrap();
        fs::read(&self.program).unwrap() == original
    }
}

#[test]
fn a_container_that_holds_the_runtimes_program_cannot_write_it() {
    require!();
    let attacked = Attacked::begin();
    let id = attacked.bundle.id.clone();
    assert!(attacked.call(&["run", "--detach", &id]));
    attacked.wait("ready");
    attacked.call(&["exec", &id, "bait"]);
    attacked.wait("held");
    attacked.wait("over");
    let errors = fs::read_to_string(attacked.bundle.rootfs().join("tmp/errors")).unwrap();
    let whole = attacked.whole();
    attacked.bundle.quietly(&["delete", "--force", &id]);
    assert!(whole, "the host's program is overwritten: {errors}");
    assert!(errors.contains("fd/9"), "nothing was tried: {errors}");
}
