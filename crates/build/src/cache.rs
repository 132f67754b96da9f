//! What steps have made, and by which keys it is found again: records only. Layers and
//! blobs are held by a lease for each result, which outlives the daemon.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gantry_image::{Epoch, ImageStore, Lease};
use gantry_metadata::builds::{self, ResultRow};
use gantry_metadata::{Database, Tx, View, images, layers, leases};
use gantry_snapshot::SnapshotDriver;
use gantry_types::{ChainId, DiffId};

use crate::solve::Layers;
use crate::{Error, Result};

/// How often who waits for another build looks whether its own is still wanted.
const TICK: Duration = Duration::from_millis(100);
/// So many results without layers are remembered.
const MOST_MOMENTS: usize = 10_000;
/// What files take on the disk is a multiple of this.
const BLOCK: u64 = 4096;

/// The cache of all builds of one daemon. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    database: Arc<Database>,
    images: ImageStore,
    snapshots: Arc<dyn SnapshotDriver>,
    /// What builds that are running rely on, and how many of them.
    in_use: Arc<Mutex<HashMap<String, u32>>>,
    /// What layers take on the disk, as far as they were measured.
    sizes: Arc<Mutex<HashMap<ChainId, u64>>>,
    /// The keys of steps that are being run.
    running: Arc<(Mutex<BTreeSet<String>>, Condvar)>,
    /// This life of the daemon: what syncs an earlier one has heard of nobody knows.
    life: Arc<str>,
    /// The epoch in which nothing that is known was lost.
    sound: Arc<Mutex<Epoch>>,
}

/// A step that is being run: who wants the same waits until this goes.
pub(crate) struct Running<'c> {
    cache: &'c Cache,
    key: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let (running, ended) = &*self.cache.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.key);
        ended.notify_all();
    }
}

/// A result that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: String,
    /// All its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Sum of the sizes of the files of its own layer.
    pub size: u64,
}

/// A result to be remembered.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// What `docker builder du` calls it.
    pub kind: String,
    /// Which step of which file it is.
    pub place: String,
    /// The step, for people.
    pub description: String,
    /// What it depended on: names and values.
    pub inputs: Vec<(String, String)>,
    /// The result below it.
    pub parent: Option<String>,
    /// All its layers.
    pub diff_ids: Vec<DiffId>,
    /// Sum of the sizes of the files of its own layer.
    pub size: u64,
    /// When it was made.
    pub created: i64,
}

impl Entry {
    /// The same of these layers.
    pub(crate) fn of(self, layers: &Layers) -> Self {
        Self {
            diff_ids: layers.diff_ids.clone(),
            size: layers.size,
            created: layers.created,
            ..self
        }
    }
}

impl Record {
    /// Bytes on the disk that go when it goes and nothing else needs them.
    pub fn disk(&self) -> u64 {
        self.layer + self.blobs
    }
}

/// A result as `docker builder du` shows it.
#[derive(Debug, Clone)]
pub struct Record {
    /// What is recorded.
    pub row: ResultRow,
    /// Bytes of its layer on the disk.
    pub layer: u64,
    /// Bytes of the blobs of its layer.
    pub blobs: u64,
    /// Whether an image has its layer too.
    pub shared: bool,
    /// Whether a build that is running relies on it.
    pub in_use: bool,
}

impl Cache {
    /// Opens the cache: what a failure of the power or the disk may have spoilt is forgotten.
    ///
    /// # Errors
    /// `Metadata`, `Image`.
    pub fn open(
        database: &Arc<Database>,
        images: &ImageStore,
        snapshots: &Arc<dyn SnapshotDriver>,
    ) -> Result<Self> {
        let cache = Self {
            database: Arc::clone(database),
            images: images.clone(),
            snapshots: Arc::clone(snapshots),
            in_use: Arc::default(),
            sizes: Arc::default(),
            running: Arc::default(),
            life: random_name()?.into(),
            sound: Arc::new(Mutex::new(images.epoch())),
        };
        cache.forget_lost()?;
        Ok(cache)
    }

    /// Which epoch it is, for a build that begins. What is known of an earlier one and may
    /// be lost is forgotten before: also its layers go, which the build may make again.
    ///
    /// # Errors
    /// `Metadata`, `Image`.
    pub fn begin(&self) -> Result<Epoch> {
        let now = self.images.epoch();
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if *sound != now {
            self.forget_lost()?;
            *sound = now;
        }
        Ok(now)
    }

    /// What is written of a result whose bytes may not be on the disk yet: when they were
    /// made.
    fn unsettled_in(&self, epoch: Epoch) -> String {
        format!("{}/{epoch}", self.life)
    }

    /// Forgets what may have been lost with an earlier life or epoch.
    fn forget_lost(&self) -> Result<()> {
        let now = self.unsettled_in(self.images.epoch());
        let forget = |tx: &Tx<'_>| builds::forget_unsettled(tx, &now);
        let lost = self.database.write_freeing(forget)?;
        if lost != 0 {
            self.images.collect()?;
            tracing::warn!(
                lost,
                "results of builds that may not be on the disk are forgotten"
            );
        }
        Ok(())
    }

    /// Waits until nobody runs the step of that key, in this build or in another one, and
    /// says that it is run. Who runs one waits for none.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn run_alone(
        &self,
        key: &str,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Running<'_>> {
        let (running, ended) = &*self.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.contains(key) {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let waited = ended.wait_timeout(running, TICK);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        running.insert(key.to_owned());
        Ok(Running {
            cache: self,
            key: key.to_owned(),
        })
    }

    /// The result that a key stands for; its layers are kept while the lease lives. A
    /// result whose layers are not there is forgotten.
    ///
    /// # Errors
    /// `Metadata`, `Image`.
    pub fn find(&self, key: &str, lease: &Lease) -> Result<Option<Stored>> {
        let Some(row) = self.database.read(|view| builds::find(view, key))? else {
            return Ok(None);
        };
        let diff_ids = diff_ids(&row);
        let lost = !row.boot.is_empty() && row.boot != self.unsettled_in(self.images.epoch());
        if lost || !self.images.hold_layers(lease, &diff_ids)? {
            tracing::warn!(id = row.id, "a result of a build has lost its layers");
            self.database.write(|tx| builds::delete(tx, &row.id))?;
            return Ok(None);
        }
        self.database.write(|tx| builds::used(tx, &row.id))?;
        Ok(Some(Stored {
            id: row.id,
            diff_ids,
            created: row.created_at,
            size: row.size,
        }))
    }

    /// Lets one more key stand for a result.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn also(&self, key: &str, id: &str) -> Result<()> {
        Ok(self.database.write(|tx| builds::set_key(tx, key, id))?)
    }

    /// All keys that stand for a result.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn keys(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.database.read(|view| builds::keys(view, id))?)
    }

    /// When a step that makes no layers was first done, and whether it was done before;
    /// `anew` it is done again.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn moment(&self, key: &str, entry: Entry, anew: bool, since: Epoch) -> Result<(i64, bool)> {
        let known = self.database.read(|view| builds::find(view, key))?;
        if let Some(row) = known.as_ref().filter(|_| !anew) {
            self.database.write(|tx| builds::used(tx, &row.id))?;
            return Ok((row.created_at, true));
        }
        let created = gantry_metadata::now();
        let entry = Entry { created, ..entry };
        if let Some(row) = known {
            self.database.write(|tx| builds::delete(tx, &row.id))?;
        }
        self.insert(&entry, &[key.to_owned()], since)?;
        Ok((created, false))
    }

    /// Forgets all but the newest results without layers: no bound of bytes ends those.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn bound_moments(&self) -> Result<()> {
        let mut rows = self.database.read(builds::list)?;
        rows.retain(|row| row.layers.is_empty());
        let many = rows.len().saturating_sub(MOST_MOMENTS);
        for row in &rows[..many] {
            self.remove(&row.id)?;
        }
        Ok(())
    }

    /// Remembers a result, made `since` then, whose layers somebody holds; answers its
    /// name.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn insert(&self, entry: &Entry, keys: &[String], since: Epoch) -> Result<String> {
        let id = random_name()?;
        let joined: Vec<String> = entry.diff_ids.iter().map(ToString::to_string).collect();
        let inputs = serde_json::to_string(&entry.inputs)
            .map_err(|error| Error::Failed(format!("inputs of a step: {error}")))?;
        let row = ResultRow {
            id: id.clone(),
            kind: entry.kind.clone(),
            place: entry.place.clone(),
            description: entry.description.clone(),
            inputs,
            parent: entry.parent.clone(),
            layers: joined.join(" "),
            size: entry.size,
            created_at: entry.created,
            used_at: gantry_metadata::now(),
            uses: 1,
            boot: self.unsettled_in(since),
        };
        self.database
            .write(|tx| -> Result<(), gantry_metadata::Error> {
                leases::insert(tx, &id, "build cache")?;
                if let Some(chain) = ChainId::chain(&entry.diff_ids).last() {
                    leases::hold(tx, &id, leases::Kind::Snapshot, &chain.to_string())?;
                }
                for diff_id in &entry.diff_ids {
                    leases::hold_layer(tx, &id, *diff_id)?;
                }
                builds::insert(tx, &row, keys)
            })?;
        Ok(id)
    }

    /// What the step in this place depended on when it was last run: names and values.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn inputs_at(&self, place: &str) -> Result<Option<Vec<(String, String)>>> {
        let row = self.database.read(|view| builds::at_place(view, place))?;
        Ok(row.and_then(|row| serde_json::from_str(&row.inputs).ok()))
    }

    /// All results so far are on the disk, as far as a build that has begun `since` then
    /// relies on them. Those that a failing disk may have lost are forgotten.
    ///
    /// # Errors
    /// `Image`, also when a sync has failed since then; `Metadata`.
    pub fn settle(&self, since: Epoch) -> Result<()> {
        let now = self.images.epoch();
        let stamp = self.unsettled_in(now);
        // Not those that others add meanwhile.
        let made = self.database.read(|view| builds::unsettled(view, &stamp))?;
        // A build that has made nothing waits for no disk.
        if made.is_empty() && since == now {
            return Ok(());
        }
        if let Err(error) = self.images.sync_layers(since) {
            self.forget_lost()?;
            return Err(error.into());
        }
        Ok(self.database.write(|tx| builds::settle(tx, &made))?)
    }

    /// Says that a build relies on a result until [`Cache::release`].
    pub(crate) fn hold(&self, id: &str) {
        *self.users().entry(id.to_owned()).or_default() += 1;
    }

    pub(crate) fn release(&self, ids: &[String]) {
        let mut users = self.users();
        for id in ids {
            if let Some(count) = users.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    users.remove(id);
                }
            }
        }
    }

    fn users(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All results, measured: what each takes is what the disk gets back when it and
    /// all that stands on it go. Those that were used longest ago come first.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn list(&self) -> Result<Vec<Record>> {
        self.measured(&mut HashMap::new())
    }

    /// The same, with layers as large as they were when they were measured first: what
    /// containers put beside them since is not seen, and most of the work is saved.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn list_roughly(&self) -> Result<Vec<Record>> {
        self.measured(&mut self.sizes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `sizes` has what layers take, as far as that is known; afterwards, those of all
    /// results and no others.
    fn measured(&self, sizes: &mut HashMap<ChainId, u64>) -> Result<Vec<Record>> {
        let rows = self.database.read(|view| {
            let rows = builds::list(view)?.into_iter();
            rows.map(|row| Recorded::of(view, row))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let users = self.users().clone();
        let mut told = HashMap::new();
        let records = rows.into_iter().map(|found| {
            let (mut layer, mut blobs) = (0, 0);
            // Two results may be the same layer, which is there once.
            if let Some(chain) = found.chain.filter(|chain| !told.contains_key(chain)) {
                let disk = || self.snapshots.disk(&chain.to_string()).unwrap_or(0);
                layer = sizes.remove(&chain).unwrap_or_else(disk);
                blobs = found.blobs;
                told.insert(chain, layer);
            }
            Record {
                in_use: users.contains_key(&found.row.id),
                row: found.row,
                layer,
                blobs,
                shared: found.shared,
            }
        });
        let records = records.collect();
        *sizes = told;
        Ok(records)
    }

    /// Forgets a result, unless a build relies on it; whether it is gone. Its layers
    /// go with the next collection of the image store.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn remove(&self, id: &str) -> Result<bool> {
        if self.users().contains_key(id) {
            return Ok(false);
        }
        Ok(self.database.write_freeing(|tx| builds::delete(tx, id))?)
    }
}

/// A result and what the records say of its layer.
struct Recorded {
    row: ResultRow,
    chain: Option<ChainId>,
    /// Whether an image has that layer too.
    shared: bool,
    /// Bytes of the layer's blobs that no image needs.
    blobs: u64,
}

impl Recorded {
    fn of(view: &View<'_>, row: ResultRow) -> Result<Self, gantry_metadata::Error> {
        let diff_ids = diff_ids(&row);
        let chain = ChainId::chain(&diff_ids).last().copied();
        let (mut shared, mut blobs) = (false, 0);
        if let (Some(chain), Some(diff_id)) = (chain, diff_ids.last()) {
            shared = images::using_chain(view, chain)? != 0;
            if images::using_diff(view, *diff_id)? == 0 {
                let blocks = |bytes: u64| bytes.div_ceil(BLOCK) * BLOCK;
                let rows = layers::by_diff_id(view, *diff_id)?;
                blobs = rows.iter().map(|row| blocks(row.blob_size)).sum();
            }
        }
        Ok(Self {
            row,
            chain,
            shared,
            blobs,
        })
    }
}

fn diff_ids(row: &ResultRow) -> Vec<DiffId> {
    let words = row.layers.split(' ').filter(|word| !word.is_empty());
    words
        .filter_map(|word| word.parse().ok().map(DiffId))
        .collect()
}

/// The boot of this machine.
pub(crate) fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    })
}

/// 32 hexadecimal digits that nobody has seen before.
pub(crate) fn random_name() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Failed(format!("the kernel gives no random numbers: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

#[cfg(test)]
mod tests {
    use gantry_content::ContentStore;
    use gantry_snapshot::{DriverKind, MetadataRecords};

    use super::*;

    /// A cache, and what it stands on, as a daemon opens them.
    fn open(root: &std::path::Path) -> (ContentStore, ImageStore, Cache) {
        let database = Arc::new(Database::open(root.join("metadata.db")).unwrap());
        let records = Arc::new(MetadataRecords::new(Arc::clone(&database), "vfs"));
        std::fs::create_dir_all(root.join("snapshots")).unwrap();
        let snapshots = DriverKind::Vfs.open(&root.join("snapshots"), records);
        let snapshots = snapshots.unwrap();
        let content = ContentStore::open(root.join("content"), Arc::clone(&database)).unwrap();
        let (blobs, layers) = (content.clone(), Arc::clone(&snapshots));
        let images = ImageStore::open(Arc::clone(&database), blobs, layers).unwrap();
        let cache = Cache::open(&database, &images, &snapshots).unwrap();
        (content, images, cache)
    }

    fn insert(cache: &Cache, key: &str) {
        let since = cache.begin().unwrap();
        cache
            .insert(&Entry::default(), &[key.to_owned()], since)
            .unwrap();
    }

    fn is_known(images: &ImageStore, cache: &Cache, key: &str) -> bool {
        let lease = images.empty_lease("test").unwrap();
        cache.find(key, &lease).unwrap().is_some()
    }

    #[test]
    fn what_was_not_settled_is_forgotten_by_the_next_daemon() {
        let root = tempfile::tempdir().unwrap();
        let (content, images, cache) = open(root.path());
        insert(&cache, "settled");
        cache.settle(cache.begin().unwrap()).unwrap();
        insert(&cache, "left");
        assert!(is_known(&images, &cache, "left"));
        // The sync that fails is the last thing that this daemon sees: the next one
        // counts from the start.
        content.end_epoch();
        drop((content, images, cache));
        let (_, images, cache) = open(root.path());
        assert!(!is_known(&images, &cache, "left"));
        assert!(is_known(&images, &cache, "settled"));
    }

    #[test]
    fn a_build_begins_without_what_a_failed_sync_may_have_lost() {
        let root = tempfile::tempdir().unwrap();
        let (content, _, cache) = open(root.path());
        insert(&cache, "lost");
        content.end_epoch();
        insert(&cache, "made after that");
        let left = cache.list().unwrap();
        let keys: Vec<_> = left
            .iter()
            .map(|one| cache.keys(&one.row.id).unwrap())
            .collect();
        assert_eq!(keys, [["made after that"]]);
        cache.settle(cache.begin().unwrap()).unwrap();
    }
}
