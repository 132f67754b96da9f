//! Docker's client plug-ins: programs called `docker-NAME` that add the command
//! `NAME`, such as `compose` and `buildx`.
//!
//! They are looked for where Docker's client looks, answer to the same question
//! about themselves, and are called in the same way, so that the unmodified ones
//! work. None of them is run for a command that this program has itself.

mod candidate;
mod hooks;
mod run;

pub(crate) use hooks::{Called, print as print_hooks};
pub(crate) use run::{complete, run, works};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::settings::Settings;

/// What the files of all plug-ins begin with.
const PREFIX: &str = "docker-";

/// Where packages put them, for everybody.
const SYSTEM: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// One plug-in, which works unless there is a `fault`.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// What it says about itself.
    about: Map<String, Value>,
    pub(crate) fault: Option<String>,
    /// Others of the same name, which are not called.
    shadowed: Vec<PathBuf>,
}

impl Plugin {
    fn said(&self, key: &str) -> &str {
        self.about.get(key).and_then(Value::as_str).unwrap_or("")
    }

    pub(crate) fn summary(&self) -> &str {
        self.said("ShortDescription")
    }

    pub(crate) fn vendor(&self) -> &str {
        self.said("Vendor")
    }

    pub(crate) fn version(&self) -> &str {
        self.said("Version")
    }

    /// Whether help and completion name it.
    pub(crate) fn is_shown(&self) -> bool {
        self.fault.is_none() && self.about.get("Hidden") != Some(&Value::Bool(true))
    }

    /// What `info` shows of it as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let mut all = self.about.clone();
        all.insert("Name".to_owned(), json!(self.name));
        all.insert("Path".to_owned(), json!(self.path));
        if let Some(fault) = &self.fault {
            all.insert("Err".to_owned(), json!(fault));
        }
        if !self.shadowed.is_empty() {
            all.insert("ShadowedPaths".to_owned(), json!(self.shadowed));
        }
        Value::Object(all)
    }
}

/// What a template sees in a field of a plug-in that has nothing in it.
pub(crate) fn unsaid(field: &str) -> Option<Value> {
    match field {
        "SchemaVersion" | "Vendor" | "Version" | "ShortDescription" | "URL" => Some(json!("")),
        "Hidden" => Some(json!(false)),
        "Err" | "ShadowedPaths" => Some(Value::Null),
        _ => None,
    }
}

/// All plug-ins of this user by name, each asked about itself.
pub(crate) fn list(settings: &Settings) -> Vec<Plugin> {
    let candidates = candidates(&directories(settings), settings.debug);
    std::thread::scope(|scope| {
        let asked: Vec<_> = candidates
            .into_iter()
            .map(|(name, paths)| scope.spawn(move || candidate::ask(name, paths)))
            .collect();
        let answered = asked.into_iter().filter_map(|asked| asked.join().ok());
        answered.flatten().collect()
    })
}

/// The plug-in of that name, when there is one; it may have a fault.
fn find(settings: &Settings, name: &str) -> Option<Plugin> {
    if !candidate::is_name(name) {
        return None;
    }
    let file = format!("{PREFIX}{name}");
    let directories = directories(settings).into_iter();
    let paths = directories.map(|directory| directory.join(&file));
    candidate::ask(
        name.to_owned(),
        paths.filter(|path| path.exists()).collect(),
    )
}

/// Where to look, in this order.
fn directories(settings: &Settings) -> Vec<PathBuf> {
    let extra = settings.config.cli_plugins_extra_dirs.iter();
    let own = settings.directory().join("cli-plugins");
    let system = SYSTEM.iter().map(PathBuf::from);
    extra
        .map(PathBuf::from)
        .chain([own])
        .chain(system)
        .collect()
}

/// The files that may be plug-ins, by name; the first of each counts.
fn candidates(directories: &[PathBuf], with_broken_links: bool) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for directory in directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let may_be = entry.file_type().is_ok_and(|kind| {
                kind.is_file() || kind.is_symlink() && (with_broken_links || entry.path().exists())
            });
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.strip_prefix(PREFIX));
            if let Some(name) = name.filter(|_| may_be) {
                found.entry(name.to_owned()).or_default().push(entry.path());
            }
        }
    }
    found
}

/// What the user may do about a command that may be meant for a plug-in.
pub(crate) fn hint(settings: &Settings, name: &str) -> Option<String> {
    if let Some(Plugin {
        path,
        fault: Some(fault),
        ..
    }) = find(settings, name)
    {
        return Some(format!(
            "the plug-in {} is not valid: {fault}",
            path.display()
        ));
    }
    let is_known = matches!(name, "compose" | "buildx" | "scout" | "model" | "debug");
    let own = settings.directory().join("cli-plugins");
    is_known.then(|| missing(name, &own))
}

fn missing(name: &str, own: &Path) -> String {
    format!(
        "'{name}' is a client plug-in: install it for everybody in {}, or put {PREFIX}{name} into {}.",
        SYSTEM[3],
        own.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_first_directory_counts() {
        let root = tempfile::tempdir().unwrap();
        let [first, second, missing] = ["a", "b", "c"].map(|name| root.path().join(name));
        for directory in [&first, &second] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("docker-x"), "").unwrap();
        }
        std::fs::write(first.join("other"), "").unwrap();
        std::fs::create_dir(first.join("docker-folder")).unwrap();
        symlink("/nonexistent", first.join("docker-broken")).unwrap();
        symlink(second.join("docker-x"), first.join("docker-link")).unwrap();
        let directories = [missing, first.clone(), second.clone()];
        let found = candidates(&directories, false);
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["link", "x"]);
        assert_eq!(
            found["x"],
            [first.join("docker-x"), second.join("docker-x")]
        );
        assert!(candidates(&directories, true).contains_key("broken"));
    }
}
