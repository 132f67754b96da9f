//! Folders of files that a test writes down.

use std::path::PathBuf;

use super::Engine;

/// A folder with these files, in the engine's own.
pub fn folder(engine: &Engine, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = engine.dir().join(name);
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    dir
}
