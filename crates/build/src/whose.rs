//! To whom copied files belong, and with which permissions: `--chown` and `--chmod`.

use gantry_runtime::UserRequest;
use gantry_sys::RootDir;

use crate::graph::Mode;
use crate::{Error, Result};

/// The longest `passwd` or `group` that is read.
const MAX_FILE: u64 = 10 << 20;

/// The numbers of `user[:group]` by the files of the tree.
pub(crate) fn who(root: &RootDir, owner: &str) -> Result<(u32, u32)> {
    if owner.is_empty() {
        return Ok((0, 0));
    }
    // Without a user it is root's, whatever the group.
    let whole;
    let owner = match owner.strip_prefix(':') {
        Some(group) => {
            whole = format!("0:{group}");
            whole.as_str()
        }
        None => owner,
    };
    let read = |path: &str| {
        let bytes = root.read(path, MAX_FILE).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let request = UserRequest {
        user: owner,
        groups: &[],
    };
    let found = gantry_runtime::check_user(&request, &read("etc/passwd"), &read("etc/group"));
    // A number alone is the group's number too.
    let group = owner.parse::<u32>().ok().filter(|_| !owner.contains(':'));
    found
        .map(|(uid, gid)| (uid, group.unwrap_or(gid)))
        .map_err(|_| {
            let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
            if !group.is_empty() && who(root, user).is_ok() {
                return Error::Failed(format!(
                    "unable to convert uid/gid chown string to host mapping: can't find gid for \
                     group {group}: no such group: {group}"
                ));
            }
            Error::Failed(format!(
                "unable to convert uid/gid chown string to host mapping: can't find uid for user \
                 {user}: no such user: {user}"
            ))
        })
}

/// The same as BuildKit sees it: a name that the tree does not know is root's.
pub(crate) fn anyone(root: &RootDir, owner: &str) -> (u32, u32) {
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let (uid, own) = who(root, user).unwrap_or((0, 0));
    match group {
        "" => (uid, own),
        group => (
            uid,
            who(root, &format!("0:{group}")).map_or(own, |(_, gid)| gid),
        ),
    }
}

/// The permissions that `mode` makes of old ones.
pub(crate) fn changed(mode: &Mode, old: u32, directory: bool) -> u32 {
    match mode {
        Mode::Octal(mode) => *mode,
        Mode::Symbolic(text) => symbolic(text, old, directory).unwrap_or(old),
    }
}

/// As `chmod` has it; `None` for what is wrong.
pub(crate) fn symbolic(text: &str, old: u32, directory: bool) -> Option<u32> {
    let mut mode = old;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let (people, rest) = clause.split_at(at);
        let mut who = 0;
        for c in people.chars() {
            who |= match c {
                'u' => 0o5700,
                'g' => 0o3070,
                'o' => 0o0007,
                'a' => 0o7777,
                _ => return None,
            };
        }
        if people.is_empty() {
            who = 0o7777;
        }
        let (operator, letters) = rest.split_at(1);
        let mut bits = 0;
        for c in letters.chars() {
            bits |= match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if directory || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            };
        }
        let bits = bits & who;
        mode = match operator {
            "+" => mode | bits,
            "-" => mode & !bits,
            _ => (mode & !(who & 0o777)) | bits,
        };
    }
    Some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_changes_them() {
        for (text, old, directory, new) in [
            ("u+x", 0o644, false, Some(0o744)),
            ("go=r", 0o777, false, Some(0o744)),
            ("a+X", 0o644, false, Some(0o644)),
            ("a+X", 0o644, true, Some(0o755)),
            ("u=rwX,go=rX", 0o600, true, Some(0o755)),
            ("-w", 0o666, false, Some(0o444)),
            ("o+t,u+s", 0o644, false, Some(0o4644)),
            ("u~x", 0o644, false, None),
        ] {
            assert_eq!(symbolic(text, old, directory), new, "{text}");
        }
    }
}
