//! What of a context a Dockerfile copies, so that the rest need not travel.

use gantry_dockerfile::{
    Command, Dockerfile, Instruction, Mount, MountType, Stage, Word, parse_instruction,
};

/// What of the context is needed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    /// Whether anything is.
    pub(super) any: bool,
    /// Paths, maybe with wildcards; all of it when there are none.
    pub(super) paths: Vec<String>,
}

/// Looks through all stages: whatever one of them could copy, or a trigger of an image
/// that is here. Of an image that is not here yet all may be needed.
pub(super) fn of(file: &Dockerfile, triggers: &dyn Fn(&Word) -> Option<Vec<String>>) -> Needs {
    let mut found = Found::default();
    for stage in &file.stages {
        let base = stage.base.as_str();
        let own = |other: &Stage| other.name.as_deref() == Some(&base.to_lowercase());
        if file.stages.iter().any(own) || base == "scratch" {
            continue;
        }
        match triggers(&stage.base) {
            Some(triggers) => triggers.iter().for_each(|trigger| found.trigger(trigger)),
            None => found.everything(),
        }
    }
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in instructions {
        found.look(instruction);
    }
    Needs {
        any: found.any,
        paths: if found.all { Vec::new() } else { found.paths },
    }
}

#[derive(Default)]
struct Found {
    any: bool,
    all: bool,
    paths: Vec<String>,
}

impl Found {
    fn look(&mut self, instruction: &Instruction) {
        match &instruction.command {
            Command::Copy(copy) if copy.from.is_none() => self.sources(&copy.sources),
            Command::Add(add) => self.sources(&add.sources),
            Command::Run(run) => {
                for mount in &run.mounts {
                    // Variables are not known here: then all may be needed.
                    match mount.resolve(|text| Ok(text.to_owned())) {
                        Ok(mount) => self.mount(&mount),
                        Err(_) => self.everything(),
                    }
                }
            }
            // Another stage may begin with this one.
            Command::Onbuild(trigger) => self.trigger(trigger),
            _ => {}
        }
    }

    /// What is wrong with one is said when it is run.
    fn trigger(&mut self, trigger: &str) {
        if let Ok(instruction) = parse_instruction(trigger) {
            self.look(&instruction);
        }
    }

    fn sources(&mut self, sources: &[Word]) {
        for source in sources.iter().map(Word::as_str) {
            let remote = ["http://", "https://", "git@", "git://", "ssh://"];
            if !remote.iter().any(|start| source.starts_with(start)) {
                self.path(source);
            }
        }
    }

    fn mount(&mut self, mount: &Mount) {
        if mount.kind == MountType::Bind && mount.from.is_empty() {
            self.path(&mount.source);
        }
    }

    fn path(&mut self, path: &str) {
        self.any = true;
        let clean = gantry_dockerfile::clean(&format!("/{path}"));
        let clean = clean.trim_start_matches('/');
        // A path with a variable may be any, and so may one that is quoted.
        if clean.is_empty() || path.contains(['$', '"', '\'', '\\']) {
            return self.everything();
        }
        self.paths.push(clean.to_owned());
    }

    fn everything(&mut self) {
        (self.any, self.all) = (true, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> Needs {
        let file = gantry_dockerfile::parse(text.as_bytes()).unwrap();
        of(&file, &|image| match image.as_str() {
            "away" => None,
            "kept" => Some(vec!["COPY k /".to_owned(), "RUN x".to_owned()]),
            _ => Some(Vec::new()),
        })
    }

    #[test]
    fn only_what_is_copied_is_needed() {
        assert!(!needs("FROM a\nRUN x\nCOPY --from=b /x /y\n").any);
        let found = needs("FROM a\nCOPY x ./y/../z w/* /t/\nADD http://h/f /f\n");
        assert_eq!(found.paths, ["x", "z", "w/*"]);
        assert_eq!(needs("FROM kept\nRUN x\n").paths, ["k"]);
        assert!(needs("FROM away\nCOPY x /\n").paths.is_empty());
        let found = needs("FROM a AS b\nONBUILD ADD t /\nFROM B\n");
        assert_eq!(found.paths, ["t"]);
        for all in ["COPY . /", "COPY $X /", "RUN --mount=target=/c true"] {
            let found = needs(&format!("FROM a\n{all}\nCOPY y /\n"));
            assert!(found.any && found.paths.is_empty(), "{all}");
        }
    }
}
