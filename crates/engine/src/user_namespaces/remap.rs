//! The daemon's option `userns-remap`: whose subordinate ids all containers have.

use std::ops::Range;
use std::path::Path;

use gantry_runtime::oci::LinuxIdMapping;

use super::IdMap;
use super::subordinate::Subordinate;

/// Whose ids `default` means, as in Docker, which adds this user to the system.
const DEFAULT: &str = "dockremap";

/// The ids of `default` where there is no such user.
const BUILT_IN: u32 = 0x5fff_0000;
const BUILT_IN_SIZE: u32 = 65536;

/// The most lines that the kernel takes.
const MAX_LINES: usize = 340;

impl IdMap {
    /// The map of `default`, `user`, `user:group`, `uid` or `uid:gid`.
    ///
    /// # Errors
    /// In words, when there is no such user or it has no subordinate ids.
    pub fn of_remap(text: &str) -> Result<Self, String> {
        let read = |name: &str| Subordinate::read(&Path::new("/etc").join(name));
        let files = [read("subuid"), read("subgid")];
        let names =
            |name: &str| std::fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
        resolve(text, &files, &names("passwd"), &names("group"))
    }
}

fn resolve(
    text: &str,
    [uids, gids]: &[Subordinate; 2],
    passwd: &str,
    group: &str,
) -> Result<IdMap, String> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) if !user.is_empty() && !group.is_empty() => (user, Some(group)),
        Some(_) => return Err(format!("invalid user/group specification: {text}")),
        None => (text, None),
    };
    if text == "default" {
        let own = (uids.of(&[DEFAULT]), gids.of(&[DEFAULT]));
        if own.0.is_empty() || own.1.is_empty() {
            return Ok(IdMap::of_range(BUILT_IN, BUILT_IN_SIZE));
        }
        return Ok(IdMap {
            uids: maps(&own.0),
            gids: maps(&own.1),
        });
    }
    let (user, uid) = entry(passwd, user)
        .ok_or_else(|| format!("unable to find user {user}: no matching entries in passwd file"))?;
    let (group, gid) = match wanted_group {
        Some(name) => entry(group, name).ok_or_else(|| {
            format!("unable to find group {name}: no matching entries in group file")
        })?,
        // The group of the user's name, as Docker has it.
        None => (user.clone(), uid.clone()),
    };
    let missing = |kind: &str, of: &str| {
        format!("no sub{kind} ranges found for user \"{of}\" in /etc/sub{kind}")
    };
    let own_uids = uids.of(&[&user, &uid]);
    let own_gids = gids.of(&[&group, &gid]);
    if own_uids.is_empty() {
        return Err(missing("uid", &user));
    }
    if own_gids.is_empty() {
        return Err(missing("gid", &group));
    }
    Ok(IdMap {
        uids: maps(&own_uids),
        gids: maps(&own_gids),
    })
}

/// Name and number of a user or group that is given by either.
fn entry(text: &str, wanted: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        let fits = name == wanted || id == wanted;
        fits.then(|| (name.to_owned(), id.to_owned()))
    })
}

/// The ranges one after another, from the container's root on.
fn maps(ranges: &[Range<u32>]) -> Vec<LinuxIdMapping> {
    let mut next = 0u32;
    let map = |range: &Range<u32>| {
        let size = range.end - range.start;
        let map = LinuxIdMapping {
            container_id: next,
            host_id: range.start,
            size,
        };
        next = next.checked_add(size)?;
        Some(map)
    };
    ranges.iter().take(MAX_LINES).map_while(map).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Result<(u32, u32, usize), String> {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Subordinate::read(&path)
        };
        let files = [
            read("u", "ann:200000:10\nann:100000:65536\n1001:300000:65536\n"),
            read("g", "ann:110000:65536\nstaff:120000:65536\n"),
        ];
        let passwd = "root:x:0:0::/:/\nann:x:1000:1000::/:/\nbob:x:1001:50::/:/\n";
        let group = "ann:x:1000:\nstaff:x:50:\n";
        let map = resolve(text, &files, passwd, group)?;
        let (uid, gid) = map.root().unwrap();
        Ok((uid, gid, map.uids.len()))
    }

    #[test]
    fn users_and_groups_by_name_and_number() {
        assert_eq!(map("ann"), Ok((100_000, 110_000, 2)));
        assert_eq!(map("1000"), Ok((100_000, 110_000, 2)));
        assert_eq!(map("ann:staff"), Ok((100_000, 120_000, 2)));
        assert_eq!(map("1001:50"), Ok((300_000, 120_000, 1)));
        assert_eq!(map("default"), Ok((BUILT_IN, BUILT_IN, 1)));
    }

    #[test]
    fn who_has_none_is_told() {
        for (text, part) in [
            ("joe", "unable to find user joe"),
            ("ann:wheel", "unable to find group wheel"),
            ("root", "no subuid ranges found for user \"root\""),
            ("bob", "no subgid ranges found for user \"bob\""),
            (":", "invalid user/group"),
        ] {
            let error = map(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
