//! `RUN`: a command with what it sees.

use std::collections::BTreeMap;

use gantry_dockerfile::{
    Command, CommandLine, Dockerfile, Heredoc, Instruction, Mount, MountType, Network, PROXY_ARGS,
    Run, Security, Sharing as Written, Span,
};

use gantry_types::ProcessConfig;

use super::config::PATH;
use super::current::Current;
use super::stage::Planner;
use super::variables::Variables;
use super::{Dialect, history, placed};
use crate::graph::{Action, Exec, ExecMount, MountKind, Node, Op, Sharing};
use crate::{Error, Result};

/// Where here-documents are that are programs.
const PIPES: &str = "/dev/pipes";

/// Where programs look for the user's ssh agent.
const AGENT: &str = "SSH_AUTH_SOCK";

impl Planner<'_> {
    pub(super) fn run(
        &mut self,
        now: &mut Current,
        what: &Instruction,
        run: &Run,
        shown: String,
    ) -> Result<()> {
        let dialect = self.options.dialect;
        if now.node.is_none() && dialect == Dialect::Classic {
            let text = "No image was generated. Is your Dockerfile empty?";
            return Err(Error::Invalid(text.to_owned()));
        }
        self.check_consent(run)?;
        let args = match (&run.line, what.heredocs.is_empty()) {
            (CommandLine::Shell(text), false) => self.script(now, what, text),
            _ => self.command_words(now, &run.line),
        };
        let declared = self.run_args(now);
        let mut env = now.scope.seen.as_ref().unwrap_or(&now.scope.env).clone();
        for variable in &declared {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            if env.value(name).is_none() && now.scope.lookup(name).is_some() {
                env.set(name, value);
            }
        }
        if env.value("PATH").is_none() {
            env.set("PATH", PATH);
        }
        let mounts = self.mounts(now, what, run)?;
        let agent = mounts
            .iter()
            .find(|mount| matches!(mount.kind, MountKind::Ssh { .. }));
        if let Some(agent) = agent
            && env.value(AGENT).is_none()
        {
            env.set(AGENT, &agent.target);
        }
        let proxies = self.proxies(&env);
        let hidden = !proxies.is_empty();
        let created_by = history::of_run(dialect, &declared, hidden, &args);
        let shown_args = args.join(" ");
        let args = match dialect {
            Dialect::Classic if args.is_empty() => own_command(&now.config),
            _ => args,
        };
        let exec = Exec {
            root: now.node,
            shown: shown_args,
            args,
            uncounted_env: proxies,
            env: env.list().clone(),
            cwd: match now.config.working_dir.as_str() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            user: now.config.user.clone(),
            mounts,
            network: match run.network {
                Network::Default => self.options.network.clone(),
                Network::None => "none".to_owned(),
                Network::Host => "host".to_owned(),
            },
            insecure: run.security == Security::Insecure,
            volumes: match dialect {
                Dialect::Classic => {
                    let volumes = now.config.volumes.iter().flat_map(|set| set.keys());
                    volumes.cloned().collect()
                }
                Dialect::BuildKit => Vec::new(),
            },
            hostname: self.options.hostname.clone(),
            hosts: self.options.hosts.clone(),
            ulimits: self.options.ulimits.clone(),
            shm_size: self.options.shm_size,
            cgroup_parent: self.options.cgroup_parent.clone(),
            ..Exec::default()
        };
        let node = self.graph.add(Node {
            op: Op::Exec(exec),
            label: shown.clone(),
            place: self.place(now),
            fresh: now.fresh,
        });
        now.push(shown, Some(node), created_by, what.span);
        Ok(())
    }

    /// A command with its here-documents. One that is nothing but a here-document is
    /// what the document says.
    fn script(&self, now: &Current, what: &Instruction, text: &str) -> Vec<String> {
        let alone = what.heredocs.len() == 1 && is_heredoc_alone(text);
        let text = match (what.heredocs.first(), alone) {
            (Some(document), true) if is_program(document) => {
                format!("{PIPES}/{}", document.name)
            }
            (Some(document), true) => document.text(),
            _ => {
                let documents: String = what
                    .heredocs
                    .iter()
                    .map(|document| format!("\n{}{}", document.content, document.name))
                    .collect();
                format!("{text}{documents}")
            }
        };
        self.command_words(now, &CommandLine::Shell(text))
    }

    /// Predefined arguments that were given, unless the file declares them. In BuildKit
    /// they are told in both cases, in whichever they were given.
    fn proxies(&mut self, env: &Variables) -> Vec<String> {
        let both = self.options.dialect == Dialect::BuildKit;
        let mut proxies = BTreeMap::new();
        for (name, value) in &self.options.build_args {
            let (upper, lower) = (name.to_uppercase(), name.to_lowercase());
            let Some(value) = value.as_ref().filter(|_| PROXY_ARGS.contains(&&*lower)) else {
                continue;
            };
            let own = PROXY_ARGS.contains(&name.as_str());
            let names = [(name.clone(), own), (upper, both), (lower, both)];
            for (known, _) in names.into_iter().filter(|(_, told)| *told) {
                // One that was given itself has its own value.
                let itself = self.options.build_args.contains_key(&known);
                if env.value(&known).is_none() && (known == *name || !itself) {
                    proxies.insert(known, value);
                }
            }
        }
        let proxies = proxies.into_iter();
        proxies
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn mounts(&mut self, now: &Current, what: &Instruction, run: &Run) -> Result<Vec<ExecMount>> {
        let mut mounts = Vec::new();
        for text in &run.mounts {
            let mount = text
                .resolve(|value| {
                    let word = gantry_dockerfile::Word::from(value);
                    gantry_dockerfile::expand(&word, self.file.escape(), &|name| {
                        now.scope.lookup(name)
                    })
                })
                .map_err(|error| placed(error, what.span))?;
            mounts.push(self.mount(now, mount, what.span)?);
        }
        let agents = mounts
            .iter_mut()
            .filter(|mount| matches!(mount.kind, MountKind::Ssh { .. }));
        for (number, mount) in agents
            .enumerate()
            .filter(|(_, mount)| mount.target.is_empty())
        {
            mount.target = format!("/run/buildkit/ssh_agent.{number}");
        }
        mounts.extend(self.program(what, run));
        Ok(mounts)
    }

    /// A here-document that is a program of its own: a file that the command sees.
    fn program(&mut self, what: &Instruction, run: &Run) -> Option<ExecMount> {
        let (CommandLine::Shell(text), [document]) = (&run.line, what.heredocs.as_slice()) else {
            return None;
        };
        if !is_heredoc_alone(text) || !is_program(document) {
            return None;
        }
        let file = self.graph.add(Node {
            op: Op::Files {
                root: None,
                actions: vec![Action::Mkfile {
                    path: format!("/{}", document.name),
                    name: document.name.clone(),
                    bytes: document.text().into_bytes(),
                    owner: String::new(),
                    mode: 0o755,
                }],
                apart: false,
            },
            label: "[internal] preparing inline document".to_owned(),
            place: String::new(),
            fresh: false,
        });
        Some(ExecMount {
            target: PIPES.to_owned(),
            kind: MountKind::Bind,
            from: Some(file),
            source: String::new(),
            writable: false,
        })
    }

    /// What a file alone may not ask for: the user has to allow it.
    fn check_consent(&self, run: &Run) -> Result<()> {
        let asked = [
            (run.network == Network::Host, "network.host"),
            (run.security == Security::Insecure, "security.insecure"),
        ];
        for (asked, what) in asked {
            if asked && !self.options.allow.iter().any(|allowed| allowed == what) {
                let text = format!("failed to load LLB: {what} is not allowed");
                return Err(Error::Failed(text));
            }
        }
        Ok(())
    }

    fn mount(&mut self, now: &Current, mount: Mount, span: Span) -> Result<ExecMount> {
        let owner = (mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let target = super::config::directory(&now.config.working_dir, &mount.target);
        let hidden = matches!(mount.kind, MountType::Secret | MountType::Ssh);
        if !hidden && (mount.target.is_empty() || target == "/") {
            let text = format!("invalid mount target {:?}", mount.target);
            return Err(Error::Invalid(text));
        }
        let mut from = None;
        if matches!(mount.kind, MountType::Bind | MountType::Cache) {
            from = match (mount.from.as_str(), mount.kind) {
                ("", MountType::Bind) => Some(self.context()?),
                ("", _) => None,
                (name, _) => Some(self.from(name, now, Some(&target), span)?),
            };
        }
        let id = match mount.id.as_str() {
            "" if mount.kind == MountType::Cache => target.clone(),
            "" => match mount.source.as_str() {
                "" => mount
                    .target
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                source => source.to_owned(),
            },
            id => id.to_owned(),
        };
        let kind = match mount.kind {
            MountType::Bind => MountKind::Bind,
            MountType::Cache => MountKind::Cache {
                id,
                sharing: match mount.sharing {
                    Some(Written::Private) => Sharing::Private,
                    Some(Written::Locked) => Sharing::Locked,
                    Some(Written::Shared) | None => Sharing::Shared,
                },
                mode: mount.mode.unwrap_or(0o755),
                owner,
            },
            MountType::Tmpfs => MountKind::Tmpfs { size: mount.size },
            MountType::Secret => {
                let target = match mount.target.as_str() {
                    // A variable needs no file, unless one is asked for.
                    "" if mount.env.is_some() => String::new(),
                    "" => format!("/run/secrets/{id}"),
                    _ => target,
                };
                return Ok(ExecMount {
                    target,
                    kind: MountKind::Secret {
                        id,
                        required: mount.required,
                        mode: mount.mode.unwrap_or(0o400),
                        owner,
                    },
                    from: None,
                    source: mount.env.unwrap_or_default(),
                    writable: false,
                });
            }
            MountType::Ssh => {
                let id = match mount.id.as_str() {
                    "" => "default",
                    id => id,
                };
                return Ok(ExecMount {
                    // One that names no place is given its own when all mounts are known.
                    target: if mount.target.is_empty() {
                        String::new()
                    } else {
                        target
                    },
                    kind: MountKind::Ssh {
                        id: id.to_owned(),
                        required: mount.required,
                        mode: mount.mode.unwrap_or(0o600),
                        owner,
                    },
                    from: None,
                    source: String::new(),
                    writable: true,
                });
            }
        };
        Ok(ExecMount {
            target,
            kind,
            from,
            source: mount.source,
            writable: !mount.read_only,
        })
    }
}

/// What the classic builder runs where there is no command: the image's own program, as it
/// is without arguments.
fn own_command(config: &ProcessConfig) -> Vec<String> {
    let program = config.entrypoint.clone().filter(|words| !words.is_empty());
    program.or_else(|| config.cmd.clone()).unwrap_or_default()
}

/// Whether a line is a here-document and nothing else.
fn is_heredoc_alone(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("<<") && !text.contains(char::is_whitespace)
}

/// Whether a here-document says by itself what runs it.
fn is_program(document: &Heredoc) -> bool {
    document.content.starts_with("#!")
}

/// How the text of a here-document is shown: by its first line.
pub(super) fn summary(what: &Instruction) -> String {
    let alone = match &what.command {
        Command::Run(run) => match &run.line {
            CommandLine::Shell(text) => is_heredoc_alone(text),
            CommandLine::Exec(_) => false,
        },
        _ => false,
    };
    let Some(document) = what.heredocs.first().filter(|_| alone) else {
        return String::new();
    };
    let mut lines = document.content.trim().lines();
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { "..." } else { "" };
    format!(" ({first}{more})")
}

/// The variables of an instruction that are secrets.
pub(super) fn secret_variables(what: &Instruction) -> Vec<String> {
    let Command::Run(run) = &what.command else {
        return Vec::new();
    };
    let resolved = run
        .mounts
        .iter()
        .filter_map(|mount| mount.resolve(|text| Ok(text.to_owned())).ok());
    let secrets = resolved.filter(|mount| mount.kind == MountType::Secret);
    secrets.filter_map(|mount| mount.env).collect()
}

/// Whether a file is more than one stage alone: what mounts and copies take from
/// elsewhere counts as a stage, also when it is nothing.
pub(super) fn is_several(file: &Dockerfile) -> bool {
    let mut instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    file.stages.len() > 1
        || instructions.any(|what| match &what.command {
            Command::Run(run) => !run.mounts.is_empty(),
            Command::Copy(copy) => copy.from.is_some(),
            _ => false,
        })
}
