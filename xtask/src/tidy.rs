//! The layering and the rules of the house, checked over the source text.
//!
//! The table below is the one in `ARCHITECTURE.md`: arrows point down. Edges
//! inside a layer are allowed only where they are listed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::run::{Failure, capture, cargo, say};
use crate::{options, tree};

/// Crate, its layer, and the crates of the *same* layer that it may use.
const LAYERS: &[(&str, u8, &[&str])] = &[
    ("types", 0, &[]),
    ("api", 0, &["types"]),
    ("dockerfile", 0, &["types"]),
    ("gotemplate", 0, &[]),
    ("oci", 0, &[]),
    ("hello", 0, &[]),
    ("sys", 1, &[]),
    ("cgroup", 1, &["sys"]),
    ("archive", 1, &["sys"]),
    ("metadata", 1, &[]),
    ("tls", 1, &[]),
    ("content", 2, &[]),
    ("snapshot", 2, &[]),
    ("registry", 2, &[]),
    ("network", 2, &[]),
    ("volume", 2, &[]),
    ("logs", 2, &[]),
    ("runtime", 2, &[]),
    ("trust", 2, &["registry"]),
    ("git", 2, &["registry"]),
    ("init", 2, &[]),
    ("image", 3, &[]),
    ("shim", 3, &[]),
    ("build", 3, &["image"]),
    ("engine", 3, &["image", "shim", "build"]),
    ("grpc", 3, &[]),
    ("buildkit-api", 4, &[]),
    ("server", 4, &["buildkit-api"]),
    ("registry-server", 4, &[]),
    ("cli", 4, &[]),
    ("gantry", 5, &[]),
    ("bench", 5, &[]),
    ("e2e", 5, &[]),
];

/// Crates that may contain `unsafe`: the mechanisms that make system calls.
const MAY_BE_UNSAFE: &[&str] = &["sys", "cgroup", "runtime", "shim", "network"];

/// What the client may use beyond words: as in Docker it speaks to registries
/// itself for `manifest` and `trust`, with any daemon and without one, and keys
/// never leave the user. Builds are spoken of in BuildKit's language.
const SPOKEN_BY_CLI: &[&str] = &["registry", "trust", "grpc"];

/// Crates below this layer (and the shim) know no async runtime.
const FIRST_ASYNC_LAYER: u8 = 3;

/// A file name that says nothing about its content.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "manager", "misc",
];

/// Longer files want splitting, unless they are tables.
const MAX_LINES: usize = 700;

/// Checks everything and lists every breach.
pub fn run() -> Result<(), Failure> {
    let mut breaches = layering()?;
    for file in sources(&tree::root())? {
        check_file(&file, &mut breaches);
    }
    breaches.extend(options::breaches(&tree::root())?);
    if breaches.is_empty() {
        say("tidy: the house is in order");
        return Ok(());
    }
    Err(Failure::new(format!(
        "tidy: {} breaches:\n  {}",
        breaches.len(),
        breaches.join("\n  ")
    )))
}

fn layering() -> Result<Vec<String>, Failure> {
    let text = capture(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("cargo metadata is not JSON: {error}")))?;
    let table: BTreeMap<&str, (u8, &[&str])> = LAYERS
        .iter()
        .map(|(name, layer, beside)| (*name, (*layer, *beside)))
        .collect();
    let mut breaches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(name) = package["name"].as_str().map(short) else {
            continue;
        };
        if name == "xtask" {
            continue;
        }
        let Some((layer, beside)) = table.get(name) else {
            breaches.push(format!(
                "crate {name} is missing from the table in xtask/src/tidy.rs"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(used) = dependency["name"].as_str() else {
                continue;
            };
            let for_tests = dependency["kind"] == "dev";
            if for_tests {
                continue;
            }
            if used == "tokio" && (*layer < FIRST_ASYNC_LAYER || name == "shim") {
                breaches.push(format!("{name} must not know an async runtime"));
            }
            if name == "cli"
                && used.starts_with("gantry-")
                && !SPOKEN_BY_CLI.contains(&short(used))
                && table.get(short(used)).is_some_and(|(l, _)| *l > 0)
            {
                breaches.push(format!(
                    "cli uses {used}: it may use the words (layer 0) and {SPOKEN_BY_CLI:?} only"
                ));
            }
            if !used.starts_with("gantry-") {
                continue;
            }
            let allowed = table.get(short(used)).is_some_and(|(below, _)| {
                below < layer || (below == layer && beside.contains(&short(used)))
            });
            if !allowed {
                breaches.push(format!("{name} uses {used}: arrows point down only"));
            }
        }
    }
    Ok(breaches)
}

fn short(package: &str) -> &str {
    package.strip_prefix("gantry-").unwrap_or(package)
}

fn sources(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "xtask", "tests", "bench"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry =
                entry.map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn check_file(path: &Path, breaches: &mut Vec<String>) {
    let shown = path
        .strip_prefix(tree::root())
        .unwrap_or(path)
        .display()
        .to_string();
    let Ok(text) = std::fs::read_to_string(path) else {
        breaches.push(format!("{shown}: is not UTF-8 text"));
        return;
    };
    if !text.trim_start().starts_with("//!") {
        breaches.push(format!(
            "{shown}: does not open with //! (what it is, what it does not know)"
        ));
    }
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    if EMPTY_NAMES.contains(&stem.as_str()) {
        breaches.push(format!("{shown}: the name says nothing"));
    }
    if shown.starts_with("xtask/src/tidy.rs") {
        return;
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !text.contains("// tidy: a table") {
        breaches.push(format!("{shown}: {lines} lines, at most {MAX_LINES}"));
    }
    for (number, line) in text.lines().enumerate() {
        for word in [
            "TODO",
            "FIXME",
            "XXX:",
            "todo!(",
            "unimplemented!(",
            "#[ignore",
        ] {
            if line.contains(word) {
                breaches.push(format!("{shown}:{}: {word}", number + 1));
            }
        }
    }
    let crate_name = shown.split('/').nth(1).unwrap_or_default();
    let uses_unsafe = text
        .lines()
        .any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
    if shown.starts_with("crates/") && uses_unsafe && !MAY_BE_UNSAFE.contains(&crate_name) {
        breaches.push(format!("{shown}: unsafe code outside {MAY_BE_UNSAFE:?}"));
    }
}
