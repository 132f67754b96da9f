//! What no pull can be faster than: the same layers inflated and written, on all
//! processors, with nothing else.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::command::run;

/// The packed layers of images.
pub struct Floor {
    dir: tempfile::TempDir,
    layers: Vec<PathBuf>,
}

impl Floor {
    /// Takes them out of OCI archives.
    pub fn of(archives: &[PathBuf]) -> Result<Self, String> {
        let dir = crate::ending::folder()?;
        let failed = |error: io::Error| format!("{}: {error}", dir.path().display());
        for archive in archives {
            let (from, to) = (archive.display(), dir.path().display());
            run(&["tar", "-xf", &from.to_string(), "-C", &to.to_string()])?;
        }
        let mut layers = Vec::new();
        for entry in std::fs::read_dir(dir.path().join("blobs/sha256")).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let mut head = [0; 2];
            let mut file = File::open(&path).map_err(failed)?;
            io::Read::read_exact(&mut file, &mut head).map_err(failed)?;
            if head == [0x1f, 0x8b] {
                layers.push(path);
            }
        }
        Ok(Self { dir, layers })
    }

    /// How long it takes until all is on the disk.
    pub fn measure(&self) -> Result<Duration, String> {
        let out = self.dir.path().join("out");
        std::fs::create_dir(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        let work = || -> io::Result<()> {
            while let Some(layer) = self.layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let packed = File::open(layer)?;
                let mut plain = flate2::read::MultiGzDecoder::new(packed);
                let name = layer.file_name().unwrap_or_default();
                let mut file = io::BufWriter::with_capacity(1 << 20, File::create(out.join(name))?);
                io::copy(&mut plain, &mut file)?;
                io::Write::flush(&mut file)?;
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            all.into_iter().try_for_each(|one| {
                one.join()
                    .unwrap_or_else(|_| Err(io::Error::other("panic")))
            })
        })
        .and_then(|()| Ok(rustix::fs::syncfs(File::open(&out)?)?))
        .map_err(|error| format!("{}: {error}", out.display()))?;
        let took = begun.elapsed();
        std::fs::remove_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        Ok(took)
    }
}
