//! Compressing the file that was rotated away, bit by bit between the writes:
//! the writer has one thread, and a container must not wait for 20 MiB.
//!
//! ```text
//! path.1 ──bit by bit──▶ path.gz.tmp ──rename──▶ path.1.gz, then path.1 is removed
//! ```
//!
//! At any moment one of the two is there and whole. The header's comment says
//! which file it was ([`Identity`]), so that a reader that knows the one finds
//! the other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::GzBuilder;
use flate2::write::GzEncoder;

use crate::identity::Identity;
use crate::rotation;

/// So much is read at a time.
const CHUNK: usize = 32 << 10;

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Packing {
    path: PathBuf,
    source: File,
    encoder: GzEncoder<File>,
}

impl Packing {
    /// Begins with the file that was rotated away last, if it is there and not
    /// compressed. `path` is the newest one's.
    pub(crate) fn begin(path: &Path) -> io::Result<Option<Self>> {
        let source = match File::open(rotation::name(path, 1)) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let target = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(rotation::unfinished_name(path))?;
        let comment = Identity::of(&source.metadata()?).to_comment();
        let encoder = GzBuilder::new()
            .comment(comment)
            .write(target, flate2::Compression::default());
        Ok(Some(Self {
            path: path.to_owned(),
            source,
            encoder,
        }))
    }

    /// Compresses at least `bytes` more; whether some are left.
    pub(crate) fn go_on(&mut self, bytes: u64) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK];
        let mut done = 0;
        while done < bytes {
            let count = self.source.read(&mut chunk)?;
            if count == 0 {
                return Ok(false);
            }
            self.encoder.write_all(&chunk[..count])?;
            done += count as u64;
        }
        Ok(true)
    }

    /// Compresses all that is left and puts the result into place.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.go_on(u64::MAX)?;
        self.encoder.try_finish()?;
        fs::rename(
            rotation::unfinished_name(&self.path),
            rotation::packed_name(&self.path, 1),
        )?;
        fs::remove_file(rotation::name(&self.path, 1))
    }
}
