//! Keys of steps: numbers for all that a result depends on.
//!
//! Each step has two. The first follows from the definition alone: the step's own words
//! and the first keys of its inputs (of directories of the host: what the step takes
//! from them). It is known before anything is run. The second follows from what the
//! inputs have become: their layers, and of what is copied or seen only the contents.
//! It still fits when an input had to be made again and came out the same.

use std::sync::Arc;

use gantry_snapshot::SnapshotDriver;
use gantry_types::{Digest, Hasher};

use crate::files;
use crate::graph::{Action, Copying, Exec, Graph, MountKind, NodeId, Op, Plain, PlainCopy};
use crate::solve::Value;
use crate::{Result, plain, trees};

/// All that a step depends on: names and values.
pub(crate) type Parts = Vec<(String, String)>;

/// A key of that kind.
pub(crate) fn of(kind: &str, parts: &Parts) -> String {
    let mut hasher = Hasher::new();
    hasher.update(kind.as_bytes());
    for (name, value) in parts {
        for text in [name, value] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finish().to_string()
}

/// The key of a layer that does not depend on those below it; nothing for other steps.
pub(crate) fn apart(op: &Op, parts: &Parts) -> Option<String> {
    let Op::Files { apart: true, .. } = op else {
        return None;
    };
    let own = parts.iter().filter(|(name, _)| name != "below").cloned();
    Some(of("apart", &own.collect()))
}

/// How an input counts.
pub(crate) trait Inputs {
    /// The file system that a step changes.
    fn root(&self, input: NodeId) -> Result<String>;
    /// What a copy takes from a step.
    fn copied(&self, copying: &Copying) -> Result<String>;
    /// What a plain copy takes from a step.
    fn taken(&self, input: NodeId, copy: &PlainCopy) -> Result<String>;
    /// What a command sees of a step.
    fn seen(&self, input: NodeId, path: &str) -> Result<String>;
}

/// All that a step depends on.
pub(crate) fn parts(op: &Op, inputs: &impl Inputs) -> Result<Parts> {
    let mut parts = Parts::new();
    match op {
        Op::Layers(layers) => {
            for layer in layers {
                add(&mut parts, "layer", layer.to_string());
            }
        }
        Op::Local(local) => add(
            &mut parts,
            "directory",
            local.directory.display().to_string(),
        ),
        Op::Exec(exec) => self::exec(&mut parts, exec, inputs)?,
        Op::Merge(merged) => {
            for input in merged {
                add(&mut parts, "merged", inputs.root(*input)?);
            }
        }
        Op::Diff { lower, upper } => {
            for (name, input) in [("lower", lower), ("upper", upper)] {
                let key = input.map(|input| inputs.root(input)).transpose()?;
                add(&mut parts, name, key.unwrap_or_default());
            }
        }
        Op::Files {
            root,
            actions,
            apart,
        } => {
            if *apart {
                add(&mut parts, "apart", "");
            }
            if let Some(root) = root {
                add(&mut parts, "below", inputs.root(*root)?);
            }
            for action in actions {
                self::action(&mut parts, action, inputs)?;
            }
        }
    }
    Ok(parts)
}

fn add(parts: &mut Parts, name: impl Into<String>, value: impl Into<String>) {
    parts.push((name.into(), value.into()));
}

fn exec(parts: &mut Parts, exec: &Exec, inputs: &impl Inputs) -> Result<()> {
    if let Some(root) = exec.root {
        add(parts, "below", inputs.root(root)?);
    }
    for (number, arg) in exec.args.iter().enumerate() {
        add(parts, format!("argument {number}"), arg);
    }
    for variable in &exec.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        add(parts, format!("variable {name}"), value);
    }
    add(parts, "directory", &exec.cwd);
    add(parts, "user", &exec.user);
    add(parts, "network", &exec.network);
    add(parts, "insecure", exec.insecure.to_string());
    add(parts, "volumes", exec.volumes.join(" "));
    for (name, value) in [
        ("hosts", exec.hosts.join(" ")),
        ("hostname", exec.hostname.clone()),
        ("cgroup parent", exec.cgroup_parent.clone()),
        ("read-only", exec.read_only.to_string()),
    ] {
        add(parts, name, value);
    }
    if exec.shm_size != 0 {
        add(parts, "shared memory", exec.shm_size.to_string());
    }
    for (name, soft, hard) in &exec.ulimits {
        add(parts, format!("limit {name}"), format!("{soft} {hard}"));
    }
    for mount in &exec.mounts {
        let kind = match &mount.kind {
            MountKind::Bind => "bind".to_owned(),
            MountKind::Cache { id, .. } => format!("cache {id}"),
            MountKind::Tmpfs { size } => format!("tmpfs {size}"),
            MountKind::Secret {
                id, mode, owner, ..
            } => format!("secret {id} {mode:o} {owner:?}"),
            MountKind::Ssh {
                id, mode, owner, ..
            } => format!("ssh {id} {mode:o} {owner:?}"),
        };
        let text = format!("{kind} {} {}", mount.source, mount.writable);
        add(parts, format!("mount {}", mount.target), text);
        // A cache directory's first contents do not count: it may have others by now.
        if let (Some(from), MountKind::Bind) = (mount.from, &mount.kind) {
            let seen = inputs.seen(from, &mount.source)?;
            add(parts, format!("files in {}", mount.target), seen);
        }
    }
    Ok(())
}

fn action(parts: &mut Parts, action: &Action, inputs: &impl Inputs) -> Result<()> {
    match action {
        Action::Mkdir { path, owner } => add(parts, format!("directory {path}"), owner),
        Action::Mkfile {
            path,
            name,
            bytes,
            owner,
            mode,
        } => {
            let text = format!("{} {owner} {mode:o}", Digest::of(bytes));
            add(parts, format!("file {path} {name}"), text);
        }
        Action::NoFile { path } => add(parts, format!("no file {path}"), ""),
        Action::Plain(plain) => self::plain(parts, plain, inputs)?,
        Action::Copy(copy) => {
            // For the classic builder only what is taken counts, not how that was named.
            let from = match copy.classic {
                true => String::new(),
                false => copy.sources.join(" "),
            };
            let mut how = format!(
                "{:?} {:?} {} {} {:?}",
                copy.owner, copy.mode, copy.unpack, copy.parents, copy.exclude
            );
            // The two builders find owners in different ways, and give them to other files.
            if copy.classic && copy.owner.as_ref().is_some_and(|owner| !owner.is_empty()) {
                how.push_str(" classic");
            }
            add(parts, format!("copy {from} to {}", copy.target), how);
            add(parts, format!("files {from}"), inputs.copied(copy)?);
        }
    }
    Ok(())
}

/// Times do not count, as everywhere.
fn plain(parts: &mut Parts, plain: &Plain, inputs: &impl Inputs) -> Result<()> {
    match plain {
        Plain::Copy(copy) => {
            let how = PlainCopy {
                from: None,
                time: None,
                ..copy.clone()
            };
            add(parts, format!("copy {}", copy.source), format!("{how:?}"));
            if let Some(from) = copy.from {
                let files = inputs.taken(from, copy)?;
                add(parts, format!("files {}", copy.source), files);
            }
        }
        Plain::File {
            path,
            mode,
            bytes,
            owner,
            ..
        } => {
            let text = format!("{} {mode:o} {owner:?}", Digest::of(bytes));
            add(parts, format!("file {path}"), text);
        }
        Plain::Directory {
            path,
            mode,
            parents,
            owner,
            ..
        } => {
            let text = format!("{mode:o} {parents} {owner:?}");
            add(parts, format!("directory {path}"), text);
        }
        Plain::Link {
            to, path, owner, ..
        } => {
            add(parts, format!("link {path}"), format!("{to:?} {owner:?}"));
        }
        Plain::Remove {
            path,
            missing,
            wildcard,
        } => {
            add(
                parts,
                format!("remove {path}"),
                format!("{missing} {wildcard}"),
            );
        }
    }
    Ok(())
}

/// Inputs by their definitions.
pub(crate) struct ByDefinition<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) keys: &'g [String],
    pub(crate) snapshots: &'g Arc<dyn SnapshotDriver>,
}

impl ByDefinition<'_> {
    fn local(&self, input: NodeId) -> Option<Value> {
        match &self.graph.nodes[input].op {
            Op::Local(local) => Some(Value::Tree(Arc::clone(local))),
            _ => None,
        }
    }
}

impl Inputs for ByDefinition<'_> {
    fn root(&self, input: NodeId) -> Result<String> {
        Ok(self.keys[input].clone())
    }

    fn copied(&self, copying: &Copying) -> Result<String> {
        match self.local(copying.from) {
            Some(value) => copied(self.snapshots, &value, copying),
            // Nobody looks at its files yet: which they are is what was said.
            None => {
                let from = &self.keys[copying.from];
                Ok(format!("{from} {}", copying.sources.join(" ")))
            }
        }
    }

    fn taken(&self, input: NodeId, copy: &PlainCopy) -> Result<String> {
        match self.local(input) {
            Some(value) => taken(self.snapshots, &value, copy),
            None => Ok(self.keys[input].clone()),
        }
    }

    fn seen(&self, input: NodeId, path: &str) -> Result<String> {
        match self.local(input) {
            Some(value) => seen(self.snapshots, &value, path),
            None => Ok(self.keys[input].clone()),
        }
    }
}

/// Inputs by what they have become.
pub(crate) struct ByContent<'v> {
    pub(crate) values: &'v dyn Fn(NodeId) -> Option<Value>,
    pub(crate) snapshots: &'v Arc<dyn SnapshotDriver>,
}

impl ByContent<'_> {
    fn value(&self, input: NodeId) -> Result<Value> {
        (self.values)(input).ok_or_else(|| {
            crate::Error::Failed(format!("step {input} has no result, but another needs it"))
        })
    }
}

impl Inputs for ByContent<'_> {
    fn root(&self, input: NodeId) -> Result<String> {
        match self.value(input)? {
            Value::Layers(layers) => {
                let ids: Vec<String> = layers.diff_ids.iter().map(ToString::to_string).collect();
                Ok(ids.join(" "))
            }
            Value::Tree(local) => Ok(local.directory.display().to_string()),
        }
    }

    fn copied(&self, copying: &Copying) -> Result<String> {
        copied(self.snapshots, &self.value(copying.from)?, copying)
    }

    fn taken(&self, input: NodeId, copy: &PlainCopy) -> Result<String> {
        taken(self.snapshots, &self.value(input)?, copy)
    }

    fn seen(&self, input: NodeId, path: &str) -> Result<String> {
        seen(self.snapshots, &self.value(input)?, path)
    }
}

fn copied(snapshots: &Arc<dyn SnapshotDriver>, value: &Value, copying: &Copying) -> Result<String> {
    let tree = trees::open(snapshots, value)?;
    Ok(files::digest(&tree, copying)?.to_string())
}

fn taken(snapshots: &Arc<dyn SnapshotDriver>, value: &Value, copy: &PlainCopy) -> Result<String> {
    let tree = trees::open(snapshots, value)?;
    Ok(plain::digest(&tree, copy)?.to_string())
}

fn seen(snapshots: &Arc<dyn SnapshotDriver>, value: &Value, path: &str) -> Result<String> {
    let tree = trees::open(snapshots, value)?;
    Ok(files::digest_path(&tree, path)?.to_string())
}
