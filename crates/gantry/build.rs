//! Builds the programs that the binary carries inside: the shim, the init of
//! containers, and the `gantry/hello` image's program. Each is a small static executable of its own,
//! made by a nested cargo with the profile `embedded` in a target directory of
//! its own, whatever the outer build is. They are compressed together: most of each is
//! the C library, and the binary is to stay small.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Package and program, which have the same name.
const PROGRAMS: [&str; 3] = ["gantry-shim", "gantry-init", "gantry-hello"];
/// The crates they consist of, beside the lock file and the workspace manifest.
const SOURCES: [&str; 9] = [
    "shim", "init", "hello", "runtime", "cgroup", "logs", "sys", "types", "oci",
];
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What the outer cargo told this build and must not tell the nested one.
/// Variables that begin with `CARGO_` are removed as well, but for those in
/// [`KEPT`].
const REMOVED: [&str; 7] = [
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOCFLAGS",
    "TARGET",
    "PROFILE",
    "DEBUG",
];
const KEPT: [&str; 3] = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS"];

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for source in SOURCES {
        let path = workspace.join("crates").join(source);
        println!("cargo::rerun-if-changed={}", path.display());
    }
    for file in [
        "Cargo.lock",
        "Cargo.toml",
        ".cargo/config.toml",
        "rust-toolchain.toml",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    let script = workspace.join("crates/gantry/release.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    if std::env::var("PROFILE")? == "release" {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
        // Generic code is full of functions that came out the same: each is kept once.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
    let target_dir = out.join("embedded");
    build(&workspace, &target_dir)?;
    let built = target_dir.join(TARGET).join("embedded");
    pack(&built, &out).map_err(|error| format!("packing {}: {error}", built.display()))?;
    Ok(())
}

/// All programs one behind the other in one stream, since most of each is the same
/// library; and where each of them ends.
fn pack(built: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let level = match std::env::var("PROFILE")?.as_str() {
        "release" => 19,
        _ => 1,
    };
    let file = std::fs::File::create(out.join("programs.zst"))?;
    let mut encoder = zstd::stream::write::Encoder::new(file, level)?;
    // As far as from one program back to the first.
    encoder.window_log(23)?;
    encoder.long_distance_matching(true)?;
    let (mut ends, mut end) = (Vec::new(), 0);
    for program in PROGRAMS {
        let bytes = std::fs::read(built.join(program))?;
        encoder.write_all(&bytes)?;
        end += bytes.len();
        ends.push(end);
    }
    encoder.finish()?;
    std::fs::write(out.join("ends.rs"), format!("{ends:?}"))?;
    Ok(())
}

fn build(workspace: &Path, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args([
            "build",
            "--locked",
            "--profile",
            "embedded",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target_dir);
    for program in PROGRAMS {
        command.args(["--package", program, "--bin", program]);
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let cargos = text.starts_with("CARGO_") && !KEPT.contains(&text.as_ref());
        if cargos || REMOVED.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("building {}: {status}", PROGRAMS.join(", ")).into())
    }
}
