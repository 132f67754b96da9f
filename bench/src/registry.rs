//! docker-registry, from the folder of the peers, on the loopback of each contender's
//! own network namespace; all of them serve the same files.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::run;
use crate::contender::Contender;

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:5000";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The registries of all contenders, until dropped.
pub struct Registries {
    running: Vec<Child>,
    dir: PathBuf,
    enter: String,
    /// The words before a command in the first contender's network.
    network: Vec<String>,
}

impl Registries {
    /// Starts one beside each contender.
    pub fn start(contenders: &[Contender], peers: &str) -> Result<Self, String> {
        let dir = PathBuf::from(format!(
            "/var/tmp/gantry-bench-registry-{}",
            std::process::id()
        ));
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let config = dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{ADDRESS}\"}}\n",
            dir.display()
        );
        std::fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        let first = contenders.first().ok_or("no contender")?;
        let mut registries = Self {
            running: Vec::new(),
            dir,
            enter: format!("{peers}/enter"),
            network: first.network(),
        };
        let mut networks: Vec<Vec<String>> = contenders.iter().map(Contender::network).collect();
        networks.dedup();
        for network in networks {
            registries.start_in(&network, &config)?;
        }
        Ok(registries)
    }

    fn start_in(&mut self, network: &[String], config: &Path) -> Result<(), String> {
        let words = |more: &[&str]| {
            let more = more.iter().map(|&word| word.to_owned());
            network.iter().cloned().chain(more).collect::<Vec<_>>()
        };
        run(&words(&["ip", "link", "set", "lo", "up"]))?;
        let config = config.display().to_string();
        let serve = words(&[&self.enter, "docker-registry", "serve", &config]);
        let child = Command::new(&serve[0])
            .args(&serve[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("docker-registry: {error}"))?;
        self.running.push(child);
        let url = format!("http://{ADDRESS}/v2/");
        let end = Instant::now() + PATIENCE;
        while let Err(error) = run(&words(&["curl", "-sf", &url])) {
            if Instant::now() > end {
                return Err(format!("docker-registry does not answer: {error}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Puts the image of an OCI archive into all of them.
    pub fn add(&self, archive: &Path, name: &str) -> Result<(), String> {
        let (from, to) = (
            format!("oci-archive:{}", archive.display()),
            format!("docker://{ADDRESS}/{name}"),
        );
        let copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false"];
        let mut words = self.network.clone();
        words.push(self.enter.clone());
        words.extend(copy.map(str::to_owned));
        words.extend([from, to]);
        run(&words)
    }
}

impl Drop for Registries {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
