//! Commits, tags and trees: what is needed of them.

use crate::error::{Error, Result};
use crate::id::ObjectId;

/// The longest commit or tag, and the longest tree.
pub(crate) const MAX_TEXT: u64 = 4 << 20;
pub(crate) const MAX_TREE: u64 = 16 << 20;

/// What a commit has.
pub(crate) struct Commit {
    pub(crate) tree: ObjectId,
    /// Seconds since 1970.
    pub(crate) time: i64,
}

impl Commit {
    pub(crate) fn read(text: &[u8]) -> Result<Self> {
        let tree = field(text, "tree").and_then(|hex| ObjectId::parse(&hex));
        let tree = tree.ok_or_else(|| Error::damaged("a commit without a tree"))?;
        // `committer NAME <ADDRESS> SECONDS ZONE`.
        let time = field(text, "committer").and_then(|line| {
            let behind = line.rsplit('>').next()?;
            behind.split_whitespace().next()?.parse().ok()
        });
        Ok(Self {
            tree,
            time: time.unwrap_or(0),
        })
    }
}

/// The object that a tag names.
pub(crate) fn tagged(text: &[u8]) -> Result<ObjectId> {
    let object = field(text, "object").and_then(|hex| ObjectId::parse(&hex));
    object.ok_or_else(|| Error::damaged("a tag of nothing"))
}

/// A line of the head of a commit or a tag.
fn field(text: &[u8], name: &str) -> Option<String> {
    let mut head = text.split(|byte| *byte == b'\n');
    let line = head.by_ref().take_while(|line| !line.is_empty());
    line.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b" "))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .next()
}

/// What stands in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Directory,
    File,
    Program,
    Link,
    /// A commit of another repository.
    Submodule,
}

/// One line of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sort: Sort,
    pub(crate) name: Vec<u8>,
    pub(crate) id: ObjectId,
}

/// All lines of a tree; names that could lead elsewhere are refused.
pub(crate) fn lines(tree: &[u8]) -> Result<Vec<Line>> {
    let wrong = || Error::damaged("a tree makes no sense");
    let mut rest = tree;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let space = rest
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(wrong)?;
        let mode = std::str::from_utf8(&rest[..space]).map_err(|_| wrong())?;
        let mode = u32::from_str_radix(mode, 8).map_err(|_| wrong())?;
        rest = &rest[space + 1..];
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(wrong)?;
        let name = &rest[..end];
        let id = rest
            .get(end + 1..end + 1 + ObjectId::LENGTH)
            .ok_or_else(wrong)?;
        rest = &rest[end + 1 + ObjectId::LENGTH..];
        check_name(name)?;
        lines.push(Line {
            sort: match mode & 0o170_000 {
                0o040_000 => Sort::Directory,
                0o100_000 if mode & 0o100 != 0 => Sort::Program,
                0o100_000 => Sort::File,
                0o120_000 => Sort::Link,
                0o160_000 => Sort::Submodule,
                _ => return Err(wrong()),
            },
            name: name.to_vec(),
            id: ObjectId::from_bytes(id).ok_or_else(wrong)?,
        });
    }
    Ok(lines)
}

/// As git itself: what is called `.git` in any case is nobody's.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    let bad = name.is_empty()
        || name == b"."
        || name == b".."
        || name.contains(&b'/')
        || name.contains(&0)
        || name.eq_ignore_ascii_case(b".git");
    match bad {
        false => Ok(()),
        true => {
            let name = String::from_utf8_lossy(name);
            Err(Error::damaged(format!("a file is called {name:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_name_only_what_is_in_them() {
        let line = |mode: &str, name: &str| {
            let mut line = format!("{mode} {name}\0").into_bytes();
            line.extend_from_slice(&[7; 20]);
            line
        };
        let tree = [
            line("100755", "a b"),
            line("40000", "d"),
            line("120000", "l"),
        ]
        .concat();
        let found = lines(&tree).unwrap();
        let sorts: Vec<Sort> = found.iter().map(|line| line.sort).collect();
        assert_eq!(sorts, [Sort::Program, Sort::Directory, Sort::Link]);
        assert_eq!(found[0].name, b"a b");
        for name in ["", ".", "..", ".git", ".GIT", "a/b"] {
            assert!(lines(&line("100644", name)).is_err(), "{name}");
        }
        assert!(lines(&line("60000", "device")).is_err());
        assert!(lines(&tree[..tree.len() - 1]).is_err());
    }

    #[test]
    fn commits_have_a_tree_and_a_time() {
        let text = b"tree ce013625030ba8dba906f756967f9e9ca394464a\nauthor A <a> 1 +0000\n\
            committer B > <b@c> 1700000000 +0100\n\ncommitter C <c> 9 +0000\n";
        let commit = Commit::read(text).unwrap();
        assert_eq!(commit.time, 1_700_000_000);
        assert!(Commit::read(b"parent x\n\ntree y\n").is_err());
    }
}
