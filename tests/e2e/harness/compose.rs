//! The unmodified Docker Compose, where it is installed, and one application of it.

use std::path::{Path, PathBuf};

use super::outcome::{Outcome, finish};
use super::{Engine, plugins};

/// An application on an engine: its folder is the test's, and has `compose.yaml`.
pub struct Project<'a> {
    engine: &'a Engine,
    dir: PathBuf,
    name: String,
}

impl<'a> Project<'a> {
    /// An application of that text; `None` where Compose is not installed.
    pub fn of(engine: &'a Engine, text: &str) -> Option<Self> {
        let dir = engine.dir().join("application");
        std::fs::create_dir_all(&dir).expect("a folder");
        let project = Self::at(engine, &dir)?;
        project.write("compose.yaml", text);
        Some(project)
    }

    /// The application in `dir`; `None` where Compose is not installed.
    pub fn at(engine: &'a Engine, dir: &Path) -> Option<Self> {
        plugins::link(engine, "docker-compose").then(|| Self {
            engine,
            dir: dir.to_owned(),
            name: format!("e2e{}", std::process::id()),
        })
    }

    /// The name that its containers, networks and volumes begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file beside `compose.yaml`.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("a file");
    }

    /// `docker compose` with these arguments.
    pub fn docker(&self, args: &[&str]) -> Outcome {
        self.run(self.engine.docker_command(&self.words(args)))
    }

    /// `gantry compose` with these arguments.
    pub fn gantry(&self, args: &[&str]) -> Outcome {
        self.run(self.engine.gantry_command(&self.words(args)))
    }

    /// Either of them, not yet started.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.engine.docker_command(&self.words(args));
        command.current_dir(&self.dir);
        command
    }

    fn words<'b>(&'b self, args: &[&'b str]) -> Vec<&'b str> {
        let compose = [
            "compose",
            "--ansi=never",
            "--progress=plain",
            "-p",
            &self.name,
        ];
        [&compose[..], args].concat()
    }

    fn run(&self, mut command: std::process::Command) -> Outcome {
        finish(command.current_dir(&self.dir), b"")
    }

    /// The id of the only container of a service.
    pub fn container(&self, service: &str, number: usize) -> String {
        format!("{}-{service}-{number}", self.name)
    }

    /// What `ps` of the application says, a line for each container, in order.
    pub fn ps(&self) -> Vec<String> {
        let format = "{{.Name}} {{.State}} {{.Health}}";
        let listed = self.docker(&["ps", "-a", "--format", format]).ok().stdout;
        let prefix = format!("{}-", self.name);
        let lines = listed
            .lines()
            .map(|line| line.trim().replacen(&prefix, "", 1));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    }
}
