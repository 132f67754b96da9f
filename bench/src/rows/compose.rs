//! An application of ten services, brought up and taken down by Docker Compose:
//! the unmodified plug-in and the stock client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::in_turns;
use crate::contender::{self, Contender};
use crate::measure::{Row, Series, Target};
use crate::options::Options;
use crate::rootfs::IMAGE;
use crate::say;
use crate::worker::Done;

/// Their names.
pub const NAMES: &[&str] = &["compose-up", "compose-down"];

/// `up -d` and `down -v`: two rows.
pub fn both(contenders: &mut [Contender], options: &Options) -> Result<Vec<Row>, String> {
    let Some(plugin) = contender::plugin("docker-compose") else {
        say("SKIPPED: compose-up, compose-down: the plug-in docker-compose is not here");
        return Ok(Vec::new());
    };
    let dir = crate::ending::folder()?;
    let application = Application::write(dir.path(), &plugin)?;
    // Podman speaks enough of the API for a container, but not for this.
    let count = contenders.iter().take_while(|c| c.name != "podman").count();
    let contenders = &mut contenders[..count];
    let targets = vec![Target::times("docker", 4.0)];
    let mut downs: Vec<Series> = contenders.iter().map(|c| Series::new(c.name)).collect();
    let title = "`docker compose up -d` of ten services, the whole process".to_owned();
    let up = in_turns(
        ("compose-up", title),
        contenders,
        options.rounds,
        targets.clone(),
        |contender, series| {
            let group = Arc::clone(&contender.group);
            series.client(&group, || application.compose(contender, &["up", "-d"]))?;
            let down = downs.iter_mut().find(|s| s.contender == contender.name);
            let down = down.ok_or("a contender without a series")?;
            down.client(&group, || application.compose(contender, &["down", "-v"]))
        },
    )?;
    let down = Row {
        name: "compose-down".to_owned(),
        title: "`docker compose down -v` of ten services, the whole process".to_owned(),
        series: downs,
        targets,
    };
    Ok(vec![up, down])
}

/// The folder with a file for each contender, and the client's configuration.
struct Application(PathBuf);

impl Application {
    fn write(dir: &Path, plugin: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
        let plugins = dir.join("client/cli-plugins");
        std::fs::create_dir_all(&plugins).map_err(failed)?;
        std::os::unix::fs::symlink(plugin, plugins.join("docker-compose")).map_err(failed)?;
        std::fs::write(dir.join("compose.yaml"), text()).map_err(failed)?;
        Ok(Self(dir.to_owned()))
    }

    fn compose(&self, contender: &mut Contender, args: &[&str]) -> Result<Done, String> {
        let at = |name: &str| self.0.join(name).display().to_string();
        let (config, file) = (at("client"), at("compose.yaml"));
        let group = format!("BENCH_CGROUP={}", contender.group.containers());
        let config = format!("DOCKER_CONFIG={config}");
        let compose = ["compose", "--progress=quiet", "-f", &file];
        let words = [&compose[..], args].concat();
        contender.stock_with(&[&config, &group], &words)
    }
}

/// A database with a volume, three services that wait for it, one behind a port,
/// and five more, all on one network.
fn text() -> String {
    let mut text = format!(
        "name: bench\n\
         x-service: &service\n  image: {IMAGE}\n  command: [sleep, \"100000\"]\n  init: true\n  \
         cgroup_parent: $BENCH_CGROUP\n  networks: [net]\n\
         networks: {{net: {{}}}}\nvolumes: {{data: {{}}}}\nservices:\n  \
         s0: {{<<: *service, volumes: [\"data:/data\"]}}\n"
    );
    for number in 1..10 {
        let more = match number {
            1..=3 => ", depends_on: [s0]",
            4 => ", ports: [\"80\"]",
            _ => "",
        };
        text.push_str(&format!("  s{number}: {{<<: *service{more}}}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn ten_services() {
        let text = super::text();
        assert_eq!(text.matches("<<: *service").count(), 10);
        assert_eq!(text.matches("depends_on").count(), 3);
    }
}
