//! Mounts that are made before anybody has a place for them.

use std::os::fd::OwnedFd;
use std::path::Path;

use gantry_sys::{Errno, MountAttr};

use crate::child::new_filesystem;
use crate::mount_options::MountOptions;

/// A mount of a file system, attached nowhere: `kind`, `source` and `options` as in a
/// spec. Attributes of the mount itself (`ro`, `nosuid`, …) are not set yet.
///
/// # Errors
/// The kernel's, with its words.
pub fn new_mount(kind: &str, source: &str, options: &[String]) -> Result<OwnedFd, (Errno, String)> {
    let options = MountOptions::parse(options);
    let mut data = options.data;
    let whole = options.whole.iter();
    data.extend(whole.map(|option| ((*option).to_owned(), None)));
    let make = |data: &[(String, Option<String>)]| {
        new_filesystem(kind, Some(Path::new(source)), data, MountAttr::default())
    };
    match make(&data) {
        // As mount(8) does: one that cannot be written to has to be asked for as such.
        Err((Errno::ROFS | Errno::ACCESS, _)) => {
            data.push(("ro".to_owned(), None));
            make(&data)
        }
        made => made,
    }
}
