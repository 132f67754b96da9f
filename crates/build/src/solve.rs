//! From a graph to results: what is known is taken from the cache, what is needed is
//! run, as much at the same time as there are processors.
//!
//! First, from the wanted steps backwards, each step is looked up by its definition; a
//! step whose result is known needs no inputs. Then those that remain are run as soon
//! as their inputs are there, unless their contents turn out to be known.

use gantry_types::sort::IntoMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gantry_image::{Epoch, ImageStore, Lease};
use gantry_snapshot::SnapshotDriver;
use gantry_types::DiffId;

use crate::cache::{Cache, Entry, Stored};
use crate::graph::{Exec, Graph, Local, Node, NodeId, Op};
use crate::imports::Imports;
use crate::key::{self, ByContent, ByDefinition, Inputs, Parts};
use crate::{Error, Result};

/// How the keys of file systems begin that a step is changing.
pub const KEY: &str = "unpack-build-";

/// How often a build begins anew because its context was changed meanwhile.
const ATTEMPTS: usize = 3;

/// What a step has become.
#[derive(Debug, Clone)]
pub enum Value {
    /// A directory of the host.
    Tree(Arc<Local>),
    /// Layers.
    Layers(Layers),
}

/// Layers that a step has become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    /// Bottom first.
    pub diff_ids: Vec<DiffId>,
    /// When the topmost was made, in nanoseconds since 1970; 0 for an image's.
    pub created: i64,
    /// Sum of the sizes of the files that the step has made.
    pub size: u64,
    /// The name of the result in the cache.
    pub stored: Option<String>,
    /// Whether it was known.
    pub cached: bool,
}

impl Value {
    /// Its layers; none for a directory.
    pub fn diff_ids(&self) -> &[DiffId] {
        match self {
            Self::Tree(_) => &[],
            Self::Layers(layers) => &layers.diff_ids,
        }
    }
}

/// What happens to a step.
#[derive(Debug)]
pub enum Event<'e> {
    /// It is not known: what its place depended on, and on what it depends now.
    Missed(Option<Parts>, &'e Parts),
    /// It is begun.
    Started,
    /// It says something.
    Output(RunOutput<'e>),
    /// It is done.
    Done(&'e Layers),
}

/// What a running command says.
#[derive(Debug, Clone)]
pub enum RunOutput<'o> {
    /// On its standard output.
    Stdout(&'o [u8]),
    /// On its error output.
    Stderr(&'o [u8]),
    /// It runs in this container.
    Container(String),
    /// That container is removed.
    Removed(String),
}

/// A command to be run.
pub struct StepRun<'r> {
    /// What.
    pub exec: &'r Exec,
    /// The snapshot that its file system stands on.
    pub below: Option<String>,
    /// The results that its mounts take files from.
    pub values: &'r dyn Fn(NodeId) -> Option<Value>,
    /// Whether it is to end now.
    pub cancelled: &'r (dyn Fn() -> bool + Sync),
}

/// Why a command has not made a result.
#[derive(Debug)]
pub enum RunFailure {
    /// It ended so.
    Exit(i32),
    /// It could not be begun.
    NotBegun(Error),
    /// What it needs could not be made, or what it left could not be kept.
    Error(Error),
}

impl From<Error> for RunFailure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Runs commands as containers are run.
pub trait Executor: Sync {
    /// Runs a command in a new file system, and calls `keep` with the key of its
    /// snapshot when it has ended well; that answers the snapshot which it has become.
    /// Nothing is left afterwards that nobody has asked for.
    ///
    /// # Errors
    /// `Exit` when it did not end well; those of `keep`.
    fn run(
        &self,
        step: &StepRun<'_>,
        say: &(dyn Fn(RunOutput<'_>) + Sync),
        keep: &mut dyn FnMut(&str) -> Result<Option<String>>,
    ) -> Result<(), RunFailure>;

    /// Whether these are the layers of an image that is not here yet.
    fn is_distant(&self, layers: &[DiffId]) -> bool;

    /// Brings the layers of an image here, which the build holds then; `id` is the step that
    /// they are.
    ///
    /// # Errors
    /// When they cannot be had.
    fn bring(&self, id: NodeId, layers: &[DiffId]) -> Result<()>;

    /// Whether a path below a container's root is one that every container has.
    fn is_scaffold(&self, path: &[u8]) -> bool;
}

/// What a graph is solved with.
pub struct Solver<'s> {
    /// Where layers go.
    pub images: &'s ImageStore,
    /// Where they are.
    pub snapshots: &'s Arc<dyn SnapshotDriver>,
    /// What is known.
    pub cache: &'s Cache,
    /// What others have made.
    pub imports: Option<&'s dyn Imports>,
    /// Who runs commands.
    pub executor: &'s dyn Executor,
    /// Keeps everything that is needed.
    pub lease: &'s Lease,
    /// What [`Cache::begin`] has said.
    pub since: Epoch,
    /// Told what happens.
    pub tell: &'s (dyn Fn(NodeId, Event<'_>) + Sync),
    /// Whether all is to end.
    pub cancelled: &'s (dyn Fn() -> bool + Sync),
    /// Whether the reason of each miss is looked for.
    pub explain: bool,
    /// The latest time that files of new layers may have, in seconds since 1970.
    pub latest: Option<i64>,
}

/// What is known of each step before anything is run.
struct Plan {
    keys: Vec<String>,
    values: Vec<Option<Value>>,
    needed: Vec<bool>,
}

/// What the workers share.
struct Work {
    values: Vec<Option<Value>>,
    /// For how many others each waits.
    waiting: Vec<usize>,
    /// Who waits for each.
    waiters: Vec<Vec<NodeId>>,
    ready: VecDeque<NodeId>,
    left: usize,
    failure: Option<Error>,
}

impl Solver<'_> {
    /// Finds or makes what is wanted. The answer has every step whose result is known
    /// by then, also such that nobody needed.
    ///
    /// # Errors
    /// The first failure of a step; `Cancelled`; `Changing` when a client's own directory
    /// does not stay the same for long enough.
    pub fn solve(&self, graph: &Graph, wanted: &[NodeId]) -> Result<BTreeMap<NodeId, Value>> {
        let mut held = Vec::new();
        let mut solved = self.solve_holding(graph, wanted, &mut held);
        for _ in 1..ATTEMPTS {
            if matches!(solved, Err(Error::Changing)) {
                solved = self.solve_holding(graph, wanted, &mut held);
            }
        }
        self.cache.release(&held);
        solved
    }

    fn solve_holding(
        &self,
        graph: &Graph,
        wanted: &[NodeId],
        held: &mut Vec<String>,
    ) -> Result<BTreeMap<NodeId, Value>> {
        let plan = self.plan(graph, wanted, held)?;
        let values = self.run(graph, &plan, held)?;
        let known = values.into_iter().enumerate();
        Ok(known
            .filter_map(|(id, value)| Some((id, value?)))
            .into_map())
    }

    /// All that a step's layers depend on.
    fn parts(&self, op: &Op, inputs: &impl Inputs) -> Result<Parts> {
        let mut parts = key::parts(op, inputs)?;
        if let (Some(latest), Op::Exec(_) | Op::Files { .. }) = (self.latest, op) {
            parts.push(("latest time".to_owned(), latest.to_string()));
        }
        Ok(parts)
    }

    /// Looks up each step by its definition.
    fn plan(&self, graph: &Graph, wanted: &[NodeId], held: &mut Vec<String>) -> Result<Plan> {
        let count = graph.nodes.len();
        let mut keys = Vec::with_capacity(count);
        let mut shaky = vec![false; count];
        for (id, node) in graph.nodes.iter().enumerate() {
            let inputs = ByDefinition {
                graph,
                keys: &keys,
                snapshots: self.snapshots,
            };
            let parts = self.blame(id, self.parts(&node.op, &inputs))?;
            shaky[id] = node.fresh || node.op.inputs().iter().any(|input| shaky[*input]);
            keys.push(key::of("definition", &parts));
            self.check()?;
        }
        let mut plan = Plan {
            keys,
            values: vec![None; count],
            needed: vec![false; count],
        };
        for id in wanted {
            plan.needed[*id] = true;
        }
        for id in (0..count).rev() {
            plan.values[id] = match &graph.nodes[id].op {
                // What nobody needs stays where it is.
                Op::Layers(diff_ids) if plan.needed[id] && self.executor.is_distant(diff_ids) => {
                    None
                }
                Op::Layers(diff_ids) => Some(Value::Layers(Layers {
                    diff_ids: diff_ids.clone(),
                    ..Layers::default()
                })),
                Op::Local(local) => Some(Value::Tree(Arc::clone(local))),
                _ if shaky[id] => None,
                _ => self.look_up(graph, &plan, id, held)?,
            };
            if plan.needed[id] && plan.values[id].is_none() {
                for input in graph.nodes[id].op.inputs() {
                    plan.needed[input] = true;
                }
            }
        }
        for id in 0..count {
            if let Some(Value::Layers(layers)) = &plan.values[id] {
                (self.tell)(id, Event::Done(layers));
            }
        }
        Ok(plan)
    }

    /// A step whose inputs are not there has failed before it was begun.
    fn blame<T>(&self, id: NodeId, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !matches!(error, Error::Cancelled)
        {
            (self.tell)(id, Event::Started);
        }
        result
    }

    /// Looks a step up by its definition; one that nobody needs is not brought here.
    fn look_up(
        &self,
        graph: &Graph,
        plan: &Plan,
        id: NodeId,
        held: &mut Vec<String>,
    ) -> Result<Option<Value>> {
        let (node, key) = (&graph.nodes[id], &plan.keys[id]);
        let found = match (graph.known.get(&id), plan.needed[id]) {
            (Some(known), _) => match self.told(node, key, known)? {
                Some(stored) => Some(stored),
                None => self.cache.find(key, self.lease)?,
            },
            (None, true) => self.find(node, key)?,
            (None, false) => self.cache.find(key, self.lease)?,
        };
        let Some(stored) = found else {
            return Ok((!plan.needed[id]).then(|| self.heard_of(key)).flatten());
        };
        self.cache.hold(&stored.id);
        held.push(stored.id.clone());
        Ok(Some(Value::Layers(known(stored))))
    }

    fn check(&self) -> Result<()> {
        match (self.cancelled)() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    fn run(
        &self,
        graph: &Graph,
        plan: &Plan,
        held: &mut Vec<String>,
    ) -> Result<Vec<Option<Value>>> {
        let open = |id: &NodeId| plan.needed[*id] && plan.values[*id].is_none();
        let missing: Vec<NodeId> = (0..graph.nodes.len()).filter(open).collect();
        let mut work = Work {
            values: plan.values.clone(),
            waiting: vec![0; graph.nodes.len()],
            waiters: vec![Vec::new(); graph.nodes.len()],
            ready: VecDeque::new(),
            left: missing.len(),
            failure: None,
        };
        for id in &missing {
            let mut inputs = graph.nodes[*id].op.inputs();
            inputs.sort_unstable();
            inputs.dedup();
            for input in inputs.into_iter().filter(open) {
                work.waiting[*id] += 1;
                work.waiters[input].push(*id);
            }
            if work.waiting[*id] == 0 {
                work.ready.push_back(*id);
            }
        }
        let work = (Mutex::new(work), Condvar::new());
        let stop = AtomicBool::new(false);
        let kept = Mutex::new(Vec::new());
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..missing.len().min(processors.max(2)) {
                scope.spawn(|| self.work(graph, plan, &work, &stop, &kept));
            }
            self.work(graph, plan, &work, &stop, &kept);
        });
        held.extend(kept.into_inner().unwrap_or_else(PoisonError::into_inner));
        let work = work.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        match work.failure {
            Some(error) => Err(error),
            None => Ok(work.values),
        }
    }

    /// Takes steps that can be run until there are none.
    fn work(
        &self,
        graph: &Graph,
        plan: &Plan,
        (work, news): &(Mutex<Work>, Condvar),
        stop: &AtomicBool,
        kept: &Mutex<Vec<String>>,
    ) {
        loop {
            let id = {
                let mut work = lock(work);
                loop {
                    if work.left == 0 || work.failure.is_some() {
                        return;
                    }
                    if let Some(id) = work.ready.pop_front() {
                        break id;
                    }
                    work = news.wait(work).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let values = |input: NodeId| lock(work).values[input].clone();
            let cancelled = || stop.load(Ordering::Relaxed) || (self.cancelled)();
            let made = self.step(graph, plan, id, &values, &cancelled);
            let mut work = lock(work);
            match made {
                Ok(layers) => {
                    if let Some(stored) = &layers.stored {
                        self.cache.hold(stored);
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(stored.clone());
                    }
                    work.values[id] = Some(Value::Layers(layers));
                    work.left -= 1;
                    for next in std::mem::take(&mut work.waiters[id]) {
                        work.waiting[next] -= 1;
                        if work.waiting[next] == 0 {
                            work.ready.push_back(next);
                        }
                    }
                }
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    work.failure.get_or_insert(error);
                }
            }
            news.notify_all();
        }
    }

    /// Finds a step by its contents, or runs it.
    fn step(
        &self,
        graph: &Graph,
        plan: &Plan,
        id: NodeId,
        values: &dyn Fn(NodeId) -> Option<Value>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Layers> {
        if cancelled() {
            return Err(Error::Cancelled);
        }
        let node = &graph.nodes[id];
        if let Op::Layers(diff_ids) = &node.op {
            return self.bring(id, diff_ids);
        }
        let inputs = ByContent {
            values,
            snapshots: self.snapshots,
        };
        let parts = self.blame(id, self.parts(&node.op, &inputs))?;
        let key = key::of("contents", &parts);
        let _alone = match node.fresh {
            true => None,
            false => Some(self.cache.run_alone(&key, cancelled)?),
        };
        if !node.fresh
            && let Some(stored) = self.find(node, &key)?
        {
            self.unchanged(graph, plan, id)?;
            self.cache.also(&plan.keys[id], &stored.id)?;
            let layers = known(stored);
            (self.tell)(id, Event::Done(&layers));
            return Ok(layers);
        }
        let apart = key::apart(&node.op, &parts);
        let below = match node.op.inputs().first() {
            Some(root) if has_root(&node.op) => values(*root),
            _ => None,
        };
        let entry = Entry {
            kind: node.op.kind().to_owned(),
            place: node.place.clone(),
            description: node.label.clone(),
            inputs: parts,
            parent: match &below {
                Some(Value::Layers(below)) => below.stored.clone(),
                _ => None,
            },
            ..Entry::default()
        };
        let mut keys = vec![plan.keys[id].clone(), key];
        if let Some(apart) = apart.as_ref().filter(|_| !node.fresh)
            && let Some(mut layers) = self.moved(node, apart, below.as_ref())?
        {
            self.unchanged(graph, plan, id)?;
            layers.stored = Some(self.cache.insert(&entry.of(&layers), &keys, self.since)?);
            (self.tell)(id, Event::Done(&layers));
            return Ok(layers);
        }
        if self.explain {
            let before = self.cache.inputs_at(&node.place)?;
            (self.tell)(id, Event::Missed(before, &entry.inputs));
        }
        (self.tell)(id, Event::Started);
        let mut layers = self.make(id, &node.op, below.as_ref(), values, cancelled)?;
        self.unchanged(graph, plan, id)?;
        layers.created = gantry_metadata::now();
        let under = below.as_ref().map_or(0, |below| below.diff_ids().len());
        keys.extend(apart.filter(|_| layers.diff_ids.len() > under));
        layers.stored = Some(self.cache.insert(&entry.of(&layers), &keys, self.since)?);
        (self.tell)(id, Event::Done(&layers));
        Ok(layers)
    }

    /// A layer that was made on others, and that fits on everything.
    fn moved(&self, node: &Node, key: &str, below: Option<&Value>) -> Result<Option<Layers>> {
        let found = self.find(node, key)?;
        let top = found.as_ref().and_then(|stored| stored.diff_ids.last());
        let (Some(stored), Some(top)) = (&found, top) else {
            return Ok(None);
        };
        let mut diff_ids = below.map_or_else(Vec::new, |below| below.diff_ids().to_vec());
        diff_ids.push(*top);
        self.images.stack(&diff_ids, self.lease, self.since)?;
        Ok(Some(Layers {
            diff_ids,
            created: stored.created,
            size: stored.size,
            stored: None,
            cached: true,
        }))
    }

    /// Brings the layers of an image here.
    fn bring(&self, id: NodeId, diff_ids: &[DiffId]) -> Result<Layers> {
        (self.tell)(id, Event::Started);
        self.executor.bring(id, diff_ids)?;
        let layers = Layers {
            diff_ids: diff_ids.to_vec(),
            ..Layers::default()
        };
        (self.tell)(id, Event::Done(&layers));
        Ok(layers)
    }

    /// Checks that what a step takes from a client's own directory is still what its key
    /// says. Else neither that nor the keys of later steps are true.
    fn unchanged(&self, graph: &Graph, plan: &Plan, id: NodeId) -> Result<()> {
        let op = &graph.nodes[id].op;
        let is_live = |input: &NodeId| match &graph.nodes[*input].op {
            Op::Local(local) => local.live.is_some(),
            _ => false,
        };
        if !op.inputs().iter().any(is_live) {
            return Ok(());
        }
        let inputs = ByDefinition {
            graph,
            keys: &plan.keys,
            snapshots: self.snapshots,
        };
        match key::of("definition", &self.parts(op, &inputs)?) == plan.keys[id] {
            true => Ok(()),
            false => Err(Error::Changing),
        }
    }
}

fn has_root(op: &Op) -> bool {
    match op {
        Op::Exec(exec) => exec.root.is_some(),
        Op::Files { root, .. } => root.is_some(),
        Op::Layers(_) | Op::Local(_) | Op::Merge(_) | Op::Diff { .. } => false,
    }
}

fn known(stored: Stored) -> Layers {
    Layers {
        diff_ids: stored.diff_ids,
        created: stored.created,
        size: stored.size,
        stored: Some(stored.id),
        cached: true,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
