//! Kernel settings of the calling thread's network namespace, below `/proc/sys/net`.
//!
//! They are opened in a procfs of our own, which is a new one after a while: for every
//! namespace that was looked into, the kernel keeps these names of an instance, all in
//! one chain, and with five hundred containers it compares five hundred of each.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::Error;
use crate::sandbox::lock;

/// How often an instance is used.
const USES: u32 = 64;

/// Ours, and how often it was used. None where the kernel lets us have none.
static OWN: Mutex<(Option<Arc<OwnedFd>>, u32)> = Mutex::new((None, USES));

/// Whether a setting such as `ipv4/ip_forward` has this value.
pub(crate) fn is(name: &str, value: &str) -> Result<bool, Error> {
    let mut current = String::new();
    let read = open(name, OFlags::RDONLY).and_then(|mut file| file.read_to_string(&mut current));
    read.map_err(|source| failed("read", name, source))?;
    Ok(current.trim() == value)
}

/// Writes a setting.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    write(name, value).map_err(|source| failed("write", name, source))
}

/// Writes a setting that the container can do without.
pub(crate) fn set_if_possible(name: &str, value: &str) {
    if let Err(error) = write(name, value) {
        tracing::debug!(name, value, %error, "kernel setting not changed");
    }
}

fn write(name: &str, value: &str) -> io::Result<()> {
    open(name, OFlags::WRONLY)?.write_all(value.as_bytes())
}

/// Never creates or truncates: these are not files.
fn open(name: &str, how: OFlags) -> io::Result<File> {
    let how = how | OFlags::CLOEXEC;
    let file = match own() {
        Some(proc) => openat(proc.as_fd(), format!("sys/net/{name}"), how, Mode::empty()),
        None => openat(CWD, format!("/proc/sys/net/{name}"), how, Mode::empty()),
    };
    Ok(file?.into())
}

fn own() -> Option<Arc<OwnedFd>> {
    let mut own = lock(&OWN);
    own.1 += 1;
    if own.1 > USES {
        let former = std::mem::replace(&mut *own, (procfs().map(Arc::new).ok(), 0)).0;
        if let Some(former) = former {
            // To take a file system down waits for all processors.
            let _ = std::thread::Builder::new()
                .name("old-procfs".to_owned())
                .spawn(move || drop(former));
        }
    }
    own.0.clone()
}

fn procfs() -> rustix::io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&fs)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

fn failed(operation: &'static str, name: &str, source: io::Error) -> Error {
    Error::System {
        operation,
        object: format!("/proc/sys/net/{name}"),
        source,
    }
}
