//! Groups by name, without libc's name services (the binary is static).

use std::path::Path;

use rustix::fs::Gid;

use super::ListenError;

/// The group that Docker's socket belongs to.
const DEFAULT: &str = "docker";

/// The group that gets the socket: the named one, or `docker` where it exists,
/// or none.
///
/// # Errors
/// When a named group does not exist.
pub(super) fn socket_group(named: Option<&str>) -> Result<Option<Gid>, ListenError> {
    let wanted = named.unwrap_or(DEFAULT);
    if wanted.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = wanted.parse() {
        return Ok(Some(Gid::from_raw(number)));
    }
    let found = find(Path::new("/etc/group"), wanted);
    match (found, named) {
        (Some(gid), _) => Ok(Some(Gid::from_raw(gid))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ListenError::UnknownGroup(wanted.to_owned())),
    }
}

fn find(file: &Path, name: &str) -> Option<u32> {
    let text = std::fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        found.then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("group");
        std::fs::write(&file, "root:x:0:\nbad\ndocker:x:998:a,b\n").unwrap();
        assert_eq!(find(&file, "docker"), Some(998));
        assert_eq!(find(&file, "bad"), None);
        assert_eq!(find(&file, "dock"), None);
    }

    #[test]
    fn a_named_group_must_exist() {
        assert!(socket_group(Some("no-such-group-here")).is_err());
        assert_eq!(socket_group(Some("12")).unwrap(), Some(Gid::from_raw(12)));
        assert_eq!(socket_group(Some("")).unwrap(), None);
    }
}
