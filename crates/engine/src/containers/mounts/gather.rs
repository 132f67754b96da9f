//! What is mounted in a new container beyond what its request spells out: what it
//! takes over from other containers, the volumes that it or its image declares,
//! and which image is meant by a name.
//!
//! For one place, later containers win over earlier ones, and what the request
//! says wins over all of them; a declared volume gives way to anything.

use gantry_api::{Config, HostConfig};

use super::mode::{self, Mode};
use super::{MountPoint, Mounted, Volume, clean, long};
use crate::containers::Inner;
use crate::error::{Error, Result};

impl Inner {
    /// Adds all of that to the mounts of a request. `config` is the container's,
    /// with what its image declares.
    ///
    /// # Errors
    /// `Invalid` for containers and images that are not there, too: clients would
    /// take a missing thing for the missing image of the container.
    pub(in super::super) fn gather_mounts(
        &self,
        own: Vec<MountPoint>,
        host: &HostConfig,
        config: &Config,
    ) -> Result<Vec<MountPoint>> {
        let mut all = Vec::new();
        for spec in host.volumes_from.iter().flatten() {
            for point in self.taken_over(spec)? {
                put(&mut all, point);
            }
        }
        for mut point in own {
            if let Mounted::Image(image) = &mut point.what
                && image.layers.is_none()
            {
                let used = self.images.for_new_container(&image.reference);
                let id = used.map_err(absent)?.id;
                image.id = id.map_or_else(String::new, |id| id.to_string());
            }
            put(&mut all, point);
        }
        for (path, _) in config.volumes.iter().flatten() {
            let target = clean(path);
            if !all.iter().any(|point| point.target == target) {
                long::check_target("volume", &target)?;
                all.push(declared(target, &host.volume_driver));
            }
        }
        Ok(all)
    }

    /// What `container[:mode]` of `--volumes-from` stands for: its binds and its
    /// volumes. What is in memory or of an image is the other's alone.
    fn taken_over(&self, spec: &str) -> Result<Vec<MountPoint>> {
        let invalid = |why: &str| Error::Invalid(why.to_owned());
        if spec.is_empty() {
            return Err(invalid(
                "volumes-from specification cannot be an empty string",
            ));
        }
        let (name, words) = spec.split_once(':').unwrap_or((spec, ""));
        let words_read = Mode::parse(words)?;
        if words_read.propagation.is_some() || words_read.no_copy || words_read.owners.is_some() {
            return Err(mode::invalid(words));
        }
        if name.is_empty() {
            return Err(invalid("invalid name or ID supplied: \"\""));
        }
        let other = self.find(name).map_err(absent)?.record();
        let mut points: Vec<MountPoint> = other
            .mounts
            .iter()
            .filter(|point| matches!(point.what, Mounted::Bind(_) | Mounted::Volume(_)))
            .cloned()
            .collect();
        for point in &mut points {
            point.read_only |= words_read.read_only;
            point.mode.clear();
            if let Mounted::Volume(volume) = &mut point.what {
                volume.copy = false;
                volume.taken_over = true;
            }
        }
        Ok(points)
    }
}

/// In place of what was there.
fn put(all: &mut Vec<MountPoint>, point: MountPoint) {
    all.retain(|other| other.target != point.target);
    all.push(point);
}

fn declared(target: String, driver: &str) -> MountPoint {
    MountPoint {
        target,
        read_only: false,
        mode: String::new(),
        what: Mounted::Volume(Volume {
            driver: driver.to_owned(),
            anonymous: true,
            declared: true,
            copy: true,
            ..Volume::default()
        }),
    }
}

fn absent(error: Error) -> Error {
    Error::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_mounts_take_the_place_of_earlier_ones() {
        let mut all = vec![declared("/a".to_owned(), ""), declared("/b".to_owned(), "")];
        put(&mut all, declared("/a".to_owned(), "second"));
        let seen: Vec<_> = all.iter().map(|point| point.target.as_str()).collect();
        assert_eq!(seen, ["/b", "/a"]);
        assert_eq!(all[1].volume().unwrap().driver, "second");
    }
}
