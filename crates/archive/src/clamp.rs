//! Times of a tree that are later than they may be.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};

use crate::error::Error;
use crate::pack::walk::Walk;

/// Nothing below `directory` was changed later than `latest` afterwards, in seconds since
/// 1970, as far as its times say.
///
/// # Errors
/// `File`, naming the file.
pub fn clamp_times(directory: impl AsFd, latest: i64) -> Result<(), Error> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: latest,
            tv_nsec: 0,
        },
    };
    let mut walk = Walk::new(directory.as_fd())?;
    while let Some(found) = walk.next()? {
        let (seconds, rest) = (found.stat.st_mtime, found.stat.st_mtime_nsec);
        if (seconds, rest) > (latest, 0) {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(found.parent, found.name(), &times, flags)
                .map_err(Error::file("set times of", &found.path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_is_too_late_becomes_earlier_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("d/old"), dir.path().join("d/new"));
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(&old, "x").unwrap();
        std::fs::write(&new, "x").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = std::fs::File::open(&old).unwrap();
        file.set_modified(at(5)).unwrap();
        clamp_times(std::fs::File::open(dir.path()).unwrap(), 7).unwrap();
        for (path, seconds) in [("d/old", 5), ("d/new", 7), ("d", 7), ("link", 7)] {
            let found = dir.path().join(path).symlink_metadata().unwrap();
            assert_eq!(found.modified().unwrap(), at(seconds), "{path}");
        }
    }
}
