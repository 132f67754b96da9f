//! All that an engine has in the kernel and on disk at one moment, so that two
//! moments can be compared: what came in between and did not go was left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::engine::Engine;
use super::outcome::{finish, script};

/// How many things are kept ready at most.
const POOLED: usize = 16;

/// What an engine holds, as sorted words; the same thing has the same word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Kind and thing.
    pub things: BTreeSet<String>,
    /// Things that have no name, only a number.
    pub counts: BTreeMap<&'static str, usize>,
}

impl Traces {
    /// Takes stock of `engine`.
    pub fn of(engine: &Engine) -> Self {
        let mut traces = Self::default();
        let dir = engine.dir().display().to_string();
        let mine = traces.processes(engine, &dir);
        traces.namespaces(&dir, &mine);
        traces.cgroups(engine);
        traces.network(engine.pid());
        traces.daemon(engine.pid());
        for root in ["data", "run"] {
            traces.files(&engine.dir().join(root));
        }
        traces
    }

    /// What is here and was not in `before`. Pools of things that are kept ready may
    /// have filled by [`POOLED`]; a leak would be as large as the test.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let new = self.things.difference(&before.things).cloned();
        let more = self.counts.iter().filter_map(|(kind, count)| {
            let had = before.counts.get(kind).copied().unwrap_or(0);
            let pooled = matches!(*kind, "descriptors" | "held namespaces" | "sockets");
            (*count > had + if pooled { POOLED } else { 0 })
                .then(|| format!("{kind}: {count}, before: {had}"))
        });
        new.chain(more).collect()
    }

    /// Counts the processes that belong to the engine: the daemon's descendants,
    /// and all in its network namespace or its cgroups, or with its folder as a word.
    fn processes(&mut self, engine: &Engine, dir: &str) -> Vec<u32> {
        let root = engine.pid();
        let cgroup = engine.cgroup_parent();
        let netns = std::fs::read_link(format!("/proc/{root}/ns/net")).ok();
        let mut mine = Vec::new();
        for pid in pids() {
            let read = |file: &str| {
                let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let same_net = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
            let belongs = pid == root
                || (netns.is_some() && same_net == netns)
                || read("cgroup").contains(cgroup)
                || (read("cmdline").contains(dir) && pid != std::process::id());
            if belongs {
                mine.push(pid);
            }
        }
        self.counts.insert("processes", mine.len());
        mine
    }

    /// Mounts that name the engine's folder, in every mount namespace that can be
    /// reached, and the namespaces of the engine's processes.
    fn namespaces(&mut self, dir: &str, mine: &[u32]) {
        let mut seen = BTreeSet::new();
        for pid in pids() {
            let Ok(namespace) = std::fs::read_link(format!("/proc/{pid}/ns/mnt")) else {
                continue;
            };
            if !seen.insert(namespace.clone()) {
                continue;
            }
            let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"));
            for line in mounts.unwrap_or_default().lines() {
                if line.contains(dir) {
                    let line = line.split_once(' ').map_or(line, |(_, rest)| rest);
                    let place = namespace.display();
                    self.things.insert(format!("mount in {place}: {line}"));
                }
            }
        }
        for kind in ["mnt", "net", "pid", "ipc", "uts", "cgroup"] {
            let links = mine
                .iter()
                .filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok());
            for link in links.collect::<BTreeSet<_>>() {
                self.things.insert(format!("namespace: {}", link.display()));
            }
        }
    }

    fn cgroups(&mut self, engine: &Engine) {
        for parent in engine.cgroups() {
            let below = finish(script("find \"$D\" -type d").env("D", &parent), b"");
            let lines = below.stdout.lines().map(|line| format!("cgroup: {line}"));
            self.things.extend(lines);
        }
    }

    /// Interfaces and firewall rules of the daemon's network namespace.
    fn network(&mut self, daemon: u32) {
        let inside = |text: &str| {
            let text = format!("nsenter --net -t {daemon} -- {text}");
            finish(&mut script(&text), b"").stdout
        };
        let links = inside("ip -o link");
        let names = links.lines().filter_map(|line| line.split(": ").nth(1));
        self.counts.insert("interfaces", names.count());
        let rules = inside("nft list ruleset 2>/dev/null");
        self.counts
            .insert("lines of nf_tables", rules.lines().count());
        let neighbours = inside("ip neigh; ip route");
        self.counts.insert("routes", neighbours.lines().count());
    }

    /// The daemon's file descriptors by what they are, and its network namespaces.
    fn daemon(&mut self, pid: u32) {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let links = entries.into_iter().flatten().flatten();
        let links: Vec<String> = links
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|link| link.display().to_string())
            .collect();
        let begins = |word: &str| links.iter().filter(|link| link.starts_with(word)).count();
        self.counts.insert("descriptors", links.len());
        self.counts.insert("held namespaces", begins("net:"));
        self.counts.insert("sockets", begins("socket:"));
        self.counts.insert("pidfds", begins("anon_inode:[pidfd]"));
    }

    /// Every file and folder below `root`.
    fn files(&mut self, root: &Path) {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                self.things.insert(format!("file: {}", path.display()));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                }
            }
        }
    }
}

/// Every process of the machine.
fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect()
}

/// A line `Name: 123 kB` of `/proc/PID/status`, as a number.
pub fn status(pid: u32, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
