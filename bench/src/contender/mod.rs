//! The engines that are compared, each a private daemon that ends when dropped.

mod docker;
mod gantry;
mod podman;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::command::run;
use crate::cpu::CpuGroup;
use crate::http::Connection;
use crate::options::Options;
use crate::rootfs::{IMAGE, Rootfs};
use crate::say;
use crate::worker::{Done, Worker};

/// Plug-ins of the stock client, below the root of the peers or of this machine.
const PLUGINS: &str = "usr/libexec/docker/cli-plugins";
/// Where the peers are unless `PEERS_ROOT` says otherwise.
const PEERS: &str = "/var/tmp/peers";
/// How long a daemon has to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The network namespace that Docker and Podman share.
pub const PEERS_NETNS: &str = "gantry-bench";

/// A running engine.
pub struct Contender {
    /// For the tables.
    pub name: &'static str,
    /// Its Engine API.
    pub socket: PathBuf,
    /// Everything that works for it.
    pub group: Arc<CpuGroup>,
    /// The most memory in bytes that its daemon was seen to have in builds.
    pub peak: u64,
    /// The words before a command of its own client.
    client: Vec<String>,
    /// Flags of `run` that put the container where the others are.
    run_flags: Vec<String>,
    worker: Worker,
    daemon: Child,
    /// Where the daemon's pid is, if it is not the child's.
    pidfile: Option<PathBuf>,
    /// What is removed at the end.
    remove: Vec<PathBuf>,
}

/// All that are here: this engine first.
pub fn all(options: &Options) -> Result<Vec<Contender>, String> {
    let mut all = vec![gantry::start(&options.gantry)?];
    match &options.peers {
        Some(peers) => {
            let wanted = |name: &str| {
                options.against.is_empty() || options.against.iter().any(|one| one == name)
            };
            if wanted("docker") {
                all.extend(started("docker", docker::start(peers)));
            }
            if wanted("podman") {
                all.extend(started("podman", podman::start(peers)));
            }
        }
        None => say("SKIPPED: the real Docker and Podman: ../shared/peers is not here"),
    }
    let rootfs = Rootfs::make()?;
    for contender in &mut all {
        let tar = rootfs.tar().display().to_string();
        contender.client(&["import", &tar, IMAGE])?;
    }
    Ok(all)
}

/// A peer that cannot start is left out.
fn started(name: &str, peer: Result<Contender, String>) -> Option<Contender> {
    peer.map_err(|error| say(&format!("SKIPPED: {name}: {error}")))
        .ok()
}

/// A plug-in of the stock client, if it is here.
pub fn plugin(name: &str) -> Option<PathBuf> {
    let peers = std::env::var_os("PEERS_ROOT").map_or_else(|| PEERS.into(), PathBuf::from);
    let places = [peers, "/".into()].map(|root| root.join(PLUGINS).join(name));
    places.into_iter().find(|path| path.is_file())
}

impl Contender {
    /// Runs a command of the engine's own command line.
    pub fn client(&mut self, args: &[&str]) -> Result<Done, String> {
        let words = [&self.client[..], &owned(args)[..]].concat();
        self.worker.run(&words)
    }

    /// The same, its output in a file.
    pub fn client_into(&mut self, args: &[&str], output: &Path) -> Result<Done, String> {
        let words = [&self.client[..], &owned(args)[..]].concat();
        self.worker.run_into(&words, Some(output))
    }

    /// Runs a command of the engine's own command line once for each of `last`, its
    /// last word, all at the same time.
    pub fn clients_at_once(&mut self, args: &[&str], last: &[String]) -> Result<Done, String> {
        if let [only] = last {
            return self.client(&[args, &[only]].concat());
        }
        let command = [&self.client[..], &owned(args)[..]].concat().join(" ");
        let script = format!(
            "for one in {}; do {command} $one & pids=\"$pids $!\"; done; \
             for pid in $pids; do wait $pid || exit 1; done",
            last.join(" ")
        );
        self.worker.run(&owned(&["sh", "-c", &script]))
    }

    /// The words before a command that shall be in the engine's network.
    pub fn network(&self) -> Vec<String> {
        let namespace = match self.name {
            "gantry" => format!("--net=/proc/{}/ns/net", self.daemon.id()),
            _ => format!("--net=/run/netns/{PEERS_NETNS}"),
        };
        owned(&["nsenter", &namespace, "--"])
    }

    /// Runs a command of the stock docker client.
    pub fn stock(&mut self, args: &[&str]) -> Result<Done, String> {
        self.stock_with(&[], args)
    }

    /// The same with more in its environment.
    pub fn stock_with(&mut self, environment: &[&str], args: &[&str]) -> Result<Done, String> {
        let host = format!("unix://{}", self.socket.display());
        let program = match environment {
            [] => Vec::new(),
            some => [&["env"], some].concat(),
        };
        let words = [&program[..], &["docker", "-H", &host], args].concat();
        self.worker.run(&owned(&words))
    }

    /// `run --rm --network none IMAGE true` by the engine's own command line.
    pub fn run_true(&mut self) -> Result<Done, String> {
        let flags = self.run_flags.clone();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let args = [
            &["run", "--rm", "--network", "none"],
            &flags[..],
            &[IMAGE, "true"],
        ]
        .concat();
        self.client(&args)
    }

    /// The same by the stock docker client.
    pub fn stock_run_true(&mut self) -> Result<Done, String> {
        self.stock(&["run", "--rm", "--network", "none", IMAGE, "true"])
    }

    /// Starts a container that stays, and returns its id.
    pub fn stay(&mut self, name: &str, command: &[&str]) -> Result<(), String> {
        self.stay_from(IMAGE, name, command)
    }

    /// The same, from another image.
    pub fn stay_from(&mut self, image: &str, name: &str, command: &[&str]) -> Result<(), String> {
        self.stay_with(&[], image, name, command)
    }

    /// The same with more flags.
    pub fn stay_with(
        &mut self,
        more: &[&str],
        image: &str,
        name: &str,
        command: &[&str],
    ) -> Result<(), String> {
        let flags = self.run_flags.clone();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let run = ["run", "-d", "--name", name, "--network", "none"];
        let args = [&run, &flags[..], more, &[image], command].concat();
        self.client(&args).map(drop)
    }

    /// Runs a shell script to its end in a container that keeps its log.
    pub fn log_once(&mut self, name: &str, script: &str) -> Result<(), String> {
        let flags = self.run_flags.clone();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let run = [
            "run",
            "--name",
            name,
            "--network",
            "none",
            "--log-driver",
            "json-file",
        ];
        let args = [&run, &flags[..], &[IMAGE, "sh", "-c", script]].concat();
        self.client(&args).map(drop)
    }

    /// Kills and removes a container.
    pub fn remove(&mut self, name: &str) -> Result<(), String> {
        self.client(&["rm", "-f", name]).map(drop)
    }
}

/// What a kind of engine has to say to be started.
struct Plan {
    name: &'static str,
    group: CpuGroup,
    socket: PathBuf,
    /// The daemon's words.
    daemon: Vec<String>,
    environment: Vec<(&'static str, String)>,
    client: Vec<String>,
    run_flags: Vec<String>,
    /// The words that bring a worker to where the client lives.
    inside: Vec<String>,
    pidfile: Option<PathBuf>,
    remove: Vec<PathBuf>,
}

impl Plan {
    fn start(self) -> Result<Contender, String> {
        let (name, group) = (self.name, self.group);
        let words = group.inside("engine", &self.daemon);
        let daemon = Command::new(&words[0])
            .args(&words[1..])
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let worker =
            Worker::start(|words| group.inside("client", &[&self.inside[..], &words[..]].concat()));
        let contender = Contender {
            name,
            socket: self.socket,
            client: self.client,
            run_flags: self.run_flags,
            worker: worker?,
            daemon,
            pidfile: self.pidfile,
            remove: self.remove,
            group: Arc::new(group),
            peak: 0,
        };
        let deadline = Instant::now() + PATIENCE;
        while !answers(&contender.socket) {
            if Instant::now() > deadline {
                return Err(format!("{name} does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(contender)
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn answers(socket: &Path) -> bool {
    Connection::open(socket)
        .and_then(|mut connection| connection.send("GET", "/version", ""))
        .is_ok_and(|answer| answer.status == 200)
}

impl Drop for Contender {
    fn drop(&mut self) {
        let pid = self
            .pidfile
            .as_ref()
            .and_then(|file| std::fs::read_to_string(file).ok());
        let pid = pid.map_or_else(|| self.daemon.id().to_string(), |pid| pid.trim().to_owned());
        let _ = run(&["kill", &pid]);
        let _ = self.daemon.wait();
        for dir in &self.remove {
            let _ = std::fs::remove_dir_all(dir);
        }
        if self.name == "docker" {
            let _ = run(&["ip", "netns", "del", PEERS_NETNS]);
        }
    }
}
