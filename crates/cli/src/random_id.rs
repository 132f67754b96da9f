//! Names that nobody else has.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// 32 hexadecimal digits.
pub(crate) fn random_id() -> Result<String, Errno> {
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty())?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
