//! A private store in a temporary directory.

use std::path::Path;
use std::sync::Arc;

use gantry_content::ContentStore;
use gantry_image::{ImageStore, ImportOptions, Progress};
use gantry_metadata::Database;
use gantry_snapshot::{DriverKind, MetadataRecords, SnapshotDriver};
use gantry_types::ImageId;

/// Whether the test can run here; says so if not.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("{test}: skipped, needs root");
    }
    root
}

macro_rules! require_root {
    () => {
        if !$crate::fixture::is_root(module_path!()) {
            return;
        }
    };
}
pub(crate) use require_root;

/// A store and what it stands on.
pub(crate) struct Fixture {
    pub(crate) database: Arc<Database>,
    pub(crate) content: ContentStore,
    pub(crate) snapshots: Arc<dyn SnapshotDriver>,
    pub(crate) images: ImageStore,
}

/// Opens the store as a daemon does.
pub(crate) fn open(root: &Path, kind: DriverKind) -> Fixture {
    let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
    let records = Arc::new(MetadataRecords::new(Arc::clone(&database), kind.name()));
    let directory = root.join("snapshots");
    std::fs::create_dir_all(&directory).unwrap();
    let snapshots = kind.open(&directory, records).unwrap();
    let content = ContentStore::open(root.join("content"), Arc::clone(&database)).unwrap();
    let images = ImageStore::open(
        Arc::clone(&database),
        content.clone(),
        Arc::clone(&snapshots),
    )
    .unwrap();
    let live = database
        .read(|view| -> Result<_, gantry_metadata::Error> {
            let mut live = std::collections::HashSet::new();
            for row in gantry_metadata::images::list(view)? {
                let layers = gantry_metadata::images::layers(view, row.id)?;
                live.extend(layers.into_iter().map(|(_, chain)| chain.to_string()));
            }
            Ok(live)
        })
        .unwrap();
    snapshots.cleanup(&live).unwrap();
    Fixture {
        database,
        content,
        snapshots,
        images,
    }
}

impl Fixture {
    /// A new store with the given driver.
    pub(crate) fn with(kind: DriverKind) -> (tempfile::TempDir, Self) {
        // The build directory's disk: overlay needs a real file system.
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fixture = open(root.path(), kind);
        (root, fixture)
    }

    /// A new store with the vfs driver.
    pub(crate) fn new() -> (tempfile::TempDir, Self) {
        Self::with(DriverKind::Vfs)
    }

    /// Opens the images anew, with these limits.
    pub(crate) fn limit(&mut self, limits: gantry_image::Limits) {
        self.images = ImageStore::open_with(
            Arc::clone(&self.database),
            self.content.clone(),
            Arc::clone(&self.snapshots),
            limits,
        )
        .unwrap();
    }

    pub(crate) fn load(
        &self,
        archive: &[u8],
    ) -> Result<(Vec<ImageId>, String), gantry_image::Error> {
        let mut text = String::new();
        let mut tell = |progress: Progress| text.extend(progress.text());
        let loaded = self.images.load(archive, &Default::default(), &mut tell)?;
        Ok((loaded.into_iter().map(|image| image.id).collect(), text))
    }

    pub(crate) fn import(&self, archive: &[u8], name: &str) -> ImageId {
        let options = ImportOptions {
            reference: gantry_image::tag_reference(name, "").unwrap(),
            message: "Imported from -".to_owned(),
            ..ImportOptions::default()
        };
        self.images.import(archive, &options).unwrap().id
    }

    /// Makes a container's file system.
    pub(crate) fn prepare(
        &self,
        image: &gantry_image::Image,
        key: &str,
    ) -> Result<(), gantry_snapshot::Error> {
        let top = image.top.map(|top| top.to_string());
        self.snapshots.create(key, top.as_deref())
    }

    /// Proves that nothing but the named numbers of images, snapshots and
    /// blobs is there, on the disk and in the database.
    pub(crate) fn assert_holds(&self, images: u64, snapshots: usize, blobs: usize) {
        assert_eq!(self.images.count().unwrap(), images, "images");
        assert_eq!(self.snapshots.list().len(), snapshots, "snapshots");
        assert_eq!(self.content.list().unwrap().len(), blobs, "blobs");
        let scratch = self.content.scratch_path().unwrap();
        let ingests = std::fs::read_dir(scratch.parent().unwrap()).unwrap();
        assert_eq!(ingests.count(), 0, "ingests");
    }
}
