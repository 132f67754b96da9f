//! provisional
use super::record::Record;
use crate::error::Result;
use std::net::IpAddr;
use std::path::Path;
pub(super) fn write(
    _r: &Record,
    _s: &gantry_network::Sandbox,
    _d: &Path,
    _g: Option<IpAddr>,
) -> Result<()> {
    Ok(())
}
