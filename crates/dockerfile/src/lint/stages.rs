//! Rules that follow a stage step by step, as a build would, with the variables
//! that each step sees.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use gantry_types::Platform;

use super::rules::{
    COPY_IGNORED_FILE, EXPOSE_INVALID_FORMAT, EXPOSE_PROTO_CASING, INVALID_BASE_IMAGE_PLATFORM,
    JSON_ARGS_RECOMMENDED, LEGACY_KEY_VALUE_FORMAT, MULTIPLE_INSTRUCTIONS_DISALLOWED,
    SECRETS_USED_IN_ARG_OR_ENV, UNDEFINED_VAR, WORKDIR_RELATIVE_PATH,
};
use super::{Base, Linter, Rule, Setting};
use crate::error::{Error, Span};
use crate::expose::Exposed;
use crate::globals::Globals;
use crate::graph::{Graph, Source};
use crate::instruction::{
    Arg, Command, CommandLine, Dockerfile, InlineFile, Instruction, Pair, Word,
};
use crate::mount::{Mount, MountType};
use crate::parse::parse_instruction;
use crate::shell::{Expansion, expand_content, expansion, quoted};
use crate::suggest::{Case, nearest};

/// Arguments that never become variables.
const SCAN_ARGS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Words that name secrets.
const SECRET_WORDS: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// What a stage has come to.
#[derive(Debug, Clone, Default)]
struct State {
    env: BTreeMap<String, String>,
    args: BTreeSet<String>,
    has_shell: bool,
    workdir_set: bool,
}

/// What a stage asks of the user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The arguments that it declares.
    pub(crate) args: BTreeMap<String, SeenArg>,
    /// Its secrets: whether they are required, and where.
    pub(crate) secrets: BTreeMap<String, (bool, Span)>,
    /// Its ssh agents.
    pub(crate) ssh: BTreeMap<String, (bool, Span)>,
}

/// An argument of a stage.
#[derive(Debug, Clone)]
pub(crate) struct SeenArg {
    pub(crate) value: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) span: Span,
    /// Whether it only takes over what was declared before the first stage.
    pub(crate) of_file: bool,
}

/// Checks the stages that are wanted. Fails where a build would.
pub(super) fn all(
    file: &Dockerfile,
    globals: &Globals,
    graph: &mut Graph,
    wanted: Vec<usize>,
    setting: &Setting<'_>,
    linter: &mut Linter,
) -> Result<Vec<Seen>, Error> {
    let bases = bases(file, &wanted, graph, globals, setting, linter)?;
    if let Some(target) = wanted.last() {
        graph.needed(*target)?;
    }
    let mut states = vec![State::default(); file.stages.len()];
    let mut all_seen = vec![Seen::default(); file.stages.len()];
    for number in wanted {
        let stage = &file.stages[number];
        let node = &graph.nodes()[number];
        let (mut state, mut triggers) = match (&node.source, &bases[number]) {
            (Source::Stage(base), _) => (states[*base].clone(), Vec::new()),
            (_, Some(base)) => (State::of(base), parsed(&base.triggers, stage.span)?),
            _ => (State::of(&Base::default()), Vec::new()),
        };
        triggers.extend(node.triggers.iter().cloned());
        if !node.replaced {
            let mut walk = Walk {
                file,
                globals,
                setting,
                linter: &mut *linter,
                state: &mut state,
                seen: &mut all_seen[number],
                last: BTreeMap::new(),
            };
            for instruction in triggers.iter().chain(&stage.instructions) {
                walk.step(instruction)
                    .map_err(|error| error.at(instruction.span))?;
            }
        }
        states[number] = state;
    }
    Ok(all_seen)
}

/// The base images of the wanted stages, and what their triggers need.
fn bases(
    file: &Dockerfile,
    wanted: &[usize],
    graph: &mut Graph,
    globals: &Globals,
    setting: &Setting<'_>,
    linter: &mut Linter,
) -> Result<Vec<Option<Base>>, Error> {
    let mut bases = vec![None; file.stages.len()];
    for &number in wanted {
        let node = &graph.nodes()[number];
        let Source::Image(image) = &node.source else {
            continue;
        };
        let span = file.stages[number].span;
        let platform = node.platform.as_deref();
        let base = (setting.image)(image, platform).map_err(|error| {
            let near = graph.did_you_mean(&node.base);
            let error = error.at(span);
            match near {
                Some(near) => error.did_you_mean(near),
                None => error,
            }
        })?;
        let expected = platform.or_else(|| globals.get("TARGETPLATFORM"));
        if let (Some(expected), Some(actual)) = (expected, &base.platform)
            && differ(expected, actual)
        {
            let (actual, expected) = (quoted(actual), quoted(expected));
            let image = &node.base;
            let text = format!(
                "Base image {image} was pulled with platform {actual}, expected {expected} for current build"
            );
            linter.report(&INVALID_BASE_IMAGE_PLATFORM, span, &[], text);
        }
        let mut uses = Vec::new();
        for trigger in parsed(&base.triggers, span)? {
            uses.extend(graph.uses(&trigger, file.escape())?);
        }
        graph.add_uses(number, uses);
        bases[number] = Some(base);
    }
    Ok(bases)
}

fn differ(expected: &str, actual: &str) -> bool {
    match (Platform::from_str(expected), Platform::from_str(actual)) {
        (Ok(a), Ok(b)) => (a.os, a.architecture) != (b.os, b.architecture),
        _ => false,
    }
}

fn parsed(triggers: &[String], span: Span) -> Result<Vec<Instruction>, Error> {
    let triggers = triggers.iter().map(|text| {
        let mut trigger = parse_instruction(text).map_err(|error| error.at(span))?;
        trigger.span = span;
        Ok(trigger)
    });
    triggers.collect()
}

impl State {
    fn of(base: &Base) -> Self {
        let mut env: BTreeMap<String, String> = base.env.iter().cloned().collect();
        // Every build has it, whatever the image says.
        env.entry("PATH".to_owned()).or_insert_with(|| {
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
        });
        Self {
            env,
            args: BTreeSet::new(),
            has_shell: base.has_shell,
            workdir_set: false,
        }
    }
}

/// One stage on its way.
struct Walk<'a> {
    file: &'a Dockerfile,
    globals: &'a Globals,
    setting: &'a Setting<'a>,
    linter: &'a mut Linter,
    state: &'a mut State,
    seen: &'a mut Seen,
    /// Where `CMD`, `ENTRYPOINT` and `HEALTHCHECK` were last.
    last: BTreeMap<&'static str, Span>,
}

impl Walk<'_> {
    fn report(&mut self, rule: &'static Rule, at: &Instruction, text: String) {
        self.linter.report(rule, at.span, &at.comments, text);
    }

    fn step(&mut self, at: &Instruction) -> Result<(), Error> {
        match &at.command {
            Command::Env(pairs) => self.env(pairs, at),
            Command::Label(pairs) => self.pairs(pairs, at).map(drop),
            Command::Arg(args) => self.args(args, at),
            Command::Workdir(path) => self.workdir(path, at),
            Command::Expose(ports) => self.expose(ports, at),
            Command::Copy(copy) => {
                let flags = [&copy.chown, &copy.chmod];
                let sources = self.transfer(flags, &copy.sources, &copy.destination, at)?;
                self.contents(&copy.inline, at)?;
                if copy.from.is_none() {
                    self.ignored("Copy", &sources, at);
                }
                Ok(())
            }
            Command::Add(add) => {
                let flags = [&add.chown, &add.chmod];
                self.optional(&add.checksum, at)?;
                let sources = self.transfer(flags, &add.sources, &add.destination, at)?;
                self.contents(&add.inline, at)?;
                self.ignored("Add", &sources, at);
                Ok(())
            }
            Command::Run(run) => {
                for mount in &run.mounts {
                    let mount =
                        mount.resolve(|value| Ok(self.expand(&Word::from(value), at)?.text))?;
                    self.mount(&mount, at);
                }
                Ok(())
            }
            Command::User(word) | Command::Stopsignal(word) => self.expand(word, at).map(drop),
            Command::Volume(words) => {
                words
                    .iter()
                    .try_for_each(|word| match self.expand(word, at)?.text.is_empty() {
                        true => Err(Error::new("VOLUME specified can not be an empty string")),
                        false => Ok(()),
                    })
            }
            Command::Cmd(line) | Command::Entrypoint(line) => {
                self.once(at);
                self.json(line, at);
                Ok(())
            }
            Command::Healthcheck(_) => {
                self.once(at);
                Ok(())
            }
            Command::Shell(_) => {
                self.state.has_shell = true;
                Ok(())
            }
            Command::Maintainer(_) | Command::Onbuild(_) => Ok(()),
        }
    }

    fn expand(&mut self, word: &Word, at: &Instruction) -> Result<Expansion, Error> {
        let env = &self.state.env;
        let done = expansion(word, self.file.escape(), &|name| env.get(name).cloned());
        let done = done?;
        self.undefined(&done, at);
        Ok(done)
    }

    fn optional(&mut self, word: &Option<Word>, at: &Instruction) -> Result<(), Error> {
        match word {
            Some(word) => self.expand(word, at).map(drop),
            None => Ok(()),
        }
    }

    fn undefined(&mut self, done: &Expansion, at: &Instruction) {
        for name in &done.missing {
            if self.state.args.contains(name) || SCAN_ARGS.contains(&name.as_str()) {
                continue;
            }
            let known = self.state.env.keys().map(String::as_str);
            let near = nearest(name, known, Case::Sensitive);
            let near = near.map_or(String::new(), |near| format!(" (did you mean ${near}?)"));
            let text = format!("Usage of undefined variable '${name}'{near}");
            self.report(&UNDEFINED_VAR, at, text);
        }
    }

    fn pairs(&mut self, pairs: &[Pair], at: &Instruction) -> Result<Vec<(String, String)>, Error> {
        let mut done = Vec::new();
        for pair in pairs {
            let name = self.expand(&pair.name, at)?.text;
            done.push((name, self.expand(&pair.value, at)?.text));
        }
        for _ in pairs.iter().filter(|pair| pair.legacy) {
            let keyword = &at.keyword;
            let text = format!(
                "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
            );
            self.report(&LEGACY_KEY_VALUE_FORMAT, at, text);
        }
        Ok(done)
    }

    fn env(&mut self, pairs: &[Pair], at: &Instruction) -> Result<(), Error> {
        for (name, value) in self.pairs(pairs, at)? {
            self.no_secret("ENV", &name, at);
            self.state.env.insert(name, value);
        }
        Ok(())
    }

    fn args(&mut self, args: &[Arg], at: &Instruction) -> Result<(), Error> {
        for arg in args {
            let name = arg.name.as_str();
            self.no_secret("ARG", name, at);
            let (value, of_file) = match (self.setting.build_args.get(name), &arg.default) {
                (Some(given), _) => (Some(given.clone()), false),
                (None, Some(default)) => (Some(self.expand(default, at)?.text), false),
                (None, None) => {
                    let value = self.globals.value(name);
                    let of_file = value.is_some();
                    (value, of_file)
                }
            };
            let seen = SeenArg {
                value: value.clone(),
                description: arg.description.clone(),
                span: at.span,
                of_file,
            };
            self.seen.args.insert(name.to_owned(), seen);
            if let Some(value) = value
                && !SCAN_ARGS.contains(&name)
            {
                self.state.env.insert(name.to_owned(), value);
            }
            self.state.args.insert(name.to_owned());
        }
        Ok(())
    }

    fn mount(&mut self, mount: &Mount, at: &Instruction) {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let (of_kind, id) = match mount.kind {
            MountType::Secret if !mount.source.is_empty() => {
                (&mut self.seen.secrets, mount.source.clone())
            }
            MountType::Secret if mount.id.is_empty() => {
                (&mut self.seen.secrets, last(&mount.target))
            }
            MountType::Secret => (&mut self.seen.secrets, mount.id.clone()),
            MountType::Ssh if mount.id.is_empty() => (&mut self.seen.ssh, "default".to_owned()),
            MountType::Ssh => (&mut self.seen.ssh, mount.id.clone()),
            _ => return,
        };
        of_kind.entry(id).or_insert((mount.required, at.span));
    }

    fn no_secret(&mut self, keyword: &str, name: &str, at: &Instruction) {
        let words: Vec<String> = name.split('_').map(str::to_lowercase).collect();
        let is_secret = words
            .iter()
            .any(|word| SECRET_WORDS.contains(&word.as_str()));
        if is_secret && !words.iter().any(|word| word == "public") {
            let name = quoted(name);
            let text =
                format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name})");
            self.report(&SECRETS_USED_IN_ARG_OR_ENV, at, text);
        }
    }

    fn workdir(&mut self, path: &Word, at: &Instruction) -> Result<(), Error> {
        let path = self.expand(path, at)?.text;
        if !self.state.workdir_set && !path.starts_with('/') {
            let path = quoted(&path);
            let text = format!(
                "Relative workdir {path} can have unexpected results if the base image changes"
            );
            self.report(&WORKDIR_RELATIVE_PATH, at, text);
        }
        self.state.workdir_set = true;
        Ok(())
    }

    fn expose(&mut self, ports: &[Word], at: &Instruction) -> Result<(), Error> {
        let env = self.state.env.clone();
        let lookup = |name: &str| env.get(name).cloned();
        for port in ports {
            for word in expansion(port, self.file.escape(), &lookup)?.words {
                let exposed = Exposed::split(&word)?;
                if exposed.protocol != exposed.protocol.to_lowercase() {
                    let text = format!(
                        "Defined protocol '{word}' in EXPOSE instruction should be lowercase"
                    );
                    self.report(&EXPOSE_PROTO_CASING, at, text);
                }
                if !exposed.address.is_empty() || !exposed.host_port.is_empty() {
                    let text = format!(
                        "EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
                    );
                    self.report(&EXPOSE_INVALID_FORMAT, at, text);
                }
                exposed.ports()?;
            }
        }
        Ok(())
    }

    /// The sources of `COPY` and `ADD`, expanded.
    fn transfer(
        &mut self,
        flags: [&Option<Word>; 2],
        sources: &[Word],
        destination: &Word,
        at: &Instruction,
    ) -> Result<Vec<String>, Error> {
        for flag in flags {
            self.optional(flag, at)?;
        }
        let mut done = Vec::new();
        for source in sources {
            done.push(self.expand(source, at)?.text);
        }
        self.expand(destination, at)?;
        Ok(done)
    }

    fn contents(&mut self, files: &[InlineFile], at: &Instruction) -> Result<(), Error> {
        for file in files.iter().filter(|file| file.expand) {
            let env = &self.state.env;
            let done = expand_content(&file.content, &|name| env.get(name).cloned())?;
            self.undefined(&done, at);
        }
        Ok(())
    }

    fn ignored(&mut self, verb: &str, sources: &[String], at: &Instruction) {
        for source in sources.iter().filter(|source| !source.contains("://")) {
            if self.setting.ignored.matches_as_written(source) {
                let source = quoted(source);
                let text =
                    format!("Attempting to {verb} file {source} that is excluded by .dockerignore");
                self.report(&COPY_IGNORED_FILE, at, text);
            }
        }
    }

    fn once(&mut self, at: &Instruction) {
        if let Some(before) = self.last.insert(at.command.name(), at.span) {
            let keyword = &at.keyword;
            let text = format!(
                "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            );
            self.linter.report(
                &MULTIPLE_INSTRUCTIONS_DISALLOWED,
                before,
                &at.comments,
                text,
            );
        }
    }

    fn json(&mut self, line: &CommandLine, at: &Instruction) {
        if matches!(line, CommandLine::Shell(_)) && !self.state.has_shell {
            let keyword = &at.keyword;
            let text = format!(
                "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
            );
            self.report(&JSON_ARGS_RECOMMENDED, at, text);
        }
    }
}
