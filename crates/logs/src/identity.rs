//! Which file it is, whatever its name: it moves when the log rotates, and
//! changes its form when it is compressed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// What the comment in a compressed file's header begins with.
const MARK: &str = "gantry log ";

/// The file's number, and when it was made where the file system knows: numbers
/// are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    born: u128,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            inode: metadata.ino(),
            born: born.map_or(0, |since| since.as_nanos()),
        }
    }

    /// Whether it was made later; never true where nothing is known.
    pub(crate) fn is_after(self, other: Self) -> bool {
        self.born > other.born && other.born != 0
    }

    pub(crate) fn to_comment(self) -> String {
        format!("{MARK}{} {}", self.inode, self.born)
    }

    /// The file that was compressed, if a header says so.
    pub(crate) fn from_comment(comment: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(comment).ok()?.strip_prefix(MARK)?;
        let (inode, born) = text.split_once(' ')?;
        Some(Self {
            inode: inode.parse().ok()?,
            born: born.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_read_back() {
        let file = tempfile::tempfile().unwrap();
        let identity = Identity::of(&file.metadata().unwrap());
        let comment = identity.to_comment();
        assert_eq!(Identity::from_comment(comment.as_bytes()), Some(identity));
        for foreign in ["", "gantry log ", "gantry log 1", "gantry log x 1", "other"] {
            assert_eq!(Identity::from_comment(foreign.as_bytes()), None);
        }
    }
}
