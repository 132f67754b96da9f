//! Our own registry beside an engine, and clients that see it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Engine, Outcome, command, finish, gantry_binary};

/// A registry of ours beside an engine.
pub struct Served {
    process: Child,
    netns: String,
    port: u16,
}

impl Served {
    /// One on a port of its own, with more flags.
    pub fn start(engine: &Engine, port: u16, more: &[&str]) -> Self {
        let netns = format!("--net=/proc/{}/ns/net", engine.pid());
        let root = engine.dir().join(format!("registry-{port}"));
        let mut serve = command("nsenter", &[&netns]);
        let process = serve
            .arg(gantry_binary())
            .args(["registry", "serve", "--addr", &format!("127.0.0.1:{port}")])
            .args(["--root", &root.to_string_lossy()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the registry can be started");
        let this = Self {
            process,
            netns,
            port,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while this.curl("", &[]).code != 0 {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        this
    }

    /// The name of a repository in it.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// Asks for something below `/v2/`.
    pub fn curl(&self, path: &str, more: &[&str]) -> Outcome {
        let url = format!("http://127.0.0.1:{}/v2/{path}", self.port);
        let mut curl = command("nsenter", &[&self.netns, "curl", "-s", &url]);
        finish(curl.args(more), b"")
    }

    /// Our client where it sees the registry itself.
    pub fn gantry(&self, engine: &Engine, args: &[&str]) -> Outcome {
        finish(&mut self.gantry_command(engine, args), b"")
    }

    /// The same, not yet started.
    pub fn gantry_command(&self, engine: &Engine, args: &[&str]) -> Command {
        let mut client = command("nsenter", &[&self.netns]);
        client
            .arg(gantry_binary())
            .args(args)
            .env("DOCKER_HOST", engine.host())
            .env("DOCKER_CONFIG", engine.dir().join("client"))
            .current_dir(engine.dir());
        client
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
