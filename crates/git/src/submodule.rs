//! `.gitmodules`: which repository belongs where.

use crate::error::{Error, Result};

/// The longest such file.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// One submodule.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Submodule {
    pub(crate) path: String,
    pub(crate) address: String,
    /// Whether it stays empty.
    pub(crate) left_out: bool,
}

/// Reads the file.
pub(crate) fn read(text: &[u8]) -> Result<Vec<Submodule>> {
    let text = String::from_utf8_lossy(text);
    let mut found: Vec<Submodule> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            inside = section.to_lowercase().starts_with("submodule ");
            if inside {
                found.push(Submodule::default());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (Some(last), true) = (found.last_mut(), inside) else {
            continue;
        };
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        if value.contains('\\') {
            return Err(Error::damaged("an escape in .gitmodules"));
        }
        match key.trim().to_lowercase().as_str() {
            "path" => value.clone_into(&mut last.path),
            "url" => value.clone_into(&mut last.address),
            "update" => last.left_out = value == "none",
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_have_a_path_and_an_address() {
        let text =
            b"# x\n[submodule \"a\"]\n\tpath = lib/a\n\turl = \"../a.git\"\n[core]\n path = z\n\
            [submodule \"b\"]\npath=b\nurl=https://h/b.git\nupdate = none\n";
        let found = read(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].path, "lib/a");
        assert_eq!(found[0].address, "../a.git");
        assert!(found[1].left_out && !found[0].left_out);
    }
}
