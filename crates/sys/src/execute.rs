//! Becoming another program, given by descriptor.
#![allow(unsafe_code, reason = "execveat takes arrays of pointers")]

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::Errno;

/// Replaces this program by the file, with these arguments (the first is its name)
/// and our environment; returns only if that fails. The descriptor may be
/// close-on-exec, unless the file is a script.
pub fn execute(file: impl AsFd, args: &[OsString]) -> Errno {
    let args = args.iter().map(|arg| CString::new(arg.as_bytes()));
    let env = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        CString::new(entry)
    });
    let (Ok(args), Ok(env)) = (
        args.collect::<Result<Vec<_>, _>>(),
        env.collect::<Result<Vec<_>, _>>(),
    ) else {
        return Errno::INVAL;
    };
    let pointers = |list: &[CString]| {
        let mut pointers: Vec<_> = list.iter().map(|text| text.as_ptr().cast_mut()).collect();
        pointers.push(std::ptr::null_mut());
        pointers
    };
    let (args, env) = (pointers(&args), pointers(&env));
    let fd = file.as_fd().as_raw_fd();
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: NUL-terminated strings in null-terminated arrays that live until
    // the call returns, which it does only on failure.
    unsafe { libc::execveat(fd, c"".as_ptr(), args.as_ptr(), env.as_ptr(), flags) };
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
