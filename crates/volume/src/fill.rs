//! What an empty volume begins with: the files that an image has in its place.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::PoisonError;

use gantry_sys::RootDir;
use rustix::fs::{Dir, Mode, OFlags};

use crate::local::Backing;
use crate::store::VolumeStore;
use crate::{Error, Result, Volume, quota};

/// Where the copy is made.
const FILL: &str = "_fill";

impl VolumeStore {
    /// Lets `copy` fill a directory, which becomes the volume's if that is empty.
    /// The volume has all of it or, after a crash, nothing; but where somebody
    /// else than `user` uses it already, it is filled in place, and so is a `part` of
    /// it that is there. The answer tells whether it was filled.
    ///
    /// # Errors
    /// `Copy` when `copy` fails, `Disk`.
    pub fn fill(
        &self,
        (volume, part): (&Volume, &str),
        user: &str,
        copy: impl Fn(BorrowedFd<'_>) -> Result<(), gantry_archive::Error>,
    ) -> Result<bool> {
        let Some(turn) = self.turn(&volume.name) else {
            return Ok(false);
        };
        // Others who want to fill it wait, and find it filled.
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if volume.is_plugged() {
            return self.fill_plugged((volume, part), user, copy);
        }
        let data = target(volume);
        if volume.backing != Backing::Directory && !volume.backing.is_bind() {
            return Ok(false);
        }
        if !part.is_empty() {
            return fill_part(&data, part, &copy);
        }
        if !is_empty(&data)? {
            return Ok(false);
        }
        let into = |path: &Path| copy_into(path, &copy);
        if volume.backing.is_bind() || !self.is_used_only_by(&volume.name, user) {
            into(&data)?;
            return Ok(true);
        }
        let Some(home) = volume.home() else {
            return Ok(false);
        };
        let fill = home.join(FILL);
        gantry_archive::remove_tree(&fill)?;
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&fill)
            .map_err(Error::disk("mkdir", &fill))?;
        if volume.is_limited() {
            quota::share(&data, &fill)?;
        }
        into(&fill)?;
        // Nobody begins to use it between the look and the rename.
        let moved = self.if_used_only_by(&volume.name, user, || {
            rustix::fs::rename(&fill, &data).map_err(Error::disk("rename", &fill))
        })?;
        if !moved {
            gantry_archive::remove_tree(&fill)?;
            into(&data)?;
        }
        Ok(true)
    }

    /// The same where a plug-in has the files: what it shows is filled in place.
    fn fill_plugged(
        &self,
        (volume, part): (&Volume, &str),
        user: &str,
        copy: impl Fn(BorrowedFd<'_>) -> Result<(), gantry_archive::Error>,
    ) -> Result<bool> {
        let user = format!("{user} copy");
        let place = self.mount(volume, &user)?;
        // All of it is a part like others here.
        let part = if part.is_empty() { "." } else { part };
        let filled = fill_part(&place, part, &copy);
        let leaving = self.begin_unmount(&user);
        self.unmount(leaving);
        filled
    }
}

/// Fills a directory in the volume, if it is there and empty; nothing of it leads out.
fn fill_part(
    data: &Path,
    part: &str,
    copy: &impl Fn(BorrowedFd<'_>) -> Result<(), gantry_archive::Error>,
) -> Result<bool> {
    let root = RootDir::open(data).map_err(|error| Error::disk("open", data)(error.errno))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    // The start tells of what is no directory, or is missing.
    let Ok(place) = root.open_in_root(part, flags, Mode::empty()) else {
        return Ok(false);
    };
    for entry in Dir::read_from(&place).map_err(Error::disk("read directory", data))? {
        let entry = entry.map_err(Error::disk("read directory", data))?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    copy(place.as_fd())?;
    Ok(true)
}

fn copy_into(
    path: &Path,
    copy: &impl Fn(BorrowedFd<'_>) -> Result<(), gantry_archive::Error>,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        rustix::fs::open(path, flags, Mode::empty()).map_err(Error::disk("open", path))?;
    Ok(copy(directory.as_fd())?)
}

/// Removes what a crash left of a copy.
pub(crate) fn forget_unfinished(volume: &Volume) {
    let Some(home) = volume.home() else {
        return;
    };
    let fill = home.join(FILL);
    if let Err(error) = gantry_archive::remove_tree(&fill) {
        tracing::warn!(volume = volume.name, %error, "cannot remove an unfinished copy");
    }
}

/// The directory that is filled.
fn target(volume: &Volume) -> std::path::PathBuf {
    match &volume.backing {
        Backing::Mount { device, .. } if volume.backing.is_bind() => device.into(),
        _ => volume.directory.clone(),
    }
}

fn is_empty(directory: &Path) -> Result<bool> {
    let mut entries = directory
        .read_dir()
        .map_err(Error::disk("read directory", directory))?;
    Ok(entries.next().is_none())
}
