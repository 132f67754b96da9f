//! System calls that no crate wraps well, behind safe functions.
//!
//! This is the home of `unsafe`: everything above asks here. Thin wrappers
//! return the bare [`Errno`]; what works on paths returns [`Error`], which says
//! what was tried on which path. Nothing here knows what a container is.

mod bpf;
mod clone;
mod credentials;
mod error;
mod execute;
mod file_owner;
mod foreground;
mod heap;
mod inherited;
mod kernel;
mod keyring;
mod local_time;
mod loop_device;
mod memfd;
mod mount;
mod own_memory;
mod pidfd;
mod process;
mod quota;
mod regular;
mod root;
mod scheduling;
mod scm;
mod seccomp;
mod signals;
mod socket_option;
mod unread;
mod wait;

pub mod mountns;
pub mod netns;

pub use bpf::{BpfInstruction, attach_cgroup_device, detach_cgroup_device, load_cgroup_device};
pub use clone::{CloneFlags, CloneRequest, Forked, clone3};
pub use credentials::{personality, setgroups_allowed};
pub use error::{Error, Result};
pub use execute::execute;
pub use file_owner::make_files_as;
pub use foreground::{ignore, send_signal, spawn_foreground};
pub use heap::give_back_heap;
pub use inherited::inherited_fd;
pub use kernel::kernel_at_least;
pub use keyring::join_session_keyring;
pub use local_time::utc_offset;
pub use loop_device::LoopDevice;
pub use memfd::sealed_memfd;
pub use mount::{MountAttr, SetMountAttr, mount_setattr, umount_tree};
pub use own_memory::{release_code_pages, release_unused_heap};
pub use pidfd::{ExitStatus, pid_of, pidfd_send_signal, setns_pidfd, wait_pidfd};
pub use process::{close_all_but, close_on_exec_from, exit_now, replace_standard, unshare};
pub use quota::{ProjectQuota, limit_project, new_project, project_of, project_quota, set_project};
pub use regular::{open_regular, reopen_regular};
pub use root::RootDir;
pub use rustix::io::Errno;
pub use scheduling::{SchedulerAttributes, set_io_priority, set_scheduler};
pub use scm::{recv_with_fds, send_with_fds};
pub use seccomp::{SeccompFlags, SockFilter, install_seccomp};
pub use signals::{reset_signals, signal_fd};
pub use socket_option::{netlink_extended_ack, netlink_strict_check, receive_marks};
pub use unread::unread_by_peer;
pub use wait::{Usage, wait_with_usage};
