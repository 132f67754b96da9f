//! The OCI runtime as a library: a spec in, a process out.
//!
//! [`Launch`] makes a container's first process with one `clone3`; the child
//! builds its own mount namespace and replaces itself with the program. [`Exec`]
//! adds a process to a running container. Both answer with a [`Launched`]
//! process or a [`StartError`] that is data.
//!
//! ```text
//! launch.rs   parent: clone, maps, cgroup, answers      child/   the child's way to execve
//! seccomp/    profile → BPF                             defaults/ what engines put into specs
//! cli/        runc's command line over the library      state.rs  <root>/<id>/state.json (cli only)
//! ```
//!
//! The calling process must have one thread, or others that sit still and hold
//! no lock (as in `gantry_cgroup::Cgroup::birth`): the child goes on with a copy
//! of its memory, in which their locks would stay locked. Nothing here
//! runs another program (hooks excepted), writes a file or syncs one.

pub mod cli;
pub mod defaults;
pub mod seccomp;

mod capability;
mod channel;
mod child;
mod error;
mod exec;
mod hooks;
mod idmap;
mod launch;
mod mount_options;
mod namespaces;
mod new_mount;
mod program;
mod scope;
mod tree;
mod validate;

pub use capability::CapabilityMask;
#[cfg(fuzzing)]
pub use child::look_up;
pub use child::{check_user, detached_root};
pub use error::{StartError, Step, errno_text};
pub use exec::{Exec, Starting};
pub use gantry_oci as oci;
pub use gantry_sys::{ExitStatus, SockFilter};
pub use hooks::{HookPoint, run_all_hooks, run_hooks};
pub use launch::{CgroupJoin, Launch, Launched, Rootfs, Scaffold, Stdio, UserRequest};
pub use mount_options::{MADE, SUBPATH};
pub use new_mount::new_mount;
pub use scope::{ScopeError, spawn_in_scope};
