//! What is built: folders below `/var/tmp`, which the peers see too, made once and
//! when they are needed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::How;
use crate::rootfs::IMAGE;

/// Files of the large context, and the bytes in each.
const LARGE: (usize, usize) = (20_000, 50_000);
/// Files of the context of many.
const MANY: (usize, usize) = (50_000, 2_000);
/// How many are in a directory.
const EACH: usize = 250;
/// Some tenths of a second of one processor.
const BURN: &str = "awk 'BEGIN { for (i = 0; i < 3000000; i++) x += i }'";

/// All folders.
pub struct Material {
    dir: tempfile::TempDir,
    /// Whether there is the plug-in.
    pub has_buildx: bool,
}

impl Material {
    /// The clients' configurations; the contexts come later.
    pub fn make(plugin: Option<&Path>) -> Result<Self, String> {
        let dir = crate::ending::folder()?;
        let material = Self {
            dir,
            has_buildx: plugin.is_some(),
        };
        let plugins = material.config(How::Buildx).join("cli-plugins");
        fs::create_dir_all(&plugins).map_err(told)?;
        fs::create_dir_all(material.config(How::Classic)).map_err(told)?;
        if let Some(plugin) = plugin {
            std::os::unix::fs::symlink(plugin, plugins.join("docker-buildx")).map_err(told)?;
        }
        Ok(material)
    }

    /// The client's configuration.
    pub fn config(&self, how: How) -> PathBuf {
        self.dir.path().join(match how {
            How::Buildx => "buildx",
            How::Own | How::Classic => "plain",
        })
    }

    /// The context of a row.
    pub fn context(&self, row: &str) -> Result<PathBuf, String> {
        let (name, dockerfile, files) = match row {
            "build-context" | "build-context-stock" => ("large", copying(), Some(LARGE)),
            "build-copy" => ("many", copying(), Some(MANY)),
            "build-stages" => ("stages", stages(), None),
            _ => ("steps", steps(), None),
        };
        let path = self.dir.path().join(name);
        if path.exists() {
            return Ok(path);
        }
        fs::create_dir(&path).map_err(told)?;
        fs::write(path.join("Dockerfile"), dockerfile).map_err(told)?;
        if let Some((count, size)) = files {
            fill(&path, count, size).map_err(told)?;
            crate::command::run(&["sync"])?;
        }
        Ok(path)
    }

    /// Changes one file of a context.
    pub fn change(&self, context: &Path, round: usize, who: &str) -> Result<(), String> {
        fs::write(context.join("0/0"), format!("{round} {who}\n")).map_err(told)
    }
}

fn told(error: io::Error) -> String {
    format!("what is built: {error}")
}

fn copying() -> String {
    format!("FROM {IMAGE}\nWORKDIR /src\nCOPY . .\n")
}

fn steps() -> String {
    let mut text = format!("FROM {IMAGE}\n");
    for number in 0..20 {
        text.push_str(&format!("RUN echo {number} > /file-{number}\n"));
    }
    text
}

/// One stage, six that stand on it, one that takes of all of these.
fn stages() -> String {
    let mut text = format!("FROM {IMAGE} AS base\nRUN {BURN}; echo > /base\n");
    for number in 0..6 {
        text.push_str(&format!(
            "FROM base AS s{number}\nRUN {BURN}; echo {number} > /s{number}\n"
        ));
    }
    text.push_str("FROM base\n");
    for number in 0..6 {
        text.push_str(&format!("COPY --from=s{number} /s{number} /\n"));
    }
    text.push_str(&format!("RUN {BURN}\n"));
    text
}

/// Writes files that are all different and that pack as well as programs do: half of
/// each is noise.
fn fill(path: &Path, count: usize, size: usize) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = vec![0u8; size];
    for number in 0..count {
        let directory = path.join((number / EACH).to_string());
        if number % EACH == 0 {
            fs::create_dir(&directory)?;
        }
        for piece in bytes.chunks_exact_mut(16) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece[..8].copy_from_slice(&state.to_ne_bytes());
        }
        let mut file = fs::File::create_new(directory.join((number % EACH).to_string()))?;
        file.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn eight_stages_and_twenty_steps() {
        assert_eq!(super::stages().matches("FROM ").count(), 8);
        assert_eq!(super::steps().matches("RUN ").count(), 20);
    }
}
