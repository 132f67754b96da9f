//! A registry beside an engine: in its network namespace, on a port of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::engine::{Engine, gantry_binary};
use super::outcome::{Outcome, command, finish};
use super::{peers, remark};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running registry, empty at first.
pub struct Registry {
    process: Child,
    /// The namespace that it and the engine are in.
    netns: String,
    port: u16,
    scheme: &'static str,
    dir: Option<tempfile::TempDir>,
}

impl Registry {
    /// Our own one.
    pub fn ours(engine: &Engine, port: u16) -> Self {
        Self::ours_at(engine, "127.0.0.1", port, &[])
    }

    /// Our own one, at another address or with more flags.
    pub fn ours_at(engine: &Engine, address: &str, port: u16, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::ours_in(dir, engine, address, port, flags)
    }

    /// Our own one with what it has, beside a daemon that was started again: that has
    /// another network namespace.
    pub fn follow(mut self, engine: &Engine) -> Self {
        let (dir, port) = (self.dir.take().expect("until the end"), self.port);
        drop(self);
        Self::ours_in(dir, engine, "127.0.0.1", port, &[])
    }

    fn ours_in(
        dir: tempfile::TempDir,
        engine: &Engine,
        address: &str,
        port: u16,
        flags: &[&str],
    ) -> Self {
        let netns = netns(engine);
        let mut serve = inside(&netns, &gantry_binary().to_string_lossy());
        serve
            .args(["registry", "serve", "--access-log=false"])
            .arg(format!("--addr={address}:{port}"))
            .arg(format!("--root={}", dir.path().display()))
            .args(flags);
        let secure = flags.iter().any(|flag| flag.starts_with("--tls-cert"));
        let scheme = if secure { "https" } else { "http" };
        Self::started(serve, netns, port, scheme, dir).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Docker's, where the peers are installed and it starts; else that is said.
    pub fn of_docker(engine: &Engine, port: u16) -> Option<Self> {
        let Some(peers) = peers::folder() else {
            remark("SKIPPED: Docker's registry is not installed here (GANTRY_PEERS)");
            return None;
        };
        let dir = tempfile::tempdir().expect("a temporary folder");
        let netns = netns(engine);
        let config = dir.path().join("config.yml");
        let root = dir.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n\
             storage: {{filesystem: {{rootdirectory: '{}'}}}}\n",
            root.display()
        );
        std::fs::write(&config, text).expect("the configuration can be written");
        let mut serve = inside(&netns, &peers.join("enter").to_string_lossy());
        serve.args(["docker-registry", "serve"]).arg(&config);
        let registry = Self::started(serve, netns, port, "http", dir);
        if let Err(why) = &registry {
            remark(&format!("SKIPPED: Docker's registry does not start: {why}"));
        }
        registry.ok()
    }

    fn started(
        mut serve: Command,
        netns: String,
        port: u16,
        scheme: &'static str,
        dir: tempfile::TempDir,
    ) -> Result<Self, String> {
        let process = serve
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the registry can be started");
        let mut this = Self {
            process,
            netns,
            port,
            scheme,
            dir: Some(dir),
        };
        let deadline = Instant::now() + PATIENCE;
        // One that wants a password or a certificate answers as well.
        const NOBODY: i32 = 7;
        while this.get("", &[]).code == NOBODY {
            if let Ok(Some(status)) = this.process.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if Instant::now() > deadline {
                return Err("it does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(this)
    }

    /// The name of a repository in it.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// What it answers to a GET below `/v2/`, with more arguments for curl.
    pub fn get(&self, path: &str, more: &[&str]) -> Outcome {
        let url = format!("{}://127.0.0.1:{}/v2/{path}", self.scheme, self.port);
        let mut curl = inside(&self.netns, "curl");
        finish(curl.args(["-sk", &url]).args(more), b"")
    }

    /// Our client where it sees the registry itself, in the engine's folder.
    pub fn gantry(&self, engine: &Engine, args: &[&str]) -> Outcome {
        self.gantry_where(engine, &[], args)
    }

    /// The same, with more in its environment.
    pub fn gantry_where(
        &self,
        engine: &Engine,
        environment: &[(&str, &str)],
        args: &[&str],
    ) -> Outcome {
        let mut client = inside(&self.netns, &gantry_binary().to_string_lossy());
        client
            .args(args)
            .env("DOCKER_HOST", engine.host())
            .env("DOCKER_CONFIG", engine.dir().join("client"))
            .env_remove("COSIGN_PASSWORD")
            .envs(environment.iter().copied())
            .current_dir(engine.dir());
        finish(&mut client, b"")
    }

    /// The manifest of a tag or digest, as text.
    pub fn manifest(&self, repository: &str, what: &str) -> String {
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
        let path = format!("{repository}/manifests/{what}");
        self.get(&path, &["-f", "-H", accept]).ok().stdout
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn netns(engine: &Engine) -> String {
    format!("--net=/proc/{}/ns/net", engine.pid())
}

fn inside(netns: &str, program: &str) -> Command {
    command("nsenter", &[netns, program])
}
