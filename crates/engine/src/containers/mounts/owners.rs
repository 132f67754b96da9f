//! Whose the files of a bind are for the container: `owner=` and `idmap=`, beyond what
//! Docker has. The kernel shows other owners than those on the disk, both ways; on the
//! disk a user's files stay the user's.
//!
//! ```text
//! owner=UID[.GID]      the source's owner is UID there, and all others stay who they are
//! idmap=uids=D-C-N#…[;gids=…]   N ids from D on the disk are those from C there
//! idmap                on the disk there are the ids that the container sees
//! ```
//!
//! Who would be two on one side is nobody: a container's user that is not the owner
//! never becomes, on the disk, the one whose number the owner has given up.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_runtime::defaults;
use gantry_runtime::oci::{LinuxIdMapping, Mount};
use serde::{Deserialize, Serialize};

use super::{Below, Bind, MountPoint};
use crate::error::{Error, Result};
use crate::user_namespaces::{IdMap, Kind};

/// The kernel's bound of a map.
const MOST_RANGES: usize = 340;

/// Whose the files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owners {
    /// The source's owner is this one.
    Owner(u32, u32),
    /// These are those, users and groups.
    Map(Vec<Range>, Vec<Range>),
    /// The disk has the container's ids.
    Container,
}

/// Ids on the disk, in the container, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range(u32, u32, u32);

impl Owners {
    /// Reads a word of `-v` or of an annotation; `None` if it is about something else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of_word(word: &str) -> Option<Result<Self>> {
        let read = match word.split_once('=').unwrap_or((word, "")) {
            ("owner", text) => owner(text),
            ("idmap", "" | "container") => Some(Self::Container),
            ("idmap", text) => map(text),
            _ => return None,
        };
        Some(read.ok_or_else(|| Error::Invalid(format!("invalid owners of a mount: {word}"))))
    }

    /// The maps of a mount, as the kernel wants them: ids on the disk, and ids of the
    /// host that stand for them.
    fn maps(
        &self,
        source: (u32, u32),
        ids: Option<&IdMap>,
    ) -> Option<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)> {
        let seen = |kind, id| ids.map_or(Some(id), |map| map.to_host(kind, id));
        match self {
            Self::Owner(uid, gid) => Some((
                moved(source.0, seen(Kind::User, *uid)?),
                moved(source.1, seen(Kind::Group, *gid)?),
            )),
            Self::Map(uids, gids) => {
                let ranges = |kind, ranges: &[Range]| -> Option<Vec<LinuxIdMapping>> {
                    let one = |range: &Range| {
                        let last = range.1.checked_add(range.2 - 1)?;
                        let first = seen(kind, range.1)?;
                        // A range may not leave what the container has.
                        (seen(kind, last)? == first + (range.2 - 1))
                            .then(|| mapping(range.0, first, range.2))
                    };
                    ranges.iter().map(one).collect()
                };
                Some((ranges(Kind::User, uids)?, ranges(Kind::Group, gids)?))
            }
            Self::Container => ids.map(|map| (map.uids.clone(), map.gids.clone())),
        }
    }
}

fn mapping(disk: u32, seen: u32, size: u32) -> LinuxIdMapping {
    LinuxIdMapping {
        container_id: disk,
        host_id: seen,
        size,
    }
}

/// All ids as they are, but that `disk` is `seen`.
fn moved(disk: u32, seen: u32) -> Vec<LinuxIdMapping> {
    let (low, high) = (disk.min(seen), disk.max(seen));
    let mut all = vec![mapping(disk, seen, 1)];
    let mut same = |first: u32, end: u32| {
        if first < end {
            all.push(mapping(first, first, end - first));
        }
    };
    same(0, low);
    same(low.saturating_add(1), high);
    // The last id is no id.
    same(high.saturating_add(1), u32::MAX);
    all
}

fn owner(text: &str) -> Option<Owners> {
    let (uid, gid) = text.split_once(['.', ':']).unwrap_or((text, text));
    let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
    Some(Owners::Owner(id(uid)?, id(gid)?))
}

fn map(text: &str) -> Option<Owners> {
    let (mut uids, mut gids) = (None, None);
    for part in text.split(';') {
        let (key, list) = part.split_once('=')?;
        let place = match key {
            "uids" => &mut uids,
            "gids" => &mut gids,
            _ => return None,
        };
        if place.replace(ranges(list)?).is_some() {
            return None;
        }
    }
    let uids: Vec<Range> = uids.or_else(|| gids.clone())?;
    let gids = gids.unwrap_or_else(|| uids.clone());
    Some(Owners::Map(uids, gids))
}

fn ranges(list: &str) -> Option<Vec<Range>> {
    let mut all: Vec<Range> = Vec::new();
    for text in list.split('#') {
        let mut numbers = text.split('-').map(|number| number.parse::<u32>().ok());
        let range = Range(numbers.next()??, numbers.next()??, numbers.next()??);
        let ends = |first: u32| first.checked_add(range.2);
        if range.2 == 0 || numbers.next().is_some() || ends(range.0).or(ends(range.1)).is_none() {
            return None;
        }
        let (disk, seen) = (ends(range.0)?, ends(range.1)?);
        let meets = |other: &Range| {
            (range.0 < other.0 + other.2 && other.0 < disk)
                || (range.1 < other.1 + other.2 && other.1 < seen)
        };
        if all.iter().any(meets) {
            return None;
        }
        all.push(range);
    }
    (all.len() <= MOST_RANGES).then_some(all)
}

/// The mount of a bind that shows other owners.
///
/// # Errors
/// `Start` when its source is not there, or ids are none that the container has.
pub(super) fn ready(
    point: &MountPoint,
    bind: &Bind,
    owners: &Owners,
    ids: Option<&IdMap>,
) -> Result<Mount> {
    let failed = |why: &str| Error::spec(format!("bind source {}: {why}", bind.source));
    let found = Path::new(&bind.source).metadata();
    let found = found.map_err(|error| failed(&super::ready::strerror(&error)))?;
    let maps = owners.maps((found.uid(), found.gid()), ids);
    let (uids, gids) = maps.ok_or_else(|| {
        failed(match owners {
            Owners::Container => "idmap without a map needs a container with a user namespace",
            _ => "its owners are none that the container has",
        })
    })?;
    let mut options = vec![match bind.non_recursive {
        true => "bind",
        false => "rbind",
    }];
    if point.read_only {
        options.push("ro");
        if bind.below != Below::Writable {
            options.push("rro");
        }
    }
    options.extend(["idmap", &bind.propagation]);
    let mut mount = defaults::mount(&point.target, "bind", &bind.source, &options);
    (mount.uid_mappings, mount.gid_mappings) = (uids, gids);
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> Owners {
        Owners::of_word(word).unwrap().unwrap()
    }

    fn triples(maps: &[LinuxIdMapping]) -> Vec<(u32, u32, u32)> {
        let each = maps.iter().map(|m| (m.container_id, m.host_id, m.size));
        each.collect()
    }

    #[test]
    fn words_are_read() {
        assert_eq!(read("owner=7"), Owners::Owner(7, 7));
        assert_eq!(read("owner=7.8"), Owners::Owner(7, 8));
        assert_eq!(read("owner=7:8"), Owners::Owner(7, 8));
        assert_eq!(read("idmap"), Owners::Container);
        let one = vec![Range(1000, 0, 1)];
        let two = vec![Range(1000, 0, 1), Range(5, 9, 3)];
        assert_eq!(
            read("idmap=uids=1000-0-1"),
            Owners::Map(one.clone(), one.clone())
        );
        let both = read("idmap=gids=1000-0-1;uids=1000-0-1#5-9-3");
        assert_eq!(both, Owners::Map(two, one));
        assert!(Owners::of_word("ro").is_none());
        for wrong in [
            "owner",
            "owner=",
            "owner=x",
            "owner=-1",
            "owner=1.2.3",
            "owner=4294967295",
            "idmap=1",
            "idmap=uids=",
            "idmap=uids=1-2",
            "idmap=uids=1-2-0",
            "idmap=uids=1-2-3-4",
            "idmap=uids=1-1-5#3-9-1",
            "idmap=uids=1-1-5#9-3-1",
            "idmap=uids=1-1-1;uids=2-2-1",
            "idmap=uids=4294967295-0-2",
        ] {
            assert!(Owners::of_word(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_owner_takes_nobody_elses_place() {
        let (uids, gids) = read("owner=0.7").maps((1000, 7), None).unwrap();
        let last = u32::MAX - 1001;
        assert_eq!(
            triples(&uids),
            [(1000, 0, 1), (1, 1, 999), (1001, 1001, last)]
        );
        assert_eq!(triples(&gids), [(7, 7, 1), (0, 0, 7), (8, 8, u32::MAX - 8)]);
        let ids = IdMap::of_range(100_000, 65_536);
        let (uids, _) = read("owner=5").maps((1000, 1000), Some(&ids)).unwrap();
        assert_eq!(triples(&uids)[0], (1000, 100_005, 1));
        assert!(read("owner=70000").maps((1, 1), Some(&ids)).is_none());
        assert!(read("idmap").maps((1, 1), None).is_none());
        let (uids, _) = read("idmap=uids=1000-1-5")
            .maps((1, 1), Some(&ids))
            .unwrap();
        assert_eq!(triples(&uids), [(1000, 100_001, 5)]);
        assert!(
            read("idmap=uids=0-65530-10")
                .maps((1, 1), Some(&ids))
                .is_none()
        );
    }
}
