//! How much the cache of builds may take, and what commands of builds may be allowed.

use std::path::Path;

use super::prune::CachePruneQuery;

/// How much of a disk the cache may take. What is 0 is not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSpace {
    /// Bytes that may stay whatever else is said.
    pub reserved: u64,
    /// Most bytes.
    pub max_used: u64,
    /// Bytes of the disk that are to be free.
    pub min_free: u64,
}

impl CacheSpace {
    /// How much of `total` bytes may stay while `free` bytes of the disk are free; `None`
    /// when nothing has to.
    pub(super) fn keep(&self, total: u64, free: u64) -> Option<u64> {
        if *self == Self::default() {
            return None;
        }
        let mut keep = self.max_used;
        let excess = self.min_free.saturating_sub(free);
        if excess > 0 {
            let rest = total.saturating_sub(excess);
            keep = if keep == 0 { rest } else { keep.min(rest) };
        } else if self.min_free != 0 && keep == 0 && self.reserved == 0 {
            // There is room enough.
            keep = total;
        }
        Some(keep.max(self.reserved))
    }
}

/// What the daemon's administrator has decided about builds.
#[derive(Debug, Clone)]
pub struct BuildPolicy {
    /// What goes after each build, rule by rule; Docker's words are `builder.gc`.
    pub rules: Option<Vec<CachePruneQuery>>,
    /// What clients may allow the commands of their builds.
    pub entitlements: Vec<String>,
}

impl Default for BuildPolicy {
    fn default() -> Self {
        Self {
            rules: None,
            entitlements: vec!["network.host".to_owned()],
        }
    }
}

/// The part of the disk that the cache may take, and what it may take at least.
const SHARE: u64 = 10;
const LEAST: u64 = 2 << 30;

/// How much the cache on this disk may take when nobody says: a tenth of it, but not less
/// than 2 GiB.
pub(super) fn usual(data_root: &Path) -> Vec<CachePruneQuery> {
    let disk = rustix::fs::statvfs(data_root);
    let bytes = disk.map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
    vec![CachePruneQuery {
        space: CacheSpace {
            max_used: (bytes / SHARE).max(LEAST),
            ..CacheSpace::default()
        },
        ..CachePruneQuery::default()
    }]
}

/// Bytes of the disk that are free.
pub(super) fn free(directory: &Path) -> u64 {
    let disk = rustix::fs::statvfs(directory);
    disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_counted_as_buildkit_does() {
        let keep = |reserved, max_used, min_free, total, free| {
            let space = CacheSpace {
                reserved,
                max_used,
                min_free,
            };
            space.keep(total, free)
        };
        assert_eq!(keep(0, 0, 0, 100, 5), None);
        assert_eq!(keep(10, 0, 0, 100, 5), Some(10));
        assert_eq!(keep(0, 50, 0, 100, 5), Some(50));
        assert_eq!(keep(0, 50, 25, 100, 5), Some(50));
        assert_eq!(keep(0, 90, 25, 100, 5), Some(80));
        assert_eq!(keep(0, 0, 25, 100, 5), Some(80));
        assert_eq!(keep(85, 0, 25, 100, 5), Some(85));
        assert_eq!(keep(0, 0, 25, 100, 30), Some(100));
    }
}
