//! Plug-ins of Docker's client, unmodified, where they are installed.

use std::path::PathBuf;

use super::{Engine, remark};

/// Where plug-ins are, below the root of the peers or of this machine.
const FOLDER: &str = "usr/libexec/docker/cli-plugins";

/// A plug-in such as `docker-compose`, unless it is not here, which is said.
pub fn find(name: &str) -> Option<PathBuf> {
    let peers =
        std::env::var_os("PEERS_ROOT").map_or_else(|| "/var/tmp/peers".into(), PathBuf::from);
    let places = [peers, "/".into()].map(|root: PathBuf| root.join(FOLDER).join(name));
    let found = places.into_iter().find(|path| path.is_file());
    if found.is_none() {
        remark(&format!(
            "SKIPPED: the plug-in {name} is not installed here"
        ));
    }
    found
}

/// Gives it to the clients of an engine; whether it is here.
pub fn link(engine: &Engine, name: &str) -> bool {
    let plugins = engine.dir().join("client/cli-plugins");
    std::fs::create_dir_all(&plugins).expect("a folder");
    let link = plugins.join(name);
    if link.exists() {
        return true;
    }
    let Some(plugin) = find(name) else {
        return false;
    };
    std::os::unix::fs::symlink(plugin, link).expect("a link");
    true
}
