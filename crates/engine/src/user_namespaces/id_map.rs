//! Which ids of the host the ids in a user namespace are.

use gantry_runtime::oci::LinuxIdMapping;
use serde::{Deserialize, Serialize};

/// Who ids without a counterpart seem to be, as the kernel shows them.
pub(crate) const NOBODY: u32 = 65534;

/// The maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Users.
    pub(crate) uids: Vec<LinuxIdMapping>,
    /// Groups.
    pub(crate) gids: Vec<LinuxIdMapping>,
}

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

impl IdMap {
    /// One range for users and groups.
    pub(crate) fn of_range(first: u32, size: u32) -> Self {
        let map = vec![LinuxIdMapping {
            container_id: 0,
            host_id: first,
            size,
        }];
        Self {
            uids: map.clone(),
            gids: map,
        }
    }

    /// The id on the host of one in the container.
    pub(crate) fn to_host(&self, kind: Kind, id: u32) -> Option<u32> {
        self.maps(kind).iter().find_map(|map| {
            let offset = id.checked_sub(map.container_id)?;
            (offset < map.size).then(|| map.host_id.checked_add(offset))?
        })
    }

    /// The id in the container of one on the host; nobody's if it has none.
    pub(crate) fn to_container(&self, kind: Kind, id: u32) -> u32 {
        let found = self.maps(kind).iter().find_map(|map| {
            let offset = id.checked_sub(map.host_id)?;
            (offset < map.size).then(|| map.container_id.checked_add(offset))?
        });
        found.unwrap_or(NOBODY)
    }

    /// Who the container's root is on the host: user and group.
    pub(crate) fn root(&self) -> Option<(u32, u32)> {
        Some((self.to_host(Kind::User, 0)?, self.to_host(Kind::Group, 0)?))
    }

    fn maps(&self, kind: Kind) -> &[LinuxIdMapping] {
        match kind {
            Kind::User => &self.uids,
            Kind::Group => &self.gids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_both_ways() {
        let mut map = IdMap::of_range(100_000, 1000);
        map.uids.push(LinuxIdMapping {
            container_id: 1000,
            host_id: 5,
            size: 1,
        });
        assert_eq!(map.root(), Some((100_000, 100_000)));
        assert_eq!(map.to_host(Kind::User, 999), Some(100_999));
        assert_eq!(map.to_host(Kind::User, 1000), Some(5));
        assert_eq!(map.to_host(Kind::Group, 1000), None);
        assert_eq!(map.to_container(Kind::User, 100_007), 7);
        assert_eq!(map.to_container(Kind::User, 5), 1000);
        assert_eq!(map.to_container(Kind::Group, 5), NOBODY);
    }
}
