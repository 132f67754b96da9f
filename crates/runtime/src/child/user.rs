//! Who the process runs as: numbers of the spec, or names that the container's
//! own `/etc/passwd` and `/etc/group` explain.

use std::io::Read;

use gantry_oci::Process;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{StartError, Step};
use crate::launch::UserRequest;

/// The largest file of users or groups that is read.
const MAX_FILE: u64 = 4 << 20;

/// Ids go up to here.
const MAX_ID: u32 = i32::MAX as u32;

/// Numbers, finally.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub umask: Option<u32>,
}

/// The user of the request, else of the spec. Called inside the container.
pub(super) fn resolve(
    request: Option<&UserRequest<'_>>,
    process: &Process,
) -> Result<User, StartError> {
    let spec = &process.user;
    let Some(request) = request else {
        return Ok(User {
            uid: spec.uid,
            gid: spec.gid,
            groups: spec.additional_gids.clone(),
            umask: spec.umask,
        });
    };
    let passwd = read("/etc/passwd")?;
    let group = read("/etc/group")?;
    let mut user = find(request, &passwd, &group)?;
    user.umask = spec.umask;
    Ok(user)
}

/// A file's text, up to a limit. A missing one is empty, and so is what is none:
/// nothing that the image has put there makes this wait, or opens a device.
fn read(path: &str) -> Result<String, StartError> {
    let fail = |errno| StartError::new(Step::User, errno, path);
    let open = |flags: OFlags| {
        let resolve = ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        match kind {
            FileType::RegularFile => Ok(fd),
            _ => Err(Errno::MEDIUMTYPE),
        }
    };
    // Looked at first, since opening a device may be enough to set it going; and
    // once more, since it may have been swapped.
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = match open(OFlags::PATH).and_then(|_| open(reading)) {
        Ok(fd) => fd,
        Err(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::ACCESS
            | Errno::PERM
            | Errno::NXIO
            | Errno::MEDIUMTYPE,
        ) => return Ok(String::new()),
        Err(errno) => return Err(fail(errno)),
    };
    let mut bytes = Vec::with_capacity(4096);
    std::fs::File::from(fd)
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Looks a user up in the text of a `passwd` and of a `group` file: its number, and
/// that of its group.
///
/// # Errors
/// As [`crate::Launch::spawn`] has for a user that is not there.
pub fn check_user(
    request: &UserRequest<'_>,
    passwd: &str,
    group: &str,
) -> Result<(u32, u32), StartError> {
    find(request, passwd, group).map(|user| (user.uid, user.gid))
}

/// A failure as data: the name, and which file does not have it.
fn unknown(name: &str, what: &str) -> StartError {
    StartError::other(Step::User, name, what)
}

/// A number, if the text is one. Too large a number is an error.
fn number(text: &str) -> Result<Option<u32>, StartError> {
    match text.parse::<u64>() {
        Ok(value) => match u32::try_from(value) {
            Ok(id) if id <= MAX_ID => Ok(Some(id)),
            _ => Err(unknown(text, "range")),
        },
        Err(_) if text.starts_with('-') && text[1..].parse::<u64>().is_ok() => {
            Err(unknown(text, "range"))
        }
        Err(_) => Ok(None),
    }
}

/// The door of the fuzz target: whether these files know these people.
#[cfg(fuzzing)]
pub fn look_up(request: &UserRequest<'_>, passwd: &str, group: &str) -> bool {
    find(request, passwd, group).is_ok()
}

fn find(request: &UserRequest<'_>, passwd: &str, group: &str) -> Result<User, StartError> {
    let (user, wanted_group) = match request.user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (request.user, ""),
    };
    let id = number(user)?;
    // Without a user it is root, however root is called there.
    let known = match (user, id) {
        ("", _) => entry(passwd, |fields| fields[2] == "0"),
        (_, Some(id)) => entry(passwd, |fields| fields[2].parse() == Ok(id)),
        (name, None) => entry(passwd, |fields| fields[0] == name),
    };
    let (uid, mut gid, name) = match (&known, id) {
        (Some(fields), _) => {
            let id = |index: usize| fields[index].parse().unwrap_or(0);
            (id(2), id(3), Some(fields[0]))
        }
        (None, Some(id)) => (id, 0, None),
        (None, None) if user.is_empty() => (0, 0, None),
        (None, None) => return Err(unknown(user, "passwd")),
    };
    let mut groups = Vec::new();
    if wanted_group.is_empty() {
        groups.extend(
            name.map(|name| memberships(group, name))
                .unwrap_or_default(),
        );
    } else {
        gid = group_id(group, wanted_group)?;
    }
    for wanted in request.groups {
        groups.push(group_id(group, wanted)?);
    }
    // The primary group is among them, each once.
    let mut all = vec![gid];
    for id in groups {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    Ok(User {
        uid,
        gid,
        groups: all,
        umask: None,
    })
}

/// The fields of the first line that fits. A line with too few, or whose ids are no
/// numbers, is passed over: nobody becomes root by it.
fn entry(text: &str, fits: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    let lines = text
        .lines()
        .map(|line| line.trim().split(':').collect::<Vec<_>>());
    lines
        .filter(|fields| fields.len() >= 4 && is_id(fields[2]) && is_id(fields[3]))
        .find(|fields| fits(fields))
}

fn is_id(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|id| id <= MAX_ID)
}

fn group_id(group: &str, wanted: &str) -> Result<u32, StartError> {
    if let Some(id) = number(wanted)? {
        return Ok(id);
    }
    let fields = entry_of_group(group, |fields| fields[0] == wanted);
    fields
        .and_then(|fields| fields[2].parse().ok())
        .ok_or_else(|| unknown(wanted, "group"))
}

fn entry_of_group(text: &str, fits: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    let lines = text
        .lines()
        .map(|line| line.trim().split(':').collect::<Vec<_>>());
    lines
        .filter(|fields| fields.len() >= 3 && is_id(fields[2]))
        .find(|fields| fits(fields))
}

/// The groups that list `name` as a member.
fn memberships(group: &str, name: &str) -> Vec<u32> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let member = fields.get(3)?.split(',').any(|member| member == name);
        member.then(|| fields[2].parse().ok())?
    };
    group.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\n# broken\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\naudio:x:63:ann\n";

    fn ids(user: &str, groups: &[&str]) -> Result<(u32, u32, Vec<u32>), (String, String)> {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let request = UserRequest {
            user,
            groups: &groups,
        };
        find(&request, PASSWD, GROUP)
            .map(|u| (u.uid, u.gid, u.groups))
            .map_err(|e| (e.path, e.detail))
    }

    #[test]
    fn users_and_groups_as_people_write_them() {
        assert_eq!(ids("", &[]), Ok((0, 0, vec![0, 10])));
        assert_eq!(ids("ann", &[]), Ok((1000, 100, vec![100, 10, 63])));
        assert_eq!(ids("1000", &[]), Ok((1000, 100, vec![100, 10, 63])));
        assert_eq!(ids("4242", &[]), Ok((4242, 0, vec![0])));
        assert_eq!(ids("ann:wheel", &[]), Ok((1000, 10, vec![10])));
        assert_eq!(
            ids("4242:7", &["audio", "9"]),
            Ok((4242, 7, vec![7, 63, 9]))
        );
        assert_eq!(ids(":100", &[]), Ok((0, 100, vec![100])));
    }

    #[test]
    fn spoilt_lines_make_nobody_root() {
        let passwd =
            "root:x:0:0\n:::\nann:x:abc:7:::\nbob:x:12::::\njoe:x:-1:0\ntom:x:4294967295:0\n";
        let group = "root:x:0:\ncrew:x:xx:ann\n";
        for user in ["ann", "bob", "joe", "tom", "0:crew"] {
            let request = UserRequest { user, groups: &[] };
            assert!(find(&request, passwd, group).is_err(), "{user}");
        }
    }

    #[test]
    fn failures_are_data() {
        let error = |name: &str, what: &str| Err((name.to_owned(), what.to_owned()));
        assert_eq!(ids("bob", &[]), error("bob", "passwd"));
        assert_eq!(ids("ann:nogroup", &[]), error("nogroup", "group"));
        assert_eq!(ids("0", &["nogroup"]), error("nogroup", "group"));
        assert_eq!(ids("2147483648", &[]), error("2147483648", "range"));
        assert_eq!(ids("-1", &[]), error("-1", "range"));
    }
}
