//! One layer on its way: the bytes are hashed, kept and unpacked as they come.
//!
//! ```text
//! kept before ─┐
//! registry ────┴─▶ hash, keep ─▶ inflate ─▶ hash (diffID) ─▶ files of a snapshot
//! ```

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_archive::Applied;
use gantry_content::{Blob, Partial};
use gantry_registry::Cancel;
use gantry_types::{ChainId, Digest, Hasher};

use super::download::Stage;
use super::fetched::Fetched;
use super::source::{Source, Wanted};
use crate::store::Inner;
use crate::unpack::Unpacking;
use crate::{Error, Result};

/// Shortest time between two reports.
const PAUSE: Duration = Duration::from_millis(100);

/// Hears where a download stands.
pub(super) type Told<'t> = dyn Fn(Stage) + 't;

/// Gets a layer's blob, from here or from its source, and unpacks it meanwhile if
/// the driver can do that without the layers below.
///
/// # Errors
/// Nothing is left then, but for what came and may be right.
pub(super) fn bring(
    inner: &Arc<Inner>,
    wanted: &Wanted,
    source: &dyn Source,
    cancel: &Cancel,
    told: &Told<'_>,
) -> Result<Fetched> {
    told(Stage::Begun);
    if let Ok(blob) = inner.content.hold(wanted.digest)
        && blob.size() == wanted.size
    {
        told(Stage::Verified);
        return unpack_here(inner, blob, cancel, told);
    }
    let mut partial = inner.content.partial(wanted.digest, wanted.size)?;
    let mut wanted = wanted.clone();
    loop {
        let resumed = partial.stored() > 0;
        match Incoming::new(&mut partial, &wanted, source, cancel, told).unpack(inner) {
            Ok(unpacked) => {
                let blob = partial.complete()?;
                told(Stage::Unpacking(wanted.size));
                return Ok(Fetched::new(inner, blob, unpacked));
            }
            // What was here may be to blame.
            Err(Failure::Wrong) if resumed => partial.restart()?,
            // Another server may have the right ones.
            Err(Failure::Wrong) => {
                partial.restart()?;
                wanted.skip += 1;
            }
            Err(Failure::NoOther) => return Err(Error::NotVerified(wanted.digest)),
            Err(Failure::Layer(error)) => {
                // The right bytes, and still no layer: nobody wants them again.
                partial.discard();
                return Err(error);
            }
            Err(Failure::Other(error)) => return Err(error),
        }
    }
}

/// Unpacks a blob that is here.
fn unpack_here(
    inner: &Arc<Inner>,
    blob: Blob,
    cancel: &Cancel,
    told: &Told<'_>,
) -> Result<Fetched> {
    if !inner.snapshots.capabilities().independent_layers {
        return Ok(Fetched::new(inner, blob, None));
    }
    let mut pace = Pace::new();
    let unpacked = inner.unpack_blob(&blob, None, &mut |done| {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        if pace.is_due(done == blob.size()) {
            told(Stage::Unpacking(done));
        }
        Ok(())
    });
    match unpacked {
        Ok(unpacked) => Ok(Fetched::new(inner, blob, Some(unpacked))),
        Err(_) if cancel.is_cancelled() => Err(Error::Cancelled),
        Err(error) => Err(named(blob.digest(), error)),
    }
}

impl Inner {
    /// Unpacks a blob of the store, on top of `parent` if the driver wants to know
    /// it. `told` hears how many bytes were read.
    pub(super) fn unpack_blob(
        &self,
        blob: &Blob,
        parent: Option<ChainId>,
        told: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(Unpacking, Applied)> {
        let active = Unpacking::create(self, parent)?;
        let mut reader = Hashed {
            file: self.content.reader(blob.digest())?,
            hasher: blob.digest().hasher(),
            count: 0,
            told,
        };
        let applied = self.apply(active.key(), &mut reader)?;
        let found = reader.hasher.finish();
        if found != blob.digest() {
            let expected = blob.digest();
            return Err(gantry_content::Error::WrongDigest {
                expected,
                found: Box::new(found),
            }
            .into());
        }
        Ok((active, applied))
    }
}

/// A file of the store, compared with its digest once more: it may lie there for
/// years.
struct Hashed<'t> {
    file: std::fs::File,
    hasher: Hasher,
    count: u64,
    told: &'t mut dyn FnMut(u64) -> io::Result<()>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        (self.told)(self.count)?;
        Ok(count)
    }
}

/// Why a layer could not be brought in.
enum Failure {
    /// The bytes are not those that were asked for.
    Wrong,
    /// They were wrong, and there is no other server to be asked.
    NoOther,
    /// They are, but they are no layer, or a hostile one.
    Layer(Error),
    /// Anything else: what has come may be right.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// The bytes of a layer as they come.
struct Incoming<'i> {
    partial: &'i mut Partial,
    wanted: &'i Wanted,
    source: &'i dyn Source,
    cancel: &'i Cancel,
    told: &'i Told<'i>,
    remote: Option<Box<dyn Read + Send>>,
    /// How many bytes were given on.
    done: u64,
    verified: bool,
    /// Why reading failed: the error that went through the decoders says less.
    failure: Option<Failure>,
    pace: Pace,
}

impl<'i> Incoming<'i> {
    fn new(
        partial: &'i mut Partial,
        wanted: &'i Wanted,
        source: &'i dyn Source,
        cancel: &'i Cancel,
        told: &'i Told<'i>,
    ) -> Self {
        Self {
            partial,
            wanted,
            source,
            cancel,
            told,
            remote: None,
            done: 0,
            verified: false,
            failure: None,
            pace: Pace::new(),
        }
    }

    /// Reads it all, and unpacks it if the driver can do that already.
    fn unpack(&mut self, inner: &Inner) -> Result<Option<(Unpacking, Applied)>, Failure> {
        if !inner.snapshots.capabilities().independent_layers {
            self.drain()?;
            return Ok(None);
        }
        let active = Unpacking::create(inner, None)?;
        let result = inner.apply(active.key(), &mut *self);
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match result {
            Ok(applied) => Ok(Some((active, applied))),
            Err(error) => {
                drop(active);
                Err(self.blame(error))
            }
        }
    }

    /// Whether the registry, the layer or this machine is to blame for a layer that
    /// could not be unpacked.
    fn blame(&mut self, error: Error) -> Failure {
        use gantry_archive::Error as Archive;
        let Error::Stream(source) = error else {
            return Failure::Other(error);
        };
        let digest = self.wanted.digest;
        match source {
            Archive::Limit { .. } => Failure::Layer(named(digest, Error::Stream(source))),
            Archive::File { .. } | Archive::Read { .. } | Archive::Write { .. } => {
                Failure::Other(named(digest, Error::Stream(source)))
            }
            // With the rest it turns out whether these are the right bytes.
            source => match self.drain() {
                Ok(()) => Failure::Layer(named(digest, Error::Stream(source))),
                Err(failure) => failure,
            },
        }
    }

    /// Reads what is left.
    fn drain(&mut self) -> Result<(), Failure> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    let failure = self.failure.take();
                    return Err(failure.unwrap_or_else(|| Failure::Other(failed(error))));
                }
            }
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Other(Error::Cancelled));
        }
        let kept = self.partial.replay(buffer).map_err(keeping)?;
        if kept > 0 {
            return Ok(kept);
        }
        let left = self.wanted.size - self.partial.stored();
        if left == 0 {
            return Ok(0);
        }
        let remote = match &mut self.remote {
            Some(remote) => remote,
            none => {
                let offset = self.partial.stored();
                let found = self.source.blob(self.wanted, offset, self.cancel);
                none.insert(match found {
                    Err(_) if self.wanted.skip > 0 && !self.cancel.is_cancelled() => {
                        return Err(Failure::NoOther);
                    }
                    found => found?,
                })
            }
        };
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = loop {
            match remote.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Other(failed(error))),
                Ok(count) => break count,
            }
        };
        if count == 0 {
            let short = gantry_registry::Error::WrongSize {
                what: format!("blob {}", self.wanted.digest),
                expected: self.wanted.size,
                found: self.partial.stored(),
            };
            return Err(Failure::Other(short.into()));
        }
        self.partial.append(&buffer[..count]).map_err(keeping)?;
        Ok(count)
    }

    fn report(&mut self, count: usize) -> Result<(), Failure> {
        self.done += count as u64;
        let all = self.done == self.wanted.size;
        if count > 0 && self.pace.is_due(all) {
            (self.told)(Stage::Coming(self.done));
        }
        if count == 0 && !self.verified {
            (self.told)(Stage::Arrived);
            self.partial.check().map_err(|_| Failure::Wrong)?;
            (self.told)(Stage::Verified);
            self.verified = true;
        }
        Ok(())
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let result = self.next(buffer).and_then(|count| {
            self.report(count)?;
            Ok(count)
        });
        result.map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("the layer does not come")
        })
    }
}

/// Lets reports through now and then.
struct Pace(Instant);

impl Pace {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn is_due(&mut self, last: bool) -> bool {
        let due = last || self.0.elapsed() >= PAUSE;
        if due {
            self.0 = Instant::now();
        }
        due
    }
}

/// A layer that is none, told with its name.
pub(super) fn named(layer: Digest, error: Error) -> Error {
    match error {
        Error::Stream(source) => Error::Layer {
            entry: layer.to_string(),
            source,
        },
        other => other,
    }
}

/// Why the registry's bytes end too early.
pub(super) fn failed(error: io::Error) -> Error {
    match gantry_registry::Error::from_io(error) {
        Ok(gantry_registry::Error::Cancelled) => Error::Cancelled,
        Ok(error) => error.into(),
        Err(error) => Error::disk("read", "a layer")(error),
    }
}

fn cancelled() -> io::Error {
    io::Error::other("nobody wants it any more")
}

/// What the disk says of the bytes that are kept.
fn keeping(error: io::Error) -> Error {
    Error::disk("write", "the layer's bytes")(error)
}
