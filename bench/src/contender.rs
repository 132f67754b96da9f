//! The engines that are compared, each a private daemon that ends when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::rootfs::{IMAGE, Rootfs};
use crate::shell::{self, words};

/// A running engine.
pub struct Contender {
    /// For the tables.
    pub name: String,
    /// Its Engine API.
    pub socket: PathBuf,
    daemon: Child,
    pidfile: Option<PathBuf>,
    _dir: Option<tempfile::TempDir>,
    peers: Option<String>,
    remove: Vec<PathBuf>,
}

impl Contender {
    /// This engine, in a network namespace of its own.
    pub fn gantry(binary: &str) -> Result<Self, String> {
        let dir = tempfile::Builder::new()
            .prefix("gantry-bench-")
            .tempdir_in("/var/tmp")
            .map_err(|error| error.to_string())?;
        let root = dir.path().display().to_string();
        let socket = dir.path().join("docker.sock");
        let mut command = Command::new("unshare");
        command
            .args([
                "--net",
                "--",
                binary,
                "daemon",
                "--host",
                &format!("unix://{root}/docker.sock"),
            ])
            .args([
                "--data-root",
                &format!("{root}/data"),
                "--exec-root",
                &format!("{root}/run"),
            ])
            .args([
                "--pidfile",
                &format!("{root}/pid"),
                "--cgroup-parent",
                "/gantry-bench",
                "--log-level",
                "error",
            ]);
        Self::spawn("gantry", command, socket, Some(dir), None)
    }

    /// The real Docker.
    pub fn docker(peers: &str) -> Result<Self, String> {
        let socket = PathBuf::from("/run/peers/gantry-bench.sock");
        let data = PathBuf::from("/var/tmp/gantry-bench-docker");
        let mut command = Command::new(format!("{peers}/dockerd"));
        command
            .env("PEERS_SOCK", &socket)
            .env("PEERS_DATA", &data)
            .env("PEERS_BRIDGE", "gantrybench")
            .env("PEERS_CIDR", "10.218.0.1/16")
            .env("PEERS_NETNS", "gantry-bench");
        let mut contender = Self::spawn("docker", command, socket.clone(), None, Some(peers))?;
        contender.pidfile = Some(socket.with_extension("pid"));
        contender.remove.push(data);
        Ok(contender)
    }

    /// Podman, its API service in the network namespace of the real Docker.
    pub fn podman(peers: &str) -> Result<Self, String> {
        let socket = PathBuf::from("/run/peers/gantry-bench-podman.sock");
        let mut command = Command::new("nsenter");
        command.args(["--net=/run/netns/gantry-bench", "--"]);
        command
            .args([&format!("{peers}/enter"), "podman"])
            .args(PODMAN_ROOTS);
        command.args([
            "system",
            "service",
            "--time=0",
            &format!("unix://{}", socket.display()),
        ]);
        let mut contender = Self::spawn("podman", command, socket, None, Some(peers))?;
        contender
            .remove
            .push(PathBuf::from("/var/tmp/gantry-bench-podman"));
        Ok(contender)
    }

    fn spawn(
        name: &str,
        mut command: Command,
        socket: PathBuf,
        dir: Option<tempfile::TempDir>,
        peers: Option<&str>,
    ) -> Result<Self, String> {
        let daemon = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let contender = Self {
            name: name.to_owned(),
            socket,
            daemon,
            pidfile: None,
            _dir: dir,
            peers: peers.map(str::to_owned),
            remove: Vec::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !answers(&contender.socket) {
            if Instant::now() > deadline {
                return Err(format!("{name} does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(contender)
    }

    /// Imports the common image.
    pub fn import(&self, rootfs: &Rootfs) -> Result<(), String> {
        let tar = rootfs.tar().display().to_string();
        if self.name == "podman" {
            let enter = format!("{}/enter", self.peers.clone().unwrap_or_default());
            return shell::run(
                &[
                    &words(&[&enter, "podman"])[..],
                    &words(PODMAN_ROOTS)[..],
                    &words(&["import", &tar, IMAGE])[..],
                ]
                .concat(),
            );
        }
        shell::run(&words(&[
            "docker",
            "-H",
            &self.host(),
            "import",
            &tar,
            IMAGE,
        ]))
    }

    /// Commands that each run one container to its end, with a name for the table.
    pub fn run_commands(&self, gantry: &str) -> Vec<(String, Vec<String>)> {
        let run = ["run", "--rm", "--network", "none", IMAGE, "true"];
        let host = self.host();
        let stock = (
            format!("docker client, {} daemon", self.name),
            words(&[&["docker", "-H", &host], &run[..]].concat()),
        );
        match self.name.as_str() {
            "gantry" => vec![
                (
                    "gantry run".to_owned(),
                    words(&[&[gantry, "-H", &host], &run[..]].concat()),
                ),
                stock,
            ],
            "podman" => {
                let enter = format!("{}/enter", self.peers.clone().unwrap_or_default());
                vec![(
                    "podman run".to_owned(),
                    words(&[&[&enter, "podman"], PODMAN_ROOTS, &run[..]].concat()),
                )]
            }
            _ => vec![stock],
        }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

/// Podman's private storage.
const PODMAN_ROOTS: &[&str] = &[
    "--root",
    "/var/tmp/gantry-bench-podman/root",
    "--runroot",
    "/var/tmp/gantry-bench-podman/run",
    "--cgroup-manager",
    "cgroupfs",
];

fn answers(socket: &Path) -> bool {
    crate::http::Connection::open(socket)
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
        let _ = shell::run(&words(&["kill", &pid]));
        let _ = self.daemon.wait();
        for dir in &self.remove {
            let _ = std::fs::remove_dir_all(dir);
        }
        if self.name == "docker" {
            let _ = shell::run(&words(&["ip", "netns", "del", "gantry-bench"]));
        }
    }
}
