//! Processor time by cgroup.
//!
//! Each contender has one cgroup, `/gantry-bench/NAME`, with everything that works
//! for it below: the daemon and what it starts (`engine`), its containers
//! (`containers`, given to each engine as the cgroup parent) and the clients
//! (`client`). The kernel's account of it holds them all, also those that have
//! ended. What the kernel's own threads do for an engine (taking down network
//! namespaces, writing to the disk) is nobody's.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The cgroup above all of the bench's.
const PARENT: &str = "gantry-bench";

/// A contender's cgroup.
#[derive(Debug)]
pub struct CpuGroup {
    root: PathBuf,
    name: String,
}

impl CpuGroup {
    /// Makes the cgroup of a contender.
    pub fn make(name: &str) -> Result<Self, String> {
        let group = Self {
            root: hierarchy()?,
            name: name.to_owned(),
        };
        for part in ["engine", "client"] {
            let dir = group.dir().join(part);
            fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        Ok(group)
    }

    /// The whole group's directory.
    pub fn dir(&self) -> PathBuf {
        self.root.join(PARENT).join(&self.name)
    }

    /// The cgroup parent that containers are given.
    pub fn containers(&self) -> String {
        format!("/{PARENT}/{}/containers", self.name)
    }

    /// `words`, started inside the part of the group.
    pub fn inside(&self, part: &str, words: &[String]) -> Vec<String> {
        let procs = self.dir().join(part).join("cgroup.procs");
        let script = format!("echo $$ >{} && exec \"$0\" \"$@\"", procs.display());
        let mut all = vec!["sh".to_owned(), "-c".to_owned(), script];
        all.extend_from_slice(words);
        all
    }

    /// Processor time of everything in the group since it was made.
    pub fn usage(&self) -> Result<Duration, String> {
        let dir = self.dir();
        let v1 = dir.join("cpuacct.usage");
        if v1.exists() {
            let nanos = read(&v1)?.trim().parse().map_err(|_| "cpuacct.usage")?;
            return Ok(Duration::from_nanos(nanos));
        }
        let text = read(&dir.join("cpu.stat"))?;
        let micros = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))
            .and_then(|text| text.parse().ok())
            .ok_or("cpu.stat has no usage_usec")?;
        Ok(Duration::from_micros(micros))
    }

    /// The processes of the group but for the clients.
    pub fn processes(&self) -> Vec<u32> {
        processes_but(&self.dir(), Some("client"))
    }
}

/// The groups of all contenders that there are.
pub fn groups() -> Vec<PathBuf> {
    let parent = hierarchy().map(|root| root.join(PARENT));
    let below = parent.ok().and_then(|dir| fs::read_dir(dir).ok());
    let paths = below.into_iter().flatten().flatten().map(|e| e.path());
    paths.filter(|path| path.is_dir()).collect()
}

/// All processes of a group.
pub fn processes(dir: &Path) -> Vec<u32> {
    processes_but(dir, None)
}

fn processes_but(dir: &Path, left_out: Option<&str>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        let below = fs::read_dir(&dir).into_iter().flatten().flatten();
        let below = below.map(|entry| entry.path()).filter(|path| path.is_dir());
        dirs.extend(below.filter(|path| left_out.is_none_or(|name| !path.ends_with(name))));
    }
    found
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        remove(&self.dir());
        let _ = fs::remove_dir(self.root.join(PARENT));
    }
}

/// Removes the cgroups of a group; what is dead leaves them in its own time.
pub fn remove(dir: &Path) {
    for _ in 0..20 {
        remove_tree(dir);
        if !dir.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}

/// Where the hierarchy that counts processor time is mounted.
fn hierarchy() -> Result<PathBuf, String> {
    let mut unified = None;
    for (at, controllers) in hierarchies()? {
        match controllers {
            Some(names) if names.split([' ', ',']).any(|word| word == "cpuacct") => {
                return Ok(at);
            }
            Some(_) => {}
            None => unified = Some(at),
        }
    }
    unified.ok_or_else(|| "no cgroup hierarchy counts processor time".to_owned())
}

/// Where hierarchies are mounted, with the controllers of those of version 1.
fn hierarchies() -> Result<Vec<(PathBuf, Option<String>)>, String> {
    let table = read(Path::new("/proc/self/mountinfo"))?;
    let mounted = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let at = PathBuf::from(before.split(' ').nth(4)?);
        match after.split(' ').next()? {
            "cgroup" => Some((at, Some(after.to_owned()))),
            "cgroup2" => Some((at, None)),
            _ => None,
        }
    };
    Ok(table.lines().filter_map(mounted).collect())
}

/// The cgroup above all of the bench's, in every hierarchy.
pub fn everywhere() -> Vec<PathBuf> {
    let all = hierarchies().unwrap_or_default();
    all.into_iter().map(|(at, _)| at.join(PARENT)).collect()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
