//! A command of a step, in a container like any other: the same supervisor, network,
//! seccomp profile and cgroups. The container goes with the step.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use gantry_api::{Config, ContainerCreate, Empty, HostConfig, LogConfig, Ulimit};
use gantry_build::context;
use gantry_build::dockerfile::Dialect;
use gantry_build::graph::{ExecMount, MountKind, Sharing};
use gantry_build::{Error as BuildError, Executor, NodeId, RunFailure, RunOutput, StepRun, Value};
use gantry_types::{ChainId, DiffId};

use super::Inner;
use super::agents::Listening;
use super::cache_mount::CacheMount;
use super::removal::Removal;
use super::request::BuildRequest;
use super::space::Space;
use super::world::{Images, told};
use crate::containers::{StepMount, StepSource, without_runtime};
use crate::error::Error;

/// How often a running command is looked at for whether it is still wanted.
const TICK: Duration = Duration::from_millis(50);
/// The largest piece of output that is passed on at once.
const PIECE: usize = 64 << 10;

/// Cache directories of which each is used by one step at a time.
#[derive(Default)]
pub(super) struct Locks {
    taken: Mutex<BTreeMap<String, ()>>,
    freed: Condvar,
}

/// Runs the commands of one build.
pub(super) struct Steps<'b> {
    pub(super) inner: &'b Arc<Inner>,
    pub(super) request: &'b BuildRequest,
    pub(super) world: &'b Images<'b>,
    pub(super) removal: Removal,
}

/// What a command needs besides its container.
#[derive(Default)]
struct Around<'l> {
    mounts: Vec<StepMount>,
    env: Vec<String>,
    space: Option<Space>,
    locks: Vec<Locked<'l>>,
    agents: Vec<Listening>,
}

struct Locked<'l> {
    locks: &'l Locks,
    id: String,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let taken = self.locks.taken.lock();
        taken
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        self.locks.freed.notify_all();
    }
}

impl Executor for Steps<'_> {
    fn run(
        &self,
        step: &StepRun<'_>,
        say: &(dyn Fn(RunOutput<'_>) + Sync),
        keep: &mut dyn FnMut(&str) -> gantry_build::Result<Option<String>>,
    ) -> Result<(), RunFailure> {
        let around = self.around(step).map_err(RunFailure::Error)?;
        let request = self.container(step, &around);
        let containers = &self.inner.containers;
        let fail = |error: Error| RunFailure::Error(told(error));
        let alone = around.mounts.is_empty();
        let container = containers
            .create_step(request, step.below.clone(), around.mounts)
            .map_err(|error| RunFailure::NotBegun(told(error)))?;
        let ran = self.follow(&container, step, say, keep);
        let stays = match &ran {
            Ok(_) => self.request.kept.done,
            Err(RunFailure::Exit(_)) => self.request.kept.failed,
            Err(_) => false,
        };
        let ended = match (stays, &ran) {
            // The next step need not wait for that.
            (false, Ok(_)) if alone => self.removal.begin(self.inner, container.clone()),
            (false, _) => containers.remove_step(&container),
            // Its files have become a layer: it gets that.
            (true, Ok(top)) => self
                .inner
                .snapshots
                .create(&container, top.as_deref())
                .map_err(Error::from)
                .and_then(|()| containers.keep_step(&container)),
            (true, Err(_)) => containers.keep_step(&container),
        };
        drop((around.agents, around.space, around.locks));
        ran?;
        ended.map_err(fail)?;
        if !stays {
            say(RunOutput::Removed(container));
        }
        Ok(())
    }

    fn is_distant(&self, layers: &[DiffId]) -> bool {
        self.world.is_distant(layers)
    }

    fn bring(&self, node: NodeId, layers: &[DiffId]) -> gantry_build::Result<()> {
        self.world.bring(node, layers)
    }

    fn is_scaffold(&self, path: &[u8]) -> bool {
        crate::containers::is_scaffold(path)
    }
}

impl Steps<'_> {
    /// Starts the container, passes on what it says, and keeps its files.
    fn follow(
        &self,
        container: &str,
        step: &StepRun<'_>,
        say: &(dyn Fn(RunOutput<'_>) + Sync),
        keep: &mut dyn FnMut(&str) -> gantry_build::Result<Option<String>>,
    ) -> Result<Option<String>, RunFailure> {
        let fail = |error: Error| RunFailure::Error(told(error));
        let containers = &self.inner.containers;
        let socket = containers.attach_step(container).map_err(fail)?;
        say(RunOutput::Container(container.to_owned()));
        containers
            .start(container)
            .map_err(|error| self.not_begun(error, say))?;
        listen(&socket, step.cancelled, say)
            .map_err(|error| RunFailure::Error(BuildError::Failed(error.to_string())))?;
        if (step.cancelled)() {
            return Err(RunFailure::Error(BuildError::Cancelled));
        }
        match containers.step_exit_code(container).map_err(fail)? {
            0 => Ok(keep(container)?),
            code => Err(RunFailure::Exit(code)),
        }
    }

    /// For BuildKit a program that cannot be executed is a command that has failed.
    fn not_begun(&self, error: Error, say: &(dyn Fn(RunOutput<'_>) + Sync)) -> RunFailure {
        match &error {
            Error::Start {
                message,
                exit_code: 126 | 127,
                ..
            } if self.request.options.dialect == Dialect::BuildKit => {
                let text = format!("runc run failed: {}\n", without_runtime(message));
                say(RunOutput::Stderr(text.as_bytes()));
                RunFailure::Exit(1)
            }
            _ => RunFailure::NotBegun(told(error)),
        }
    }

    fn container(&self, step: &StepRun<'_>, around: &Around<'_>) -> ContainerCreate {
        let (exec, limits) = (step.exec, &self.request.limits);
        let env = exec
            .env
            .iter()
            .chain(&exec.uncounted_env)
            .chain(&around.env);
        let volumes = exec.volumes.iter().map(|path| (path.clone(), Empty {}));
        let ulimits = exec.ulimits.iter().map(|(name, soft, hard)| Ulimit {
            name: name.clone(),
            soft: *soft,
            hard: *hard,
        });
        let config = Config {
            hostname: exec.hostname.clone(),
            image: "build".to_owned(),
            cmd: Some(exec.args.clone().into()),
            env: Some(env.cloned().collect()),
            working_dir: exec.cwd.clone(),
            user: exec.user.clone(),
            attach_stdout: true,
            attach_stderr: true,
            volumes: Some(volumes.into_map()).filter(|set: &BTreeMap<_, _>| !set.is_empty()),
            ..Config::default()
        };
        let host_config = HostConfig {
            log_config: LogConfig {
                kind: "none".to_owned(),
                ..LogConfig::default()
            },
            network_mode: exec.network.clone(),
            privileged: exec.insecure,
            readonly_rootfs: exec.read_only,
            memory: limits.memory,
            memory_swap: limits.memory_swap,
            cpu_shares: limits.cpu_shares,
            cpu_period: limits.cpu_period,
            cpu_quota: limits.cpu_quota,
            cpuset_cpus: limits.cpuset_cpus.clone(),
            cpuset_mems: limits.cpuset_mems.clone(),
            cgroup_parent: exec.cgroup_parent.clone(),
            shm_size: exec.shm_size,
            // What it writes becomes a layer, which no container's quota may hold.
            storage_opt: Some(BTreeMap::new()),
            ulimits: Some(ulimits.collect()).filter(|list: &Vec<_>| !list.is_empty()),
            extra_hosts: Some(exec.hosts.clone()).filter(|list| !list.is_empty()),
            ..HostConfig::default()
        };
        ContainerCreate {
            config,
            host_config,
            ..ContainerCreate::default()
        }
    }

    /// Makes ready what the command sees besides its file system.
    fn around(&self, step: &StepRun<'_>) -> gantry_build::Result<Around<'_>> {
        let mut around = Around::default();
        for (number, mount) in step.exec.mounts.iter().enumerate() {
            self.mount(number, mount, step, &mut around)?;
        }
        Ok(around)
    }

    fn mount<'s>(
        &'s self,
        number: usize,
        mount: &ExecMount,
        step: &StepRun<'_>,
        around: &mut Around<'s>,
    ) -> gantry_build::Result<()> {
        let source = match &mount.kind {
            MountKind::Bind => match mount.from.and_then(|from| (step.values)(from)) {
                Some(Value::Tree(local)) if local.live.is_some() => {
                    let (space, name) = (self.space(around)?, format!("copy-{number}"));
                    context::copy_part(&local, &mount.source, &space, &name)?;
                    StepSource::Directory(space.join(name))
                }
                Some(Value::Tree(local)) => {
                    let path = part(&local.directory, &mount.source)?;
                    match mount.writable {
                        true => StepSource::Directory(self.copied(&path, number, around)?),
                        false => StepSource::Directory(path),
                    }
                }
                Some(Value::Layers(layers)) => {
                    let top = ChainId::chain(&layers.diff_ids).last().copied();
                    let below = mount.source.trim_matches('/').to_owned();
                    StepSource::Layers(top.map(|top| top.to_string()), below)
                }
                None => return Ok(()),
            },
            MountKind::Tmpfs { size } => StepSource::Memory(*size),
            MountKind::Cache {
                id,
                sharing,
                mode,
                owner,
            } => {
                let first = mount.from.and_then(|from| (step.values)(from));
                let wanted = CacheMount {
                    id,
                    mode: *mode,
                    owner: *owner,
                    first: first.map(|value| (value, mount.source.as_str())),
                };
                let mut name = wanted.name();
                match sharing {
                    Sharing::Shared => {}
                    Sharing::Locked => around.locks.push(self.lock(&name, step.cancelled)?),
                    Sharing::Private => {
                        let (own, lock) = self.lock_any(&name);
                        name = own;
                        around.locks.push(lock);
                    }
                }
                let path = self.inner.cache_directory(&wanted, &name).map_err(told)?;
                StepSource::Directory(path)
            }
            MountKind::Secret {
                id,
                required,
                mode,
                owner,
            } => {
                let Some(bytes) = (self.request.secret)(id) else {
                    return match required {
                        true => Err(BuildError::NotFound(format!("secret {id}: not found"))),
                        false => Ok(()),
                    };
                };
                if !mount.source.is_empty() {
                    let text = String::from_utf8_lossy(&bytes);
                    around.env.push(format!("{}={text}", mount.source));
                }
                if mount.target.is_empty() {
                    return Ok(());
                }
                let space = self.space(around)?;
                let path = super::secrets::write(&space, number, &bytes, *mode, *owner);
                StepSource::Directory(path.map_err(told)?)
            }
            MountKind::Ssh {
                id,
                required,
                mode,
                owner,
            } => {
                let checked = match &self.request.agents {
                    Some(agents) => agents.check(id).map(|()| agents),
                    None => Err(format!("no SSH key {id:?} forwarded from the client")),
                };
                let agents = match (checked, required) {
                    (Ok(agents), _) => agents,
                    (Err(text), true) => return Err(BuildError::NotFound(text)),
                    (Err(_), false) => return Ok(()),
                };
                let space = self.space(around)?;
                let wish = (*mode, *owner);
                let begun = Listening::begin(agents, id, &space, number, wish);
                let (listening, path) = begun.map_err(told)?;
                around.agents.push(listening);
                StepSource::Directory(path)
            }
        };
        around.mounts.push(StepMount {
            target: mount.target.clone(),
            read_only: !mount.writable,
            source,
        });
        Ok(())
    }

    /// A directory of this step alone.
    fn space(&self, around: &mut Around<'_>) -> gantry_build::Result<PathBuf> {
        let space = match &around.space {
            Some(space) => space,
            None => around.space.insert(self.inner.space().map_err(told)?),
        };
        Ok(space.path().to_owned())
    }

    /// Files of the context that the step may change: what it writes is lost.
    fn copied(
        &self,
        path: &Path,
        number: usize,
        around: &mut Around<'_>,
    ) -> gantry_build::Result<PathBuf> {
        let failed = |error: std::io::Error| {
            BuildError::Failed(format!("copy {} for a step: {error}", path.display()))
        };
        let copy = self.space(around)?.join(format!("copy-{number}"));
        if !path.is_dir() {
            std::fs::copy(path, &copy).map_err(failed)?;
            return Ok(copy);
        }
        std::fs::create_dir(&copy).map_err(failed)?;
        let open = |path: &Path| std::fs::File::open(path).map_err(failed);
        gantry_archive::copy_tree(open(path)?, open(&copy)?)?;
        Ok(copy)
    }

    /// Locks the first of many directories of a name that nobody uses; what it is called.
    fn lock_any(&self, name: &str) -> (String, Locked<'_>) {
        let locks = &self.inner.locked;
        let mut taken = locks.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let others = (1..).map(|number| format!("{name}\0private {number}"));
        let mut names = std::iter::once(name.to_owned()).chain(others);
        let free = names.find(|name| !taken.contains_key(name));
        let id = free.unwrap_or_else(|| name.to_owned());
        taken.insert(id.clone(), ());
        (id.clone(), Locked { locks, id })
    }

    fn lock(
        &self,
        id: &str,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> gantry_build::Result<Locked<'_>> {
        let locks = &self.inner.locked;
        let mut taken = locks.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.contains_key(id) {
            if cancelled() {
                return Err(BuildError::Cancelled);
            }
            let waited = locks.freed.wait_timeout(taken, TICK);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.insert(id.to_owned(), ());
        Ok(Locked {
            locks,
            id: id.to_owned(),
        })
    }
}

/// Where a path of a context really is: links in it lead nowhere outside.
fn part(directory: &Path, path: &str) -> gantry_build::Result<PathBuf> {
    let path = match path.trim_matches('/') {
        "" => ".",
        path => path,
    };
    let failed = |error: &dyn std::fmt::Display| BuildError::NotFound(error.to_string());
    let root = gantry_sys::RootDir::open(directory).map_err(|error| failed(&error))?;
    let found = root.open_path(path).map_err(|error| failed(&error))?;
    std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
        .map_err(|error| failed(&error))
}

/// Passes on what a container says, until it ends or is not wanted any more.
fn listen(
    socket: &UnixStream,
    cancelled: &(dyn Fn() -> bool + Sync),
    say: &(dyn Fn(RunOutput<'_>) + Sync),
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(TICK))?;
    let mut socket = socket;
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => pending.extend_from_slice(&buffer[..count]),
            Err(error) if is_a_pause(&error) => {
                if cancelled() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
        let done = frames(&pending, say);
        pending.drain(..done);
    }
}

fn is_a_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock
            | std::io::ErrorKind::TimedOut
            | std::io::ErrorKind::Interrupted
    )
}

/// Passes on the whole frames at the beginning; how long they are.
fn frames(pending: &[u8], say: &(dyn Fn(RunOutput<'_>) + Sync)) -> usize {
    let mut at = 0;
    while let Some(header) = pending.get(at..at + 8) {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(bytes) = pending.get(at + 8..at + 8 + length) else {
            break;
        };
        say(match header[0] {
            2 => RunOutput::Stderr(bytes),
            _ => RunOutput::Stdout(bytes),
        });
        at += 8 + length;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_and_what_is_cut_off_waits() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b'];
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 1, b'c', 1, 0]);
        let seen = Mutex::new(Vec::new());
        let say = |output: RunOutput<'_>| {
            let said = match output {
                RunOutput::Stdout(bytes) => (1, bytes.to_vec()),
                RunOutput::Stderr(bytes) => (2, bytes.to_vec()),
                _ => (0, Vec::new()),
            };
            seen.lock().unwrap().push(said);
        };
        assert_eq!(frames(&bytes, &say), 19);
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen, [(1, b"ab".to_vec()), (2, b"c".to_vec())]);
    }
}
