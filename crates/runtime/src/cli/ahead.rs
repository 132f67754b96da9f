//! A network namespace that is made while the cgroup is: the kernel needs as long
//! for the one as for the other, and both are needed before the process.

use std::os::fd::OwnedFd;
use std::thread::{Builder, JoinHandle};

use gantry_oci::{LinuxNamespaceType as Kind, Spec};

/// The stack of the thread: it makes two system calls.
const STACK: usize = 64 << 10;

/// One in the making, or none.
pub(super) struct Ahead(Option<JoinHandle<rustix::io::Result<OwnedFd>>>);

impl Ahead {
    /// Begins, if the container is to have one that is new, and ours.
    pub(super) fn begin(spec: &Spec) -> Self {
        if !wanted(spec) {
            return Self(None);
        }
        let make = || {
            gantry_sys::netns::unshare()?;
            gantry_sys::netns::current()
        };
        // Without a thread, or when this fails, it is made with the process.
        Self(Builder::new().stack_size(STACK).spawn(make).ok())
    }

    /// Waits for it; its thread is gone then.
    pub(super) fn take(self) -> Option<OwnedFd> {
        self.0?.join().ok()?.ok()
    }
}

/// In a user namespace of its own the container's must belong to that one.
fn wanted(spec: &Spec) -> bool {
    let listed = |kind: Kind| {
        let mut all = spec.linux.iter().flat_map(|linux| &linux.namespaces);
        all.find(|namespace| namespace.kind == kind)
    };
    let new = listed(Kind::Network).is_some_and(|network| {
        let path = network.path.as_ref();
        path.is_none_or(|path| path.as_os_str().is_empty())
    });
    new && listed(Kind::User).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_one_of_ours_is_made_ahead() {
        let wanted = |namespaces: &str| {
            let text = format!(r#"{{"linux":{{"namespaces":[{namespaces}]}}}}"#);
            wanted(&serde_json::from_str(&text).unwrap())
        };
        assert!(wanted(r#"{"type":"network"}"#));
        assert!(wanted(r#"{"type":"network","path":""}"#));
        assert!(!wanted(r#"{"type":"network","path":"/x"}"#));
        assert!(!wanted(r#"{"type":"uts"}"#));
        assert!(!wanted(r#"{"type":"network"},{"type":"user"}"#));
        assert!(Ahead(None).take().is_none());
    }
}
