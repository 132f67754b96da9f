//! Creating a container: check, fill in, prepare its file system, and write its
//! record in one transaction. Nothing runs yet.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use gantry_api::{ContainerCreate, ContainerCreated};
use gantry_metadata::Tx;
use gantry_metadata::containers::ContainerRow;
use gantry_types::{ContainerId, Platform};
use gantry_volume::VolumeStore;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::container::Container;
use super::mounts::{Held, MountPoint};
use super::record::Record;
use super::state::State;
use super::undo::Undo;
use super::{
    Containers, Inner, defaults, endpoints, files, health, log_settings, merge, mounts, names,
    publish, shared_network, spec, user_namespace, validate,
};
use crate::clock::now_nano;
use crate::error::{Error, Result};
use crate::images::{self, UsedImage};

/// How often a name is made up before giving up.
const ATTEMPTS: u32 = 64;

/// The mode of a container's root directory.
const ROOT_MODE: u32 = 0o755;

impl Containers {
    /// Creates a container and returns its id, with warnings about what was
    /// left out. `platform` is what the image must be for.
    ///
    /// # Errors
    /// `NotFound` for the image, `NameInUse`, `Invalid`, `UnsupportedOption`.
    pub fn create(
        &self,
        name: Option<&str>,
        mut request: ContainerCreate,
        platform: Option<&Platform>,
    ) -> Result<ContainerCreated> {
        let inner = &self.inner;
        let name = name.filter(|name| !name.is_empty());
        let name = name.map(names::check).transpose()?;
        let mut warnings = inner.check(&mut request)?;
        inner.name_joined(&mut request.host_config)?;
        inner.name_links(&mut request.host_config)?;
        let mounts = mounts::of_request(&request.host_config)?;
        let image = inner.images.for_new_container(&request.config.image)?;
        warnings.extend(check_platform(&request.config.image, &image, platform)?);
        let (container, more) = self.create_of(name, request, mounts, &image, false)?;
        warnings.extend(more);
        Ok(ContainerCreated {
            id: container.id().to_string(),
            warnings,
        })
    }

    /// Creates a container of what is checked.
    pub(super) fn create_of(
        &self,
        name: Option<&str>,
        mut request: ContainerCreate,
        mounts: Vec<MountPoint>,
        image: &UsedImage,
        step: bool,
    ) -> Result<(Arc<Container>, Vec<String>)> {
        let inner = &self.inner;
        let mut warnings = Vec::new();
        let directory_asked = !request.config.working_dir.is_empty();
        merge::with_image(&mut request.config, image.config.as_ref())?;
        validate::config(&request.config)?;
        if !request.config.working_dir.is_empty() {
            request.config.working_dir = mounts::clean(&request.config.working_dir);
        }
        defaults::fill(&mut request.host_config, &inner.settings);
        let mut mounts = inner.gather_mounts(mounts, &request.host_config, &request.config)?;
        warnings.extend(image_mounts(&mounts));

        let id = ContainerId::from_random(random()?);
        let mut undo = Undo::new();
        let name = inner.claim_name(name, &id)?;
        let claimed = name.clone();
        undo.push(move || inner.table.unclaim(&claimed));
        mounts::name_snapshots(&id, &mut mounts);
        let endpoints = endpoints::of_request(&mut request, &inner.network)?;
        let volumes = inner.hold_volumes(&id, &mut mounts, &mut undo)?;
        let mut record = inner.record(id, name, request, endpoints, mounts, image);
        record.step = step;
        log_settings::check(&record)?;
        files::dns(&record, &inner.network)?;
        health::check_on_failure(&record)?;
        if directory_asked {
            inner.check_directory(&record.config.working_dir, image)?;
        }
        inner.make(&mut record, image, &volumes, &mut undo)?;
        undo.disarm();
        inner.settle_volumes(&volumes);
        let container = Container::new(record, State::created());
        inner.table.insert(container.clone());
        inner.publish(&container, "create", &[]);
        Ok((container, warnings))
    }
}

impl Inner {
    /// Checks what can be checked without the image, and takes out what this
    /// host does not have.
    pub(super) fn check(&self, request: &mut ContainerCreate) -> Result<Vec<String>> {
        if request.config.image.is_empty() {
            return Err(Error::Invalid("no image specified".to_owned()));
        }
        validate::config(&request.config)?;
        if request.host_config.uts_mode == "host" && !request.config.hostname.is_empty() {
            return Err(Error::Invalid(
                "conflicting options: hostname and the UTS mode".to_owned(),
            ));
        }
        shared_network::check(&request.config, &request.host_config)?;
        let mut warnings = validate::host_config(&mut request.host_config, &self.settings.host)?;
        user_namespace::check(&request.host_config, &self.settings)?;
        publish::check(&request.host_config)?;
        warnings.extend(publish::warning(&request.host_config));
        spec::check(&request.host_config)?;
        Ok(warnings)
    }

    /// Claims the wished name, or a made-up one.
    fn claim_name(&self, wished: Option<&str>, id: &ContainerId) -> Result<String> {
        if let Some(name) = wished {
            self.table.claim(name, id)?;
            return Ok(name.to_owned());
        }
        for attempt in 0..ATTEMPTS {
            let name = names::generate(random()?, attempt);
            if self.table.claim(&name, id).is_ok() {
                return Ok(name);
            }
        }
        self.table.claim(id.short(), id)?;
        Ok(id.short().to_owned())
    }

    fn record(
        &self,
        id: ContainerId,
        name: String,
        request: ContainerCreate,
        wanted: endpoints::Wanted,
        mounts: Vec<MountPoint>,
        image: &UsedImage,
    ) -> Record {
        let (mut config, host_config) = (request.config, request.host_config);
        let (path, args) = merge::command_line(&config);
        let network = match config.network_disabled {
            true => "none".to_owned(),
            false => wanted.main,
        };
        if config.hostname.is_empty() {
            config.hostname = match network == "host" || host_config.uts_mode == "host" {
                true => host_name(),
                false => id.short().to_owned(),
            };
        }
        config.volumes = config.volumes.filter(|volumes| !volumes.is_empty());
        Record {
            created: now_nano(),
            image_id: image.id.map_or_else(String::new, |id| id.to_string()),
            os: image.platform.os.clone(),
            driver: self.driver_name(),
            endpoint: wanted.own,
            more_endpoints: wanted.more,
            id,
            name,
            path,
            args,
            config,
            host_config,
            network,
            id_map: None,
            mounts,
            old_mounts: None,
            step: false,
        }
    }

    /// Whether a working directory can be one: the image may have something else
    /// there. (That of the image's own configuration is told of at the start.)
    fn check_directory(&self, path: &str, image: &UsedImage) -> Result<()> {
        let Some(root) = self.image_root(image)? else {
            return Ok(());
        };
        let refused = || Error::Failed(format!("Cannot mkdir: {path} is not a directory"));
        match root.open_path(path) {
            Ok(found) => match rustix::fs::fstat(&found) {
                Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_dir() => Err(refused()),
                _ => Ok(()),
            },
            Err(error) if error.errno == Errno::NOTDIR => Err(refused()),
            // It will be made.
            Err(_) => Ok(()),
        }
    }

    /// Opens the container's root directory to its users, as Docker does: archives
    /// often carry for "/" the mode of the private folder that they were made in.
    fn open_root(&self, record: &Record) -> Result<()> {
        let root = self.snapshots.unpack_target(record.id.as_str())?.directory;
        let mode = std::fs::Permissions::from_mode(ROOT_MODE);
        std::fs::set_permissions(&root, mode).map_err(|error| Error::io("chmod", &root, error))
    }

    /// Makes the container's file system and directory, then its row.
    fn make<'a>(
        &'a self,
        record: &mut Record,
        image: &UsedImage,
        volumes: &Held,
        undo: &mut Undo<'a>,
    ) -> Result<()> {
        let id = record.id.clone();
        self.snapshots.create(id.as_str(), image.top.as_deref())?;
        undo.push(move || {
            if let Err(error) = self.snapshots.remove(id.as_str()) {
                tracing::warn!(%id, %error, "cannot remove the file system of a failed creation");
            }
        });
        super::storage::limit(&*self.snapshots, &record.id, &record.host_config)?;
        self.open_root(record)?;
        self.keep_images(record, undo)?;
        self.fill_volumes(record, volumes, image)?;
        let dir = record.dir(&self.settings.data_root);
        make_dir(&dir)?;
        undo.push({
            let dir = dir.clone();
            move || super::remove::remove_dir(&dir)
        });
        self.database.write(|tx| {
            VolumeStore::insert(tx, volumes)?;
            self.insert(tx, record, image)
        })
    }

    /// Writes a container's row, with the ids that it gets.
    fn insert(&self, tx: &Tx<'_>, record: &mut Record, image: &UsedImage) -> Result<()> {
        // Between the look at the image and now it may have been removed.
        if let Some(id) = image.id
            && gantry_metadata::images::get(tx, id)?.is_none()
        {
            return Err(Error::NotFound(format!(
                "No such image: {}",
                record.config.image
            )));
        }
        let (id_map, own) = user_namespace::choose(tx, &record.host_config, &self.settings)?;
        record.id_map = id_map;
        let json =
            |error: serde_json::Error| Error::Corrupt(format!("a container's record: {error}"));
        let row = ContainerRow {
            id: record.id.to_string(),
            name: record.name.clone(),
            image_id: image.id.map(|id| id.to_string()),
            created_at: record.created,
            record: serde_json::to_string(record).map_err(json)?,
            state: serde_json::to_string(&State::created()).map_err(json)?,
        };
        gantry_metadata::containers::insert(tx, &row)?;
        match own {
            Some(ids) => {
                let size = ids.end - ids.start;
                gantry_metadata::id_ranges::insert(tx, &row.id, ids.start, size)?;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn check_platform(
    name: &str,
    image: &UsedImage,
    wanted: Option<&Platform>,
) -> Result<Option<String>> {
    let (have, host) = (&image.platform, Platform::host());
    images::check_platform(name, have, wanted)?;
    match wanted {
        None if !have.matches(&host) => Ok(Some(format!(
            "The requested image's platform ({have}) does not match the detected host platform \
             ({host}) and no specific platform was requested"
        ))),
        _ => Ok(None),
    }
}

/// What Docker says of images that are mounted.
fn image_mounts(points: &[MountPoint]) -> Option<String> {
    let mut points = points.iter();
    let any = points.any(|point| point.snapshot().is_some());
    any.then(|| "Image mount is an experimental feature".to_owned())
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Corrupt(format!("the kernel gives no random numbers: {error}")))?;
    Ok(bytes)
}

/// The host's own name.
fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

/// Makes a container's directory, for root alone.
pub(crate) fn make_dir(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o710)
        .recursive(true)
        .create(dir)
        .map_err(|error| Error::io("create", dir, error))
}
