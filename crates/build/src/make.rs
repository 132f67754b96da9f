//! Runs one step of a graph: a command by the executor, file operations here, and
//! what comes of it becomes a layer.

use gantry_sys::RootDir;
use gantry_types::{ChainId, DiffId};

use crate::cache::random_name;
use crate::graph::{Action, Exec, NodeId, Op, Plain};
use crate::solve::{Event, KEY, Layers, RunFailure, RunOutput, Solver, StepRun, Value};
use crate::trees::Tree;
use crate::{Error, Result, files, trees, whose};

impl Solver<'_> {
    /// Runs a step.
    pub(crate) fn make(
        &self,
        id: NodeId,
        op: &Op,
        below: Option<&Value>,
        values: &dyn Fn(NodeId) -> Option<Value>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Layers> {
        let below: Vec<DiffId> = below.map_or_else(Vec::new, |value| value.diff_ids().to_vec());
        let top = ChainId::chain(&below).last().map(ToString::to_string);
        let mut made = None;
        match op {
            Op::Exec(exec) => {
                let step = StepRun {
                    exec,
                    below: top,
                    values,
                    cancelled,
                };
                let say = |output: RunOutput<'_>| (self.tell)(id, Event::Output(output));
                let stubs = self.stubs(exec, &below)?;
                let mut keep = |key: &str| {
                    if !stubs.is_empty() {
                        files::remove_stubs(&trees::mount(self.snapshots, key)?, &stubs);
                    }
                    made = self.commit(key, &below)?;
                    let layers = below.iter().copied();
                    let layers: Vec<DiffId> =
                        layers.chain(made.map(|layer| layer.diff_id)).collect();
                    Ok(ChainId::chain(&layers).last().map(ToString::to_string))
                };
                let ran = self.executor.run(&step, &say, &mut keep);
                ran.map_err(|failure| match failure {
                    _ if cancelled() => Error::Cancelled,
                    RunFailure::Exit(code) => Error::Exit {
                        command: exec.shown.clone(),
                        code,
                    },
                    RunFailure::Error(error) => error,
                    RunFailure::NotBegun(error) => Error::NotBegun {
                        command: exec.shown.clone(),
                        error: Box::new(error),
                    },
                })?;
            }
            Op::Files { actions, apart, .. } => {
                let key = format!("{KEY}{}", random_name()?);
                let seen = top.as_deref().filter(|_| !apart);
                self.snapshots.create(&key, seen)?;
                if let Err(error) = self.act(&key, actions, values, cancelled) {
                    self.snapshots.remove(&key)?;
                    return Err(error);
                }
                // Where layers do not depend on each other, it becomes one there at once.
                let alone = *apart && !self.snapshots.capabilities().independent_layers;
                made = match alone {
                    true => self.commit(&key, &[])?,
                    false => self.commit(&key, &below)?,
                };
                if let (true, Some(layer)) = (alone, made) {
                    let layers: Vec<DiffId> =
                        below.iter().copied().chain([layer.diff_id]).collect();
                    self.images.stack(&layers, self.lease, self.since)?;
                }
            }
            Op::Merge(inputs) => return self.merge(inputs, values),
            Op::Diff { lower, upper } => return self.diff(*lower, *upper, values),
            Op::Layers(_) | Op::Local(_) => {}
        }
        let mut diff_ids = below;
        diff_ids.extend(made.map(|layer| layer.diff_id));
        Ok(Layers {
            diff_ids,
            size: made.map_or(0, |layer| layer.size),
            ..Layers::default()
        })
    }

    /// The layers of all on each other.
    fn merge(&self, inputs: &[NodeId], values: &dyn Fn(NodeId) -> Option<Value>) -> Result<Layers> {
        let mut diff_ids = Vec::new();
        for input in inputs {
            diff_ids.extend(layers_of(values(*input))?);
        }
        self.stacked(diff_ids)
    }

    /// The layers that `upper` has on those of `lower`.
    fn diff(
        &self,
        lower: Option<NodeId>,
        upper: Option<NodeId>,
        values: &dyn Fn(NodeId) -> Option<Value>,
    ) -> Result<Layers> {
        let layers = |input: Option<NodeId>| match input {
            Some(input) => layers_of(values(input)),
            None => Ok(Vec::new()),
        };
        let (lower, upper) = (layers(lower)?, layers(upper)?);
        match upper.strip_prefix(lower.as_slice()) {
            Some(more) => self.stacked(more.to_vec()),
            None => Err(Error::Unsupported(
                "the difference of results that do not stand on each other is not supported"
                    .to_owned(),
            )),
        }
    }

    fn stacked(&self, diff_ids: Vec<DiffId>) -> Result<Layers> {
        self.images.stack(&diff_ids, self.lease, self.since)?;
        Ok(Layers {
            diff_ids,
            ..Layers::default()
        })
    }

    /// What is not there yet of the places of a command's mounts: it is made for them,
    /// and is no part of the result. The deepest come first.
    fn stubs(&self, exec: &Exec, below: &[DiffId]) -> Result<Vec<String>> {
        if exec.mounts.is_empty() {
            return Ok(Vec::new());
        }
        let value = Value::Layers(Layers {
            diff_ids: below.to_vec(),
            ..Layers::default()
        });
        let tree = trees::open(self.snapshots, &value)?;
        let mut stubs = Vec::new();
        for mount in &exec.mounts {
            let mut path = mount.target.trim_matches('/');
            while !path.is_empty() && tree.find(path)?.is_none() {
                stubs.push(path.to_owned());
                path = path.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        gantry_types::sort::by_key(&mut stubs, |path| {
            std::cmp::Reverse(path.matches('/').count())
        });
        Ok(stubs)
    }

    fn commit(&self, key: &str, below: &[DiffId]) -> Result<Option<gantry_image::StepLayer>> {
        let ignore = |path: &[u8]| self.executor.is_scaffold(path);
        let key = (key, self.since);
        Ok(self
            .images
            .commit_step(key, below, self.lease, &ignore, self.latest)?)
    }

    /// File operations, on a thread that older kernels let mount where nobody sees it.
    fn act(
        &self,
        key: &str,
        actions: &[Action],
        values: &dyn Fn(NodeId) -> Option<Value>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let root = trees::mount(self.snapshots, key)?;
        for action in actions {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            self.action(&root, action, values)?;
        }
        Ok(())
    }

    fn action(
        &self,
        root: &RootDir,
        action: &Action,
        values: &dyn Fn(NodeId) -> Option<Value>,
    ) -> Result<()> {
        match action {
            Action::Mkdir { path, owner } => {
                files::make_directories(root, path, whose::anyone(root, owner))
            }
            Action::Mkfile {
                path,
                name,
                bytes,
                owner,
                mode,
            } => {
                let owner = whose::anyone(root, owner);
                let directory = path.ends_with('/') || files::is_directory(root, path);
                let path = match directory {
                    true => format!("{}/{name}", path.trim_end_matches('/')),
                    false => path.clone(),
                };
                files::make_file(root, &path, bytes, owner, *mode)
            }
            Action::NoFile { path } => match Tree::of(root)?.find(path)? {
                Some(place) if !place.directory => Err(Error::Failed(format!(
                    "cannot mount volume over existing file, file exists {path}"
                ))),
                _ => Ok(()),
            },
            Action::Plain(plain) => {
                let from = match plain {
                    Plain::Copy(copy) => copy.from.and_then(values),
                    _ => None,
                };
                let tree = from.map(|value| trees::open(self.snapshots, &value));
                crate::plain::act(root, plain, tree.transpose()?.as_ref())
            }
            Action::Copy(copying) => {
                let value = values(copying.from).ok_or_else(|| {
                    Error::Failed("a step has no result, but another needs it".to_owned())
                })?;
                let tree = trees::open(self.snapshots, &value)?;
                files::copy(root, &tree, copying)
            }
        }
    }
}

fn layers_of(value: Option<Value>) -> Result<Vec<DiffId>> {
    match value {
        Some(Value::Layers(layers)) => Ok(layers.diff_ids),
        Some(Value::Tree(_)) => Err(Error::Unsupported(
            "directories of a client are no layers that can be merged: copy them first".to_owned(),
        )),
        None => Err(Error::Failed(
            "a step has no result, but another needs it".to_owned(),
        )),
    }
}
