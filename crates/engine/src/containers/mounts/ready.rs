//! Volumes and images at a start: what the runtime is told to mount. Nothing is
//! mounted in the host's mount namespace: a volume with a file system of its own gets
//! it in the container's. Those on devices are made by the engine, attached nowhere,
//! since a container's processes may not open the device, and taken over by the shim.
//!
//! File systems in memory are the exception to "one mount for each container":
//! there the second container gets the first one's mount, or it would see another,
//! empty file system.

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_runtime::defaults;
use gantry_runtime::oci::Mount;
use gantry_shim::protocol::StartFailure;
use gantry_sys::{Errno, LoopDevice, RootDir};
use gantry_types::ContainerId;
use gantry_volume::{Backing, VolumeStore};

use super::{Image, MountPoint, Mounted, Volume, owners};
use crate::containers::Inner;
use crate::containers::record::Record;
use crate::error::{Error, Result};

/// What starts of containers with volumes that are file systems of their own share.
#[derive(Debug, Default)]
pub(crate) struct FirstMounts {
    /// Held while a container starts that may be the first one of a file system which
    /// others are to share.
    alone: Mutex<()>,
    /// What was made for containers that are starting. The shim takes it from here.
    made: Mutex<BTreeMap<ContainerId, Vec<OwnedFd>>>,
}

/// The start of such a container.
pub(crate) struct FirstMount<'l> {
    all: &'l FirstMounts,
    id: ContainerId,
    _alone: Option<MutexGuard<'l, ()>>,
    /// They go when they are neither open here nor mounted.
    devices: Vec<LoopDevice>,
}

impl Drop for FirstMount<'_> {
    fn drop(&mut self) {
        let mut made = self.all.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.remove(&self.id);
    }
}

/// File systems of which the kernel makes another one at each mount.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

impl Inner {
    /// Waits until no other container mounts a volume in memory for the first
    /// time, if this one has such a volume.
    ///
    /// # Errors
    /// `Start` for an image of a file system that cannot be a device.
    pub(in super::super) fn first_mount(&self, record: &Record) -> Result<Option<FirstMount<'_>>> {
        let volumes = record.mounts.iter().filter_map(MountPoint::volume);
        let found = volumes.filter_map(|volume| self.volumes.store().get(&volume.name).ok());
        let own = |volume: &gantry_volume::Volume| {
            matches!(volume.backing, Backing::Mount { .. }) && !volume.backing.is_bind()
        };
        let own: Vec<_> = found.filter(|found| own(&found.volume)).collect();
        if own.is_empty() {
            return Ok(None);
        }
        let shared = |volume: &gantry_volume::Volume| {
            is_in_memory(&volume.backing) || volume.backing.image().is_some()
        };
        let lock = &self.first_mounts.alone;
        let alone = || lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = FirstMount {
            all: &self.first_mounts,
            id: record.id.clone(),
            _alone: own.iter().any(|found| shared(&found.volume)).then(alone),
            devices: Vec::new(),
        };
        for found in &own {
            if let Some(image) = found.volume.backing.image() {
                let device = LoopDevice::of(image);
                let failed = |error| cannot_mount(&found.volume, &strerror(&error));
                first.devices.push(device.map_err(failed)?);
            }
        }
        Ok(Some(first))
    }

    /// The mounts of a container's volumes and images.
    ///
    /// # Errors
    /// `Start`, in Docker's words.
    pub(in super::super) fn ready_mounts(&self, record: &Record) -> Result<Vec<Mount>> {
        let mut ready = Vec::new();
        for point in &record.mounts {
            match &point.what {
                Mounted::Volume(volume) => ready.push(self.ready_volume(record, point, volume)?),
                Mounted::Image(image) => ready.push(self.ready_image(point, image)?),
                Mounted::Bind(bind) => {
                    if let Some(owners) = &bind.owners {
                        ready.push(owners::ready(point, bind, owners, record.id_map.as_ref())?);
                    }
                }
                Mounted::Tmpfs(_) => {}
            }
        }
        Ok(ready)
    }

    fn ready_volume(&self, record: &Record, point: &MountPoint, volume: &Volume) -> Result<Mount> {
        let found = self.volumes.store().get(&volume.name);
        let found = found
            .map_err(|error| Error::spec(error.to_string()))?
            .volume;
        match &found.backing {
            Backing::Directory => {
                VolumeStore::make_missing_directory(&found)?;
                let mut mount = bind(point, &volume.directory, &volume.subpath, "rbind")?;
                if record.id_map.is_some() {
                    // On disk there are the ids that the container sees.
                    mount.options.push("idmap".to_owned());
                }
                Ok(mount)
            }
            Backing::Plugin => {
                let place = self.volumes.store().mount(&found, record.id.as_str());
                let place = place.map_err(|error| Error::spec(error.to_string()))?;
                bind(point, &place.to_string_lossy(), &volume.subpath, "rbind")
            }
            Backing::Mount {
                device, options, ..
            } if found.backing.is_bind() => {
                if let Err(error) = Path::new(device).metadata() {
                    return Err(cannot_mount(&found, &strerror(&error)));
                }
                let recursion = match options.iter().any(|option| option == "rbind") {
                    true => "rbind",
                    false => "bind",
                };
                let mut mount = bind(point, device, &volume.subpath, recursion)?;
                let flags = options
                    .iter()
                    .filter(|o| !o.ends_with("bind") && *o != "rw");
                mount.options.extend(flags.cloned());
                Ok(mount)
            }
            backing if is_in_memory(backing) && !volume.subpath.is_empty() => {
                Err(Error::spec(format!(
                    "volume-subpath of the volume {}, which is in memory, is not supported",
                    volume.name
                )))
            }
            Backing::Mount {
                kind,
                device,
                options,
            } => match found.backing.image() {
                Some(image) => {
                    let device = LoopDevice::of(image);
                    let device = device.map_err(|e| cannot_mount(&found, &strerror(&e)))?;
                    let plain = options.iter().filter(|option| *option != "loop");
                    let plain: Vec<String> = plain.cloned().collect();
                    let device = device.path.to_string_lossy();
                    self.new_mount(record, (point, &found), (kind, &device), &plain)
                }
                None if is_in_memory(&found.backing) => {
                    match self.shared_tree(record, &found.name)? {
                        Some(tree) => Ok(self.shared_mount(record, point, tree)),
                        None => Ok(new(point, kind, device, options)),
                    }
                }
                None => {
                    let options = with_address(&found, kind, options)?;
                    self.new_mount(record, (point, &found), (kind, device), &options)
                }
            },
        }
    }

    /// Makes a file system's mount, which the shim will move to its place.
    fn new_mount(
        &self,
        record: &Record,
        (point, volume): (&MountPoint, &gantry_volume::Volume),
        (kind, device): (&str, &str),
        options: &[String],
    ) -> Result<Mount> {
        let made = gantry_runtime::new_mount(kind, device, options).map_err(|(errno, words)| {
            tracing::debug!(volume = volume.name, words, "the kernel mounts no volume");
            cannot_mount(volume, &gantry_runtime::errno_text(errno.raw_os_error()))
        })?;
        let mut mount = new(point, kind, &self.hand_over(record, made), options);
        mount.options.push(gantry_runtime::MADE.to_owned());
        let part = point.volume().map_or("", |volume| volume.subpath.as_str());
        if !part.is_empty() {
            mount.options.push(subpath(part));
        }
        Ok(mount)
    }

    /// The mount of a file system that another container has, too; what that one has
    /// made of its own mount does not count.
    fn shared_mount(&self, record: &Record, point: &MountPoint, tree: OwnedFd) -> Mount {
        let access = match point.read_only {
            true => "ro",
            false => "rw",
        };
        let options = [access, "rprivate", gantry_runtime::MADE];
        let source = self.hand_over(record, tree);
        defaults::mount(&point.target, "tmpfs", &source, &options)
    }

    /// Keeps a mount open until the container has it; answers where the shim finds it.
    fn hand_over(&self, record: &Record, made: OwnedFd) -> String {
        let source = format!("/proc/{}/fd/{}", std::process::id(), made.as_raw_fd());
        let mut all = self
            .first_mounts
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.entry(record.id.clone()).or_default().push(made);
        source
    }

    fn ready_image(&self, point: &MountPoint, image: &Image) -> Result<Mount> {
        if !image.subpath.is_empty() {
            self.check_image_part(image)?;
        }
        let mut mount = match self.snapshots.mounts(&image.snapshot)? {
            gantry_types::Mount::Bind { source, .. } => {
                let source = source.display().to_string();
                return bind(point, &source, &image.subpath, "bind");
            }
            gantry_types::Mount::Overlay { lower, upper } => {
                let lower = lower.iter();
                let mut options: Vec<String> = lower
                    .map(|path| format!("lowerdir+={}", path.display()))
                    .collect();
                if let Some((upper, work)) = upper {
                    options.push(format!("upperdir={}", upper.display()));
                    options.push(format!("workdir={}", work.display()));
                }
                // What a step of a build writes there is lost with it.
                let kind: &[&str] = match point.read_only || image.layers.is_none() {
                    true => &["ro"],
                    false => &["rw"],
                };
                let mut mount = defaults::mount(&point.target, "overlay", "overlay", kind);
                mount.options.extend(options);
                mount
            }
        };
        if !image.subpath.is_empty() {
            mount.options.push(subpath(&image.subpath));
        }
        Ok(mount)
    }

    /// A part that an image does not have is told in Docker's words.
    fn check_image_part(&self, image: &Image) -> Result<()> {
        let mount = self.snapshots.mounts(&image.snapshot)?;
        let failed = |errno: rustix::io::Errno| no_part("", &image.subpath, errno);
        let tree = gantry_snapshot::mount_detached(&mount).map_err(failed)?;
        let found = RootDir::from(tree).check_beneath(&image.subpath);
        found.map_err(|error| failed(error.errno))
    }

    /// The failure of a start, if it is that of a volume's own file system.
    pub(in super::super) fn volume_failure(
        &self,
        failure: &StartFailure,
        record: &Record,
    ) -> Option<Error> {
        let error = failure.runtime_error()?;
        let mut points = record.mounts.iter();
        let volume = points.find(|p| p.target == error.path)?.volume()?;
        let found = self.volumes.store().get(&volume.name).ok()?.volume;
        if found.backing == Backing::Directory || error.step != gantry_runtime::Step::Mount {
            return None;
        }
        Some(cannot_mount(
            &found,
            &gantry_runtime::errno_text(error.errno),
        ))
    }

    /// Tells that the volumes of a container are mounted, or no longer.
    pub(in super::super) fn publish_volumes(&self, record: &Record, mounted: bool) {
        for point in &record.mounts {
            let Some(volume) = point.volume() else {
                continue;
            };
            let container = ("container", record.id.as_str());
            let named = (volume.name.as_str(), volume.driver.as_str());
            if mounted {
                let writable = match point.read_only {
                    true => "false",
                    false => "true",
                };
                let more = [
                    container,
                    ("destination", point.target.as_str()),
                    ("propagation", ""),
                    ("read/write", writable),
                ];
                self.volumes.publish_with("mount", named, &more);
            } else {
                self.volumes.publish_with("unmount", named, &[container]);
            }
        }
    }
}

/// The kernel knows servers by addresses only.
fn with_address(
    volume: &gantry_volume::Volume,
    kind: &str,
    options: &[String],
) -> Result<Vec<String>> {
    let mut options = options.to_vec();
    for option in &mut options {
        let Some(name) = option.strip_prefix("addr=") else {
            continue;
        };
        if !matches!(kind, "nfs" | "nfs4" | "cifs") || name.parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let found = (name, 0).to_socket_addrs();
        let found = found.map(|mut all| all.next().map(|address| address.ip()));
        match found {
            Ok(Some(address)) => *option = format!("addr={address}"),
            _ => {
                return Err(Error::spec(format!(
                    "error while mounting volume '{}': error resolving passed in network volume \
                     address: lookup {name}: no such host",
                    volume.directory.display()
                )));
            }
        }
    }
    Ok(options)
}

fn is_in_memory(backing: &Backing) -> bool {
    matches!(backing, Backing::Mount { kind, .. } if IN_MEMORY.contains(&kind.as_str()))
}

/// What tells the runtime that a part of a source is mounted.
fn subpath(path: &str) -> String {
    format!("{}{path}", gantry_runtime::SUBPATH)
}

fn bind(point: &MountPoint, source: &str, part: &str, recursion: &str) -> Result<Mount> {
    let mut options = vec![recursion];
    options.push(match point.read_only {
        true => "ro",
        false => "rw",
    });
    if point.read_only {
        options.push("rro");
    }
    options.push("rprivate");
    let mut mount = defaults::mount(&point.target, "bind", source, &options);
    if !part.is_empty() {
        check_part(source, part)?;
        mount.options.push(subpath(part));
    }
    Ok(mount)
}

/// A part that is missing is told in Docker's words. (The runtime finds it by
/// itself, below the source.)
fn check_part(source: &str, part: &str) -> Result<()> {
    let found = RootDir::open(Path::new(source)).and_then(|root| root.check_beneath(part));
    found.map_err(|error| no_part(source, part, error.errno))
}

/// Why a part of a source cannot be mounted.
fn no_part(source: &str, part: &str, errno: Errno) -> Error {
    if errno == Errno::XDEV {
        return Error::spec(format!(
            "path concatenation escapes the base directory, base: {source}, subpath: {part}"
        ));
    }
    let path = format!("{source}/{part}");
    let why = gantry_runtime::errno_text(errno.raw_os_error());
    Error::spec(format!("cannot access path {path}: lstat {path}: {why}"))
}

fn new(point: &MountPoint, kind: &str, device: &str, options: &[String]) -> Mount {
    let mut mount = defaults::mount(&point.target, kind, device, &[]);
    mount.options = options.to_vec();
    if IN_MEMORY.contains(&kind) && !options.iter().any(|option| option.starts_with("mode=")) {
        mount.options.push("mode=1777".to_owned());
    }
    if point.read_only {
        mount.options.push("ro".to_owned());
    }
    mount
}

/// What Docker says of a volume whose file system cannot be mounted.
fn cannot_mount(volume: &gantry_volume::Volume, why: &str) -> Error {
    let directory = volume.directory.display();
    let Backing::Mount {
        device, options, ..
    } = &volume.backing
    else {
        return Error::spec(why.to_owned());
    };
    let (flags, data) = flags_and_data(options);
    let flags = match flags {
        0 => String::new(),
        flags => format!(", flags: {flags:#x}"),
    };
    let data = match data.as_str() {
        "" => String::new(),
        data => format!(", data: {data}"),
    };
    Error::spec(format!(
        "error while mounting volume '{directory}': failed to mount local volume: mount \
         {device}:{directory}{flags}{data}: {why}"
    ))
}

/// The numbers of the flags among mount options, and the other options.
fn flags_and_data(options: &[String]) -> (u64, String) {
    let known: [(&str, u64); 9] = [
        ("ro", libc::MS_RDONLY),
        ("nosuid", libc::MS_NOSUID),
        ("nodev", libc::MS_NODEV),
        ("noexec", libc::MS_NOEXEC),
        ("sync", libc::MS_SYNCHRONOUS),
        ("noatime", libc::MS_NOATIME),
        ("bind", libc::MS_BIND),
        ("rbind", libc::MS_BIND | libc::MS_REC),
        ("rw", 0),
    ];
    let mut flags = 0;
    let mut data = Vec::new();
    for option in options {
        // Told to users, and written to logs.
        let option = match option.split_once('=') {
            Some((key @ ("password" | "pass"), _)) => &format!("{key}=********"),
            _ => option,
        };
        match known.iter().find(|(name, _)| name == option) {
            Some((_, flag)) => flags |= flag,
            None => data.push(option.clone()),
        }
    }
    (flags, data.join(","))
}

/// An error of the disk in the kernel's words alone.
pub(super) fn strerror(error: &std::io::Error) -> String {
    gantry_runtime::errno_text(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_as_docker_tells_them() {
        let options = ["bind", "ro", "size=1m", "rw", "password=x"].map(str::to_owned);
        let (flags, data) = flags_and_data(&options);
        assert_eq!(
            (format!("{flags:#x}").as_str(), data.as_str()),
            ("0x1001", "size=1m,password=********")
        );
    }
}
