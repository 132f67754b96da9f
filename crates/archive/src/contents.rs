//! What files contain, as far as it is known without reading them. Who knows it decides by
//! what the file system says of a file; how long that may be trusted is his affair.

use std::fs::File;
use std::io::Read;
use std::time::SystemTime;

use gantry_types::{Digest, Hasher};
use rustix::fs::Stat;

/// How much of a file is read at a time.
const BUFFER: usize = 128 << 10;

/// Somebody who remembers what files contain.
pub trait Contents: Sync {
    /// The digest of what is in a file that is described so.
    fn find(&self, stat: &Stat) -> Option<Digest>;
    /// A file was read whole, from `begun` on; it is described so before and after.
    fn learn(&self, stat: &Stat, begun: SystemTime, digest: Digest);
}

/// The digest of what is in a file, which `open` opens.
pub(crate) fn digest<E: From<std::io::Error>>(
    known: Option<&dyn Contents>,
    stat: &Stat,
    open: impl FnOnce() -> Result<File, E>,
) -> Result<Digest, E> {
    if let Some(found) = known.and_then(|known| known.find(stat)) {
        return Ok(found);
    }
    let begun = SystemTime::now();
    let mut file = open()?;
    let digest = read(&mut file)?;
    if let Some(known) = known
        && rustix::fs::fstat(&file).is_ok_and(|after| is_same(stat, &after))
    {
        known.learn(stat, begun, digest);
    }
    Ok(digest)
}

fn read(file: &mut File) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether two descriptions are of one file that nobody has changed in between.
fn is_same(one: &Stat, other: &Stat) -> bool {
    let times = |stat: &Stat| {
        (
            (stat.st_mtime, stat.st_mtime_nsec),
            (stat.st_ctime, stat.st_ctime_nsec),
        )
    };
    (one.st_dev, one.st_ino, one.st_size) == (other.st_dev, other.st_ino, other.st_size)
        && times(one) == times(other)
}
