//! The file that containers made with `--init` see at `/sbin/docker-init`: out
//! of this binary into the exec root, whole or not at all. Containers of an
//! earlier daemon keep the file that they have.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes the program; returns where it is.
///
/// # Errors
/// Names the file that could not be written.
pub(super) fn place(exec_root: &Path, program: &[u8]) -> Result<PathBuf, String> {
    let path = exec_root.join("docker-init");
    let beside = exec_root.join(".docker-init.new");
    write(&beside, program)
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(|error| format!("writing {}: {error}", path.display()))?;
    Ok(path)
}

fn write(path: &Path, program: &[u8]) -> io::Result<()> {
    // A killed daemon may have left half of one.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o755);
    let mut file = options.open(path)?;
    file.write_all(program)?;
    // Whatever the umask is: every user of a container runs it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    file.set_permissions(mode)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".docker-init.new"), "half").unwrap();
        place(dir.path(), b"one").unwrap();
        let path = place(dir.path(), b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
