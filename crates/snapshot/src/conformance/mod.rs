//! What every storage driver must do, as a test that each one runs.
//!
//! ```no_run
//! use std::sync::Arc;
//! use gantry_snapshot::{DriverKind, conformance};
//!
//! let scratch = std::env::temp_dir().join("snapshots");
//! conformance::run(&scratch, &|root, records| DriverKind::Vfs.open(root, records));
//! ```
//!
//! Needs root. The mounts that a driver returns are really made, but attached
//! nowhere, so that nothing is left over when the suite fails.

mod crash;
mod layers;
mod life;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_archive::Scratch;

use crate::driver::SnapshotDriver;
use crate::error::Error;
use crate::records::{MemoryRecords, Records};
use view::{Layer, View};

/// Opens the driver under test on a directory, with the records given.
pub type Open<'o> = &'o dyn Fn(&Path, Arc<dyn Records>) -> Result<Arc<dyn SnapshotDriver>, Error>;

/// One case.
type Case = fn(&Bench<'_>);

/// Runs all cases, each in a directory of its own below `scratch`, which must
/// be on a file system that the driver works on.
///
/// # Panics
/// When the driver does not conform, with the case in the message.
pub fn run(scratch: &Path, open: Open<'_>) {
    let cases: [(&str, Case); 14] = [
        ("a life", life::whole_life),
        ("refusals", life::refusals),
        ("parents are kept", life::parents_are_kept),
        ("records survive", life::records_survive),
        ("usage", life::usage),
        ("parallel creation", life::parallel_creation),
        ("three layers", layers::three_layers),
        ("whiteouts", layers::whiteouts),
        (
            "changes through the mount",
            layers::changes_through_the_mount,
        ),
        ("attributes", layers::attributes),
        ("many layers", layers::many_layers),
        ("independent layers", layers::independent_layers),
        ("failing records", crash::failing_records),
        ("cleanup", crash::cleanup),
    ];
    for (number, (name, case)) in cases.into_iter().enumerate() {
        let guard = Scratch::new(scratch.join(format!("case-{number}")));
        std::fs::create_dir_all(guard.path()).expect("the scratch directory is writable");
        let records: Arc<dyn Records> = Arc::new(MemoryRecords::new());
        tracing::info!(name, "conformance");
        let bench = Bench {
            case: name,
            root: guard.path().to_path_buf(),
            driver: ok(name, open(guard.path(), Arc::clone(&records))),
            records,
            open,
        };
        case(&bench);
    }
}

/// One case's driver and what it stands on.
struct Bench<'o> {
    case: &'static str,
    root: PathBuf,
    driver: Arc<dyn SnapshotDriver>,
    records: Arc<dyn Records>,
    open: Open<'o>,
}

impl Bench<'_> {
    /// The value, or a panic that names the case.
    fn ok<T>(&self, result: Result<T, Error>) -> T {
        ok(self.case, result)
    }

    /// The error, or a panic that names the case.
    fn refused<T>(&self, result: Result<T, Error>) -> Error {
        match result {
            Err(error) => error,
            Ok(_) => panic!("{}: what had to fail succeeded", self.case),
        }
    }

    /// The driver opened anew, as after a restart.
    fn reopen(&self, records: Arc<dyn Records>) -> Arc<dyn SnapshotDriver> {
        self.ok((self.open)(&self.root, records))
    }

    fn view(&self, key: &str) -> View {
        View::of(self.case, &self.ok(self.driver.mounts(key)))
    }

    /// Unpacks and commits one layer on top of `parent`.
    fn layer(&self, name: &str, parent: Option<&str>, layer: &Layer) {
        let key = format!("unpacking {name}");
        let driver = self.driver.as_ref();
        self.ok(driver.create(&key, parent));
        self.unpack(&key, layer);
        self.ok(driver.commit(&key, name, parent));
    }

    fn unpack(&self, key: &str, layer: &Layer) {
        let target = self.ok(self.driver.unpack_target(key));
        let directory = self.ok(target.open());
        let options = gantry_archive::ApplyOptions::new(target.whiteouts);
        let bytes = layer.bytes();
        let applied = gantry_archive::apply(bytes.as_slice(), directory, &options);
        self.ok(applied.map_err(Error::from));
    }
}

fn ok<T>(case: &str, result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{case}: {error}"),
    }
}
