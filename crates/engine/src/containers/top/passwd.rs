//! The host's names of users and groups, as `ps` shows them.

use std::collections::HashMap;
use std::path::Path;

/// The longest name that fits its column.
const WIDTH: usize = 8;

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<u32, String>);

impl Names {
    /// Reads `passwd` or `group`; without it all are numbers.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut names = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(_), Some(Ok(number))) =
                (fields.next(), fields.next(), fields.next().map(str::parse))
            {
                names.entry(number).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }

    /// The name, or the number; cut where the column ends.
    pub(super) fn of(&self, number: u32) -> String {
        let Some(name) = self.0.get(&number) else {
            return number.to_string();
        };
        match name.char_indices().nth(WIDTH) {
            None => name.clone(),
            Some(_) => name.chars().take(WIDTH - 1).chain(['+']).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        std::fs::write(&path, "root:x:0:0\nsystemd-resolve:x:5:5\nbroken\n").unwrap();
        let names = Names::read(&path);
        assert_eq!(names.of(0), "root");
        assert_eq!(names.of(5), "systemd+");
        assert_eq!(names.of(7), "7");
    }
}
