//! How much a volume may hold: project quotas, where the file system has them. Each
//! volume with a limit is a project of its own.

use std::path::Path;

use gantry_sys::Errno;

use crate::{Error, Result};

/// Reads a size as Docker does: `1.5g`, `100 MiB`, `4096`.
pub fn size(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[number.len()..].trim().to_ascii_lowercase();
    let units = ["k", "m", "g", "t", "p"];
    let letter = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let power = match letter {
        "" => 0,
        letter => units.iter().position(|known| *known == letter)? + 1,
    };
    let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
    let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
    // Less than the largest file there can be.
    (bytes < 9e18).then_some(bytes as u64)
}

/// Lets an empty directory hold at most so many bytes.
///
/// # Errors
/// `Invalid`, in Docker's words, where the file system cannot.
pub(crate) fn limit(name: &str, directory: &Path, bytes: u64) -> Result<()> {
    let opened = crate::copies::open(directory)?;
    let set = |errno: Errno| refuse(name, directory, errno);
    let project = gantry_sys::new_project(&opened).map_err(set)?;
    gantry_sys::set_project(&opened, project).map_err(set)?;
    gantry_sys::limit_project(&opened, project, bytes).map_err(set)
}

/// Makes an empty directory a part of what another one may hold.
pub(crate) fn share(limited: &Path, directory: &Path) -> Result<()> {
    let failed = |errno: Errno| Error::disk("set the project of", directory)(errno);
    let project = gantry_sys::project_of(crate::copies::open(limited)?).map_err(failed)?;
    gantry_sys::set_project(crate::copies::open(directory)?, project).map_err(failed)
}

/// Takes the limit away, so that the project's number is nobody's.
pub(crate) fn forget(directory: &Path) {
    let Ok(opened) = crate::copies::open(directory) else {
        return;
    };
    if let Ok(project) = gantry_sys::project_of(&opened)
        && project != 0
    {
        let _ = gantry_sys::limit_project(&opened, project, 0);
    }
}

fn refuse(name: &str, directory: &Path, errno: Errno) -> Error {
    let none = [
        Errno::NOTTY,
        Errno::OPNOTSUPP,
        Errno::SRCH,
        Errno::NOSYS,
        Errno::INVAL,
    ];
    match none.contains(&errno) {
        true => Error::Invalid {
            name: name.to_owned(),
            why: "quota size requested but no quota support".to_owned(),
        },
        false => Error::disk("limit", directory)(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("1k", Some(1024)),
            ("1.5 MiB", Some(1_572_864)),
            ("2GB", Some(2 << 30)),
            ("1t", Some(1 << 40)),
            ("5b", Some(5)),
            ("", None),
            ("zz", None),
            ("-1", None),
            ("1x", None),
            ("9999999999t", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
