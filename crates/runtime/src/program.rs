//! The program to run: arguments and environment for `execve`, and how it is
//! found. Prepared before the fork, so that a bad spec makes no process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CStr, CString};

use gantry_oci::Process;
use rustix::fs::{Access, AtFlags, FileType};
use rustix::io::Errno;

use crate::error::{StartError, Step};

/// Searched if the process has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The largest `/etc/passwd` that is looked into for a home directory.
const MAX_PASSWD: u64 = 4 << 20;

/// What `execve` wants.
#[derive(Debug)]
pub(crate) struct Program {
    args: Vec<CString>,
    env: Vec<CString>,
    /// The first argument as text, for messages.
    pub name: String,
    path: String,
    has_home: bool,
}

impl Program {
    /// Checks and converts the spec's arguments and environment.
    pub(crate) fn prepare(process: &Process) -> Result<Self, StartError> {
        let spec = |what: &str, text: &str| StartError::other(Step::Spec, what, text);
        let texts = &process.args;
        let name = texts.first().cloned().unwrap_or_default();
        if texts.is_empty() {
            return Err(spec("process.args", "must not be empty"));
        }
        let nul = |_| spec("process", "an argument or variable holds a NUL byte");
        let convert = |text: &String| CString::new(text.as_str()).map_err(nul);
        let args = texts.iter().map(convert).collect::<Result<_, _>>()?;
        let variables = once_each(&process.env);
        let find = |key: &str| {
            let value = |entry: &&String| entry.strip_prefix(key).map(str::to_owned);
            variables.iter().find_map(value)
        };
        Ok(Self {
            args,
            env: variables
                .iter()
                .map(|variable| convert(variable))
                .collect::<Result<_, _>>()?,
            name,
            path: find("PATH=").unwrap_or_else(|| DEFAULT_PATH.to_owned()),
            has_home: find("HOME=").is_some_and(|home| !home.is_empty()),
        })
    }

    /// Finds the program as the process' user sees it. A bare name is searched in
    /// `PATH`, where files that cannot be executed are passed over, as in Docker;
    /// of a path the errno tells missing from not executable.
    pub(crate) fn find(&self) -> Result<CString, StartError> {
        let fail = |errno| StartError::new(Step::Lookup, errno, self.name.as_str());
        if self.name.is_empty() {
            return Err(fail(Errno::NOENT));
        }
        if self.name.contains('/') {
            let path = self.args[0].clone();
            return executable(&path).map(|()| path).map_err(fail);
        }
        for dir in self.path.split(':') {
            let dir = if dir.is_empty() { "." } else { dir };
            let Ok(path) = CString::new(format!("{dir}/{}", self.name)) else {
                continue;
            };
            if executable(&path).is_ok() {
                return Ok(path);
            }
        }
        Err(fail(Errno::NOENT))
    }

    /// The environment, with `HOME` if the spec gives none.
    pub(crate) fn environment(&self, uid: u32) -> Vec<CString> {
        let mut env = self.env.clone();
        if !self.has_home {
            env.retain(|entry| !entry.as_bytes().starts_with(b"HOME="));
            let home = home_of(uid).unwrap_or_else(|| "/".to_owned());
            env.extend(CString::new(format!("HOME={home}")));
        }
        env
    }

    /// Replaces this process; returns only if that fails.
    pub(crate) fn exec(&self, path: &CStr, env: &[CString]) -> StartError {
        let errno = exec(path, &self.args, env);
        StartError::new(Step::Exec, errno, path.to_string_lossy())
    }
}

/// Each variable once: the last one counts.
fn once_each(variables: &[String]) -> Vec<&String> {
    let name = |variable: &'_ String| variable.find('=').unwrap_or(variable.len());
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(variables.len());
    let mut kept: Vec<&String> = Vec::with_capacity(variables.len());
    for variable in variables {
        match places.entry(&variable[..name(variable)]) {
            Entry::Occupied(place) => kept[*place.get()] = variable,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(variable);
            }
        }
    }
    kept
}

/// Whether `execve` would take this file as far as can be said beforehand.
fn executable(path: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => return Err(Errno::ISDIR),
        FileType::RegularFile => {}
        _ => return Err(Errno::ACCESS),
    }
    rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// The home directory that the container's `/etc/passwd` names for a user.
fn home_of(uid: u32) -> Option<String> {
    use std::io::Read;
    let flags =
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    let fd = rustix::fs::open("/etc/passwd", flags, rustix::fs::Mode::empty()).ok()?;
    let mut text = Vec::with_capacity(4096);
    std::fs::File::from(fd)
        .take(MAX_PASSWD)
        .read_to_end(&mut text)
        .ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let same = fields.nth(2)?.parse() == Ok(uid);
        let home = fields.nth(2)?;
        (same && !home.is_empty()).then(|| home.to_owned())
    })
}

#[allow(unsafe_code, reason = "execve takes arrays of pointers")]
fn exec(path: &CStr, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |list: &[CString]| {
        let mut pointers: Vec<_> = list.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: NUL-terminated strings in null-terminated arrays that live until
    // the call returns, which it does only on failure.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_given_twice_is_there_once() {
        let given = ["A=1", "B=2", "A=3", "C", "AB=4"].map(str::to_owned);
        assert_eq!(once_each(&given), ["A=3", "B=2", "C", "AB=4"]);
    }
}
