//! Seccomp: from profile to a filter that the kernel takes.
//!
//! ```text
//! profile.rs   engine-style JSON with conditions  → LinuxSeccomp (OCI)
//! compile.rs   LinuxSeccomp                       → one tree per architecture
//! listener.rs  who decides about calls: handed a descriptor
//! bpf.rs       tree                               → classic BPF
//! tables/      system call numbers by name, one file per architecture
//! ```
//!
//! No libseccomp; the meaning is libseccomp's as runc uses it: the first match
//! of a call's rules counts, a rule without conditions goes before those with,
//! names that an architecture does not have are ignored, and calls newer than
//! everything the profile names fail with `ENOSYS`, so that programs fall back.

mod bpf;
mod compile;
mod listener;
mod profile;
mod syscalls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gantry_oci::{LinuxSeccomp, Spec};
use gantry_sys::{SeccompFlags, SockFilter};

use crate::capability::CapabilityMask;
use crate::error::{StartError, Step};

pub use compile::compile;
pub(crate) use compile::{KNOWN_ARCHITECTURES, OPERATORS};
pub use listener::Listener;
pub use profile::{ProfileError, from_profile};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Classic BPF.
    pub program: Vec<SockFilter>,
    /// How it is to be installed.
    pub flags: SeccompFlags,
}

impl Filter {
    /// Whether somebody else decides about some calls.
    pub fn is_listened_to(&self) -> bool {
        self.flags.0 & SeccompFlags::NEW_LISTENER.0 != 0
    }
}

/// Bytes of one instruction in [`Filter::to_bytes`].
const INSTRUCTION: usize = 8;

impl Filter {
    /// The filter as bytes, to be sent to another process of this machine:
    /// the flags, then eight bytes for each instruction, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.flags.0.to_le_bytes().to_vec();
        for i in &self.program {
            bytes.extend(i.code.to_le_bytes());
            bytes.extend([i.jt, i.jf]);
            bytes.extend(i.k.to_le_bytes());
        }
        bytes
    }

    /// What [`Self::to_bytes`] made. `None` if it cannot be that.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_at_checked(8)?;
        if rest.len() % INSTRUCTION != 0 || rest.is_empty() {
            return None;
        }
        let program = rest
            .chunks_exact(INSTRUCTION)
            .map(|i| SockFilter {
                code: u16::from_le_bytes([i[0], i[1]]),
                jt: i[2],
                jf: i[3],
                k: u32::from_le_bytes([i[4], i[5], i[6], i[7]]),
            })
            .collect();
        let flags = SeccompFlags(u64::from_le_bytes(flags.try_into().ok()?));
        Some(Self { program, flags })
    }
}

/// Engines' default profile for a process with these capabilities, as the spec
/// has it.
pub fn default_profile(capabilities: CapabilityMask) -> Result<LinuxSeccomp, ProfileError> {
    let profile = from_profile(crate::defaults::SECCOMP_PROFILE, capabilities)?;
    profile.ok_or_else(|| ProfileError::Syntax("it is empty".to_owned()))
}

/// The default profile compiled; kept for each set of capabilities asked for.
pub fn default_filter(capabilities: CapabilityMask) -> Result<Arc<Filter>, ProfileError> {
    static FILTERS: OnceLock<Mutex<HashMap<CapabilityMask, Arc<Filter>>>> = OnceLock::new();
    let filters = FILTERS.get_or_init(Mutex::default);
    let lock = || filters.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(filter) = lock().get(&capabilities) {
        return Ok(Arc::clone(filter));
    }
    let profile = default_profile(capabilities)?;
    let filter = compile(&profile).map_err(|e| ProfileError::Compile(e.to_string()))?;
    let filter = Arc::new(filter);
    lock().insert(capabilities, Arc::clone(&filter));
    Ok(filter)
}

/// The filter of a spec, compiled unless the caller has one.
pub(crate) fn for_spec(given: Option<&Filter>, spec: &Spec) -> Result<Option<Filter>, StartError> {
    if given.is_some() {
        return Ok(None);
    }
    let seccomp = spec.linux.as_ref().and_then(|l| l.seccomp.as_ref());
    seccomp.map(compile).transpose()
}

/// An error of a profile that cannot be compiled.
fn refuse(text: impl Into<String>) -> StartError {
    StartError::other(Step::Seccomp, "", text)
}
