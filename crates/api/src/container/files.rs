//! Bodies about the files of a container: `archive` and `changes`.

use serde::{Deserialize, Serialize};

/// The header that tells what a path of a container is: this, as JSON, in base64.
pub const PATH_STAT_HEADER: &str = "x-docker-container-path-stat";

/// What a path of a container is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Kind and permissions, as Go numbers them (see [`go_mode`]).
    pub mode: u32,
    /// When it changed, as RFC 3339.
    pub mtime: String,
    /// Where a symbolic link leads to in the end.
    pub link_target: String,
}

/// What happened to a path of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilesystemChange {
    /// The path, with a leading slash.
    pub path: String,
    /// 0: changed; 1: added; 2: deleted.
    pub kind: u8,
}

/// A mode of Linux (`st_mode`) as Go's `os.FileMode`.
pub fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => (1 << 26) | (1 << 21),
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let bit = |linux: u32, go: u32| if mode & linux == 0 { 0 } else { 1 << go };
    kind | bit(0o4000, 23) | bit(0o2000, 22) | bit(0o1000, 20) | (mode & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_that_docker_sent() {
        for (linux, go) in [
            (0o100_600, 384),
            (0o120_777, 134_218_239),
            (0o040_755, 2_147_484_141),
            (0o010_644, 33_554_852),
            (0o041_777, (1 << 31) | (1 << 20) | 0o777),
            (0o104_755, (1 << 23) | 0o755),
        ] {
            assert_eq!(go_mode(linux), go, "{linux:o}");
        }
    }
}
