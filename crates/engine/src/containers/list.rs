//! The list of containers, newest first.

use gantry_types::sort::IntoMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_api::{ContainerSummary, Filters, SummaryHostConfig, SummaryNetworkSettings};

use rustix::fs::FileType;

use super::container::Container;
use super::filters::ListFilter;
use super::mounts::MountPoint;
use super::state::State;
use super::{Containers, Inner, inspect, networks, publish, spec};
use crate::clock::now_nano;
use crate::error::Result;

/// Which containers to list, and how.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Those that do not run as well.
    pub all: bool,
    /// At most as many; implies `all`. Zero and less are no limit.
    pub limit: Option<i64>,
    /// With their sizes on disk.
    pub size: bool,
    /// What they must match.
    pub filters: Filters,
}

impl Containers {
    /// Lists containers.
    ///
    /// # Errors
    /// `Invalid` for wrong filters, `NoSuchContainer` for what they name.
    pub fn list(&self, query: &ListQuery) -> Result<Vec<ContainerSummary>> {
        let inner = &self.inner;
        let filter = ListFilter::new(&query.filters, &inner.table, &inner.images)?;
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|&limit| limit > 0);
        let all = query.all || limit.is_some() || filter.wants_stopped();
        let mut containers: Vec<(Arc<Container>, State)> = inner
            .table
            .all()
            .into_iter()
            .map(|container| {
                let state = container.state();
                (container, state)
            })
            .filter(|(container, state)| {
                (all || state.active()) && filter.matches(container, state)
            })
            .collect();
        gantry_types::sort::by_key(&mut containers, |(container, _)| {
            std::cmp::Reverse(container.record().created)
        });
        containers.truncate(limit.unwrap_or(usize::MAX));
        let now = now_nano();
        let mut images = HashMap::new();
        let mut links = inner.link_names();
        Ok(containers
            .iter()
            .map(|(container, state)| {
                let record = container.record();
                let image = (record.config.image.clone(), record.image_id.clone());
                // Many containers are of few images.
                let image = images
                    .entry(image)
                    .or_insert_with_key(|(name, id)| inner.images.shown_as(name, id));
                let mut summary = inner.summary(container, state, image, query.size, now);
                summary
                    .names
                    .extend(links.remove(&summary.id).unwrap_or_default());
                summary.names.sort_unstable();
                summary
            })
            .collect())
    }
}

impl Containers {
    /// What each container takes on the disk, by id.
    pub(crate) fn disk_usage(&self) -> BTreeMap<String, u64> {
        let all = self.inner.table.all().into_iter();
        all.map(|container| (container.id().to_string(), self.inner.disk(&container)))
            .into_map()
    }
}

impl Inner {
    fn summary(
        &self,
        container: &Container,
        state: &State,
        image: &str,
        size: bool,
        now: i64,
    ) -> ContainerSummary {
        let record = &container.record();
        let (size_rw, size_root_fs) = match size {
            true => self.sizes(container),
            false => (0, 0),
        };
        ContainerSummary {
            id: record.id.to_string(),
            names: vec![format!("/{}", container.name())],
            image: image.to_owned(),
            image_id: record.image_id.clone(),
            command: command(&record.path, &record.args),
            created: record.created / 1_000_000_000,
            ports: publish::list(record, state),
            size_rw,
            size_root_fs,
            labels: Some(record.config.labels.clone().unwrap_or_default()),
            state: state.word().to_owned(),
            status: state.sentence(now),
            host_config: SummaryHostConfig {
                network_mode: record.host_config.network_mode.clone(),
                annotations: record.host_config.annotations.clone(),
            },
            network_settings: SummaryNetworkSettings {
                networks: networks::by_name(record, state),
            },
            mounts: inspect::mounts(record),
        }
    }

    /// Bytes that the container wrote.
    pub(super) fn written(&self, container: &Container) -> u64 {
        let id = container.id().as_str();
        let usage = self.snapshots.usage(id).map_or(0, |usage| usage.bytes);
        usage.saturating_sub(self.scaffold(id).unwrap_or(0))
    }

    /// Bytes on the disk that go with the container: what it wrote, its logs and its
    /// own files.
    pub(super) fn disk(&self, container: &Container) -> u64 {
        let record = container.record();
        let claimed = record.mounts.iter().filter_map(MountPoint::snapshot);
        let keys = claimed.chain([container.id().as_str()]);
        let systems: u64 = keys.filter_map(|key| self.snapshots.disk(key).ok()).sum();
        let own = gantry_archive::disk_usage(&record.dir(&self.settings.data_root));
        systems + own.unwrap_or(0)
    }

    /// Bytes of the link that the runtime put there; its files are empty.
    fn scaffold(&self, id: &str) -> Option<u64> {
        let layer = self.snapshots.unpack_target(id).ok()?.directory;
        let root = gantry_sys::RootDir::open(&layer).ok()?;
        let link = root.symlink_metadata(spec::MTAB).ok()?;
        let is_link = FileType::from_raw_mode(link.st_mode) == FileType::Symlink;
        is_link.then(|| u64::try_from(link.st_size).unwrap_or(0))
    }

    /// Bytes that the container wrote, and bytes of all its files.
    pub(super) fn sizes(&self, container: &Container) -> (i64, i64) {
        let written = i64::try_from(self.written(container)).unwrap_or(i64::MAX);
        let image = self.images.size(&container.record().image_id);
        (written, written.saturating_add(image))
    }
}

/// Path and arguments; those with a space are quoted, as Docker does.
fn command(path: &str, args: &[String]) -> String {
    let mut command = path.to_owned();
    for argument in args {
        command.push(' ');
        match argument.contains(' ') {
            true => command.push_str(&format!("'{argument}'")),
            false => command.push_str(argument),
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let args = ["-c", "echo hi"].map(str::to_owned);
        assert_eq!(command("sh", &args), "sh -c 'echo hi'");
    }
}
