//! Sockets that systemd opened for the daemon (`LISTEN_FDS`).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;

use super::unix::UnixSocket;
use super::{ListenError, Listener};

/// The first fd that systemd passes.
const FIRST: i32 = 3;

/// The sockets that systemd passed: all of them, or the one of this number or
/// name.
pub(super) fn inherited(wanted: &str) -> Result<Vec<Listener>, ListenError> {
    let passed = Passed::from_environment(|name| std::env::var(name).ok());
    let fds = passed.select(wanted, std::process::id())?;
    fds.into_iter()
        .map(|number| {
            let name = format!("fd://{number}");
            let fd = gantry_sys::inherited_fd(number)
                .map_err(|errno| ListenError::io("taking", &name, errno.into()))?;
            listener(fd).map_err(|error| ListenError::io("listening on", &name, error))
        })
        .collect()
}

fn listener(fd: OwnedFd) -> std::io::Result<Listener> {
    if socket_domain(&fd)? == AddressFamily::UNIX {
        let listener = UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok(Listener::Unix(UnixSocket::inherited(listener)))
    } else {
        let listener = std::net::TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        Ok(Listener::Tcp(tokio::net::TcpListener::from_std(listener)?))
    }
}

/// What the environment says about passed sockets.
#[derive(Debug)]
struct Passed {
    pid: Option<u32>,
    count: i32,
    names: Vec<String>,
}

impl Passed {
    fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| get(name).and_then(|text| text.parse::<u32>().ok());
        let names = get("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            pid: number("LISTEN_PID"),
            count: number("LISTEN_FDS").map_or(0, |count| count.min(1024) as i32),
            names: names.split(':').map(str::to_owned).collect(),
        }
    }

    fn select(&self, wanted: &str, own_pid: u32) -> Result<Vec<i32>, ListenError> {
        let refused = |reason| ListenError::Activation {
            name: wanted.to_owned(),
            reason,
        };
        if self.pid != Some(own_pid) || self.count == 0 {
            return Err(refused("no sockets found: systemd has passed none"));
        }
        let all = FIRST..FIRST + self.count;
        let chosen: Vec<i32> = match wanted.parse::<i32>() {
            _ if wanted.is_empty() => all.collect(),
            Ok(number) => all.filter(|fd| *fd == number).collect(),
            Err(_) => all
                .zip(&self.names)
                .filter(|(_, name)| *name == wanted)
                .map(|(fd, _)| fd)
                .collect(),
        };
        if chosen.is_empty() {
            return Err(refused(
                "systemd has passed other sockets, but not this one",
            ));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pid: &str, count: &str, names: &str) -> Passed {
        let values = [
            ("LISTEN_PID", pid.to_owned()),
            ("LISTEN_FDS", count.to_owned()),
            ("LISTEN_FDNAMES", names.to_owned()),
        ];
        Passed::from_environment(|name| {
            let found = values.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn sockets_are_chosen_by_number_or_name() {
        let passed = passed("7", "2", "api:web");
        assert_eq!(passed.select("", 7).unwrap(), [3, 4]);
        assert_eq!(passed.select("4", 7).unwrap(), [4]);
        assert_eq!(passed.select("web", 7).unwrap(), [4]);
        assert!(passed.select("5", 7).is_err());
        assert!(passed.select("x", 7).is_err());
    }

    #[test]
    fn sockets_of_another_process_are_not_taken() {
        assert!(passed("8", "2", "").select("", 7).is_err());
        assert!(passed("7", "0", "").select("", 7).is_err());
        assert!(passed("", "", "").select("", 7).is_err());
    }
}
