//! Random ids, drawn from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::Error;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Error::System {
                    operation: "draw",
                    object: "random bytes".to_owned(),
                    source: errno.into(),
                });
            }
        }
    }
    Ok(bytes)
}

/// An id of 64 hexadecimal digits, as Docker gives networks, endpoints and sandboxes.
pub(crate) fn id() -> Result<String, Error> {
    Ok(bytes::<32>()?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
