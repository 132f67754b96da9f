//! `/etc/subuid` and `/etc/subgid`: lines of `owner:first:count`. Other lines are
//! passed over, and files are read up to a limit.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Longer files are read up to here.
const MAX_FILE: u64 = 4 << 20;

/// The ranges that a file gives to owners, in the file's order.
#[derive(Debug, Default)]
pub(super) struct Subordinate(Vec<(String, Range<u32>)>);

impl Subordinate {
    /// Reads a file; a missing one gives nothing to anybody.
    pub(super) fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        if let Err(error) = read {
            tracing::debug!(path = %path.display(), %error, "no subordinate ids");
        }
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.trim().split(':');
            let owner = fields.next().filter(|owner| !owner.is_empty())?;
            let first: u32 = fields.next()?.trim().parse().ok()?;
            let count: u32 = fields.next()?.trim().parse().ok()?;
            let end = first.checked_add(count).filter(|_| count > 0)?;
            (fields.next().is_none()).then(|| (owner.to_owned(), first..end))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The ranges of whoever has one of these names, lowest first.
    pub(super) fn of(&self, names: &[&str]) -> Vec<Range<u32>> {
        let own = self
            .0
            .iter()
            .filter(|(owner, _)| names.contains(&owner.as_str()));
        let mut ranges: Vec<Range<u32>> = own.map(|(_, range)| range.clone()).collect();
        gantry_types::sort::by_key(&mut ranges, |range| range.start);
        ranges
    }

    /// Everybody's.
    pub(super) fn all(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.iter().map(|(_, range)| range.clone())
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_range_is_passed_over() {
        let text = "ann:300000:10\n# x\n\nann:100000:65536\n:1:1\nbob:5\nbob:x:1\nbob:1:0\n\
            bob:4294967295:2\n1000:7:3:9\n1000:7:3\r\n";
        let file = Subordinate::parse(text);
        assert_eq!(file.of(&["ann"]), [100_000..165_536, 300_000..300_010]);
        assert_eq!(file.of(&["bob"]), []);
        assert_eq!(file.of(&["joe", "1000"]), [7..10]);
        assert_eq!(file.all().count(), 3);
    }
}
