//! `--userns auto`: which ids are there to be given to single containers.

use std::ops::Range;
use std::path::Path;

use super::IdMap;
use super::subordinate::Subordinate;
use crate::error::{Error, Result};

/// Whose lines in `/etc/subuid` and `/etc/subgid` are the pool.
const OWNER: &str = "gantry";

/// The pool without such lines: the upper end of what systemd sets apart for
/// containers. 4096 containers of the usual size find room in it.
const POOL: Range<u32> = 0x6000_0000..0x7000_0000;

/// How many ids a container has that does not say.
const SIZE: u32 = 65536;

/// What `--userns auto` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Auto {
    pub(crate) size: u32,
}

impl Auto {
    /// Reads `auto` and `auto:size=N`; `None` for other modes.
    ///
    /// # Errors
    /// `Invalid` for other options.
    pub(crate) fn parse(mode: &str) -> Result<Option<Self>> {
        let options = match mode.strip_prefix("auto") {
            Some("") => return Ok(Some(Self { size: SIZE })),
            Some(rest) => rest.strip_prefix(':'),
            None => None,
        };
        let Some(options) = options else {
            return Ok(None);
        };
        let mut auto = Self { size: SIZE };
        for option in options.split(',') {
            let size = option.strip_prefix("size=").and_then(|n| n.parse().ok());
            auto.size = size
                .filter(|size| (1..=POOL.end - POOL.start).contains(size))
                .ok_or_else(|| {
                    let text = format!("invalid user namespace mode: {mode}: unknown \"{option}\"");
                    Error::Invalid(text)
                })?;
        }
        Ok(Some(auto))
    }
}

/// The ids that can be given away: never those that `/etc/subuid` gives to
/// others, nor those of `remap`.
pub(crate) fn pool(remap: Option<&IdMap>) -> Vec<Range<u32>> {
    let [uids, gids] =
        ["/etc/subuid", "/etc/subgid"].map(|path| Subordinate::read(Path::new(path)));
    let (own_uids, own_gids) = (uids.of(&[OWNER]), gids.of(&[OWNER]));
    let maps = remap
        .iter()
        .flat_map(|map| map.uids.iter().chain(&map.gids));
    let remapped = maps.map(|map| map.host_id..map.host_id.saturating_add(map.size));
    if !own_uids.is_empty() {
        let taken: Vec<_> = remapped.collect();
        return without(&shared(&own_uids, &own_gids), &taken);
    }
    let taken: Vec<_> = uids.all().chain(gids.all()).chain(remapped).collect();
    without(&[POOL], &taken)
}

/// What is in both.
fn shared(a: &[Range<u32>], b: &[Range<u32>]) -> Vec<Range<u32>> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    pairs
        .map(|(a, b)| a.start.max(b.start)..a.end.min(b.end))
        .filter(|range| !range.is_empty())
        .collect()
}

/// The parts of `pool` that are not in `taken`.
fn without(pool: &[Range<u32>], taken: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut free = pool.to_vec();
    for taken in taken {
        let cut = |part: &Range<u32>| {
            [
                part.start..part.end.min(taken.start),
                part.start.max(taken.end)..part.end,
            ]
        };
        free = free
            .iter()
            .flat_map(cut)
            .filter(|r| !r.is_empty())
            .collect();
    }
    free
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let size = |mode| Auto::parse(mode).unwrap().map(|auto| auto.size);
        assert_eq!(size("auto"), Some(SIZE));
        assert_eq!(size("auto:size=1000"), Some(1000));
        assert_eq!(size("automatic"), None);
        assert_eq!(size("host"), None);
        for wrong in [
            "auto:",
            "auto:size=0",
            "auto:size=x",
            "auto:uidmapping=0:1:1",
        ] {
            assert!(Auto::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_elses_ids_are_given_away() {
        assert_eq!(without(&[10..20], &[]), [10..20]);
        assert_eq!(without(&[10..20], &[12..14, 18..30]), [10..12, 14..18]);
        assert_eq!(without(&[10..20, 30..40], &[5..35]), [35..40]);
        assert_eq!(without(&[10..20], &[0..50]), []);
        assert_eq!(shared(&[0..10, 20..30], &[5..25]), [5..10, 20..25]);
    }
}
