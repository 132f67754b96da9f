//! Where a process' cgroups are, by this machine's own table of mounts.

use std::path::{Path, PathBuf};

/// The folders of a process in the hierarchies that are mounted.
#[derive(Debug)]
pub struct Folders(Vec<(String, PathBuf)>);

impl Folders {
    /// Those of a process of the host.
    pub fn of(pid: &str) -> Self {
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .expect("the cgroups of the process");
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
        let mounts: Vec<Mount> = table.lines().filter_map(Mount::parse).collect();
        let mut found = Vec::new();
        for line in cgroups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(names), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            for name in names.split(',') {
                let mount = mounts.iter().find(|mount| mount.holds(name));
                if let Some(folder) = mount.and_then(|mount| mount.folder(path)) {
                    found.push((name.to_owned(), folder));
                }
            }
        }
        Self(found)
    }

    /// The folder of a controller; the unified hierarchy's has no name.
    pub fn get(&self, controller: &str) -> Option<&Path> {
        let found = self.0.iter().find(|(name, _)| name == controller);
        found.map(|(_, folder)| folder.as_path())
    }

    /// A file in it, if there is one.
    pub fn read(&self, controller: &str, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.get(controller)?.join(file)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Each folder.
    pub fn all(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, folder)| folder.clone()).collect()
    }
}

/// A mounted hierarchy.
struct Mount {
    root: String,
    point: PathBuf,
    unified: bool,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?.to_owned(), PathBuf::from(fields.next()?));
        let mut after = after.split(' ');
        let kind = after.next()?;
        let options = after.nth(1)?.to_owned();
        matches!(kind, "cgroup" | "cgroup2").then(|| Self {
            root,
            point,
            unified: kind == "cgroup2",
            options,
        })
    }

    fn holds(&self, name: &str) -> bool {
        match name {
            "" => self.unified,
            name => !self.unified && self.options.split(',').any(|option| option == name),
        }
    }

    fn folder(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        Some(self.point.join(below))
    }
}
