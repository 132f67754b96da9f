//! Each instruction, on the stage that it stands in.

use gantry_dockerfile::config::set_entrypoint;
use gantry_dockerfile::{Arg, Command, CommandLine, Instruction, Span, Word};
use serde_json::json;

use super::current::Current;
use super::stage::Planner;
use super::{Dialect, config, history, run};
use crate::graph::{Action, Node, NodeId, Op};
use crate::{Error, Result};

impl Planner<'_> {
    pub(super) fn command(&mut self, now: &mut Current, what: &Instruction) -> Result<()> {
        let (dialect, escape, span) = (self.options.dialect, self.file.escape(), what.span);
        self.check_flags(what)?;
        let shown = self.shown(now, what);
        let said = match &what.command {
            Command::Run(run) => return self.run(now, what, run, shown),
            Command::Copy(_) | Command::Add(_) => return self.copy(now, what, shown),
            Command::Workdir(word) => return self.workdir(now, word, span, shown),
            Command::Arg(args) => self.arg(now, args, span)?,
            Command::Env(pairs) => config::env(&mut now.scope, pairs, escape, span)?,
            Command::Label(pairs) => {
                config::label(&mut now.config, pairs, &now.scope, escape, span)?
            }
            Command::Cmd(line) => {
                let words = config::words(&now.config, line);
                let said = format!("CMD {}", history::quoted_list(&words));
                now.config.cmd = Some(words).filter(|words| !words.is_empty());
                now.cmd_given = true;
                said
            }
            Command::Entrypoint(line) => {
                let words = config::words(&now.config, line);
                let said = format!("ENTRYPOINT {}", history::quoted_list(&words));
                set_entrypoint(&mut now.config, words, now.cmd_given);
                said
            }
            Command::Expose(ports) => {
                let (words, ports) =
                    config::expose(&mut now.config, ports, &now.scope, escape, span)?;
                match dialect {
                    Dialect::Classic => format!("EXPOSE {}", words.join(" ")),
                    Dialect::BuildKit => format!("EXPOSE [{}]", ports.join(" ")),
                }
            }
            Command::Healthcheck(check) => config::healthcheck(&mut now.config, check, dialect),
            Command::Maintainer(name) => {
                now.author.clone_from(name);
                format!("MAINTAINER {name}")
            }
            Command::Onbuild(trigger) => {
                let list = now.config.on_build.get_or_insert_default();
                list.push(trigger.clone());
                if dialect == Dialect::BuildKit {
                    // It says nothing in the history.
                    return Ok(());
                }
                format!("ONBUILD {trigger}")
            }
            Command::Shell(words) => {
                now.config.shell = Some(words.clone());
                format!("SHELL [{}]", words.join(" "))
            }
            Command::Stopsignal(word) => {
                let signal = now.scope.expand(word, escape, span)?;
                gantry_image::stop_signal(&signal)?;
                now.config.stop_signal = Some(signal.clone());
                format!("STOPSIGNAL {signal}")
            }
            Command::User(word) => {
                let user = now.scope.expand(word, escape, span)?;
                now.config.user.clone_from(&user);
                format!("USER {user}")
            }
            Command::Volume(words) => self.volume(now, words, span)?,
        };
        let created_by = history::of_config(dialect, &config::shell(&now.config), &said);
        let node = match &what.command {
            Command::Volume(_) => self.no_files(now, &shown),
            _ => None,
        };
        now.push(shown, node, created_by, span);
        Ok(())
    }

    /// For the classic builder, which makes a container of each step, a volume in the place
    /// of a file is a failure.
    fn no_files(&mut self, now: &Current, shown: &str) -> Option<NodeId> {
        let root = now
            .node
            .filter(|_| self.options.dialect == Dialect::Classic)?;
        let volumes = now.config.volumes.iter().flat_map(|set| set.keys());
        let actions = volumes.cloned().map(|path| Action::NoFile { path });
        Some(self.graph.add(Node {
            op: Op::Files {
                root: Some(root),
                actions: actions.collect(),
                apart: false,
            },
            label: shown.to_owned(),
            place: self.place(now),
            fresh: now.fresh,
        }))
    }

    /// Flags that the classic builder does not have.
    fn check_flags(&self, what: &Instruction) -> Result<()> {
        let known = [
            "from",
            "chown",
            "platform",
            "interval",
            "timeout",
            "start-period",
            "retries",
        ];
        let more = what.flags.iter().find(|flag| !known.contains(flag));
        let classic = self.options.dialect == Dialect::Classic;
        match more.filter(|flag| classic && **flag != "start-interval") {
            Some(flag) => Err(Error::Invalid(format!(
                "the --{flag} option requires BuildKit. Refer to \
                 https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit \
                 enabled"
            ))),
            None => Ok(()),
        }
    }

    /// The instruction as its user is shown it.
    fn shown(&self, now: &Current, what: &Instruction) -> String {
        if self.options.dialect == Dialect::Classic {
            return what.original.clone();
        }
        let (name, rest) = match what.original.split_once(char::is_whitespace) {
            Some((name, rest)) => (name.to_uppercase(), rest),
            None => (what.original.to_uppercase(), ""),
        };
        let escape = self.file.escape();
        let secrets = run::secret_variables(what);
        let lookup = |name: &str| match secrets.iter().any(|secret| secret == name) {
            true => Some("****".to_owned()),
            false => now.scope.lookup(name),
        };
        let text = match what.command {
            Command::Run(_) => {
                gantry_dockerfile::expand_for_display(rest, escape, &lookup) + &run::summary(what)
            }
            // Others lose their quotes.
            _ => gantry_dockerfile::expand(&Word::from(rest), escape, &lookup)
                .unwrap_or_else(|_| rest.to_owned()),
        };
        let on_build = if now.trigger { "ONBUILD " } else { "" };
        match rest.is_empty() {
            true => format!("{on_build}{name}"),
            // What is expanded to nothing leaves the space before it, as in BuildKit.
            false => format!("{on_build}{name} {text}"),
        }
    }

    fn volume(&self, now: &mut Current, words: &[Word], span: Span) -> Result<String> {
        let mut paths = Vec::new();
        for word in words {
            let path = now.scope.expand(word, self.file.escape(), span)?;
            if path.trim().is_empty() {
                let text = "VOLUME specified can not be an empty string";
                return Err(Error::Invalid(text.to_owned()));
            }
            paths.push(path);
        }
        let set = now.config.volumes.get_or_insert_default();
        set.extend(paths.iter().map(|path| (path.clone(), json!({}))));
        Ok(format!("VOLUME [{}]", paths.join(" ")))
    }

    fn arg(&mut self, now: &mut Current, args: &[Arg], span: Span) -> Result<String> {
        let mut said = Vec::new();
        // For the classic builder an instruction is one step, also in what it sees.
        let before = (self.options.dialect == Dialect::Classic).then(|| now.scope.clone());
        for arg in args {
            let scope = before.as_ref().unwrap_or(&now.scope);
            let name = scope.expand(&arg.name, self.file.escape(), span)?;
            let given = self.given(&name);
            let default = match &arg.default {
                // In BuildKit a default that is not used need not make sense.
                Some(_) if given.is_some() && before.is_none() => None,
                Some(word) => Some(scope.expand(word, self.file.escape(), span)?),
                None => None,
            };
            let value = match given {
                Some(value) => Some(value),
                None => default
                    .clone()
                    .or_else(|| now.platform_args.get(&name).cloned())
                    .or_else(|| self.meta(&name)),
            };
            said.push(match (&default, self.options.dialect, &value) {
                (_, Dialect::BuildKit, Some(value)) => format!("{name}={value}"),
                (Some(default), ..) => format!("{name}={default}"),
                (None, ..) => name.clone(),
            });
            now.scope.declare(&name, value);
        }
        Ok(format!("ARG {}", said.join(" ")))
    }

    fn workdir(&mut self, now: &mut Current, word: &Word, span: Span, shown: String) -> Result<()> {
        let wished = now.scope.expand(word, self.file.escape(), span)?;
        let path = config::directory(&now.config.working_dir, &wished);
        now.config.working_dir.clone_from(&path);
        let created_by =
            history::of_directory(self.options.dialect, &config::shell(&now.config), &path);
        let node = match path.as_str() {
            "/" => None,
            _ => Some(self.graph.add(Node {
                op: Op::Files {
                    root: now.node,
                    actions: vec![Action::Mkdir {
                        path,
                        owner: match self.options.dialect {
                            Dialect::Classic => String::new(),
                            Dialect::BuildKit => now.config.user.clone(),
                        },
                    }],
                    apart: false,
                },
                label: shown.clone(),
                place: self.place(now),
                fresh: now.fresh,
            })),
        };
        now.push(shown, node, created_by, span);
        Ok(())
    }

    /// The arguments that commands are run with: `NAME=value`.
    pub(super) fn run_args(&self, now: &Current) -> Vec<String> {
        let declared = now.scope.args.iter().filter_map(|(name, value)| {
            let value = match self.options.dialect {
                Dialect::BuildKit => now.scope.lookup(name).or_else(|| value.clone()),
                Dialect::Classic => value.clone(),
            };
            let hidden =
                self.options.dialect == Dialect::Classic && now.scope.env.value(name).is_some();
            match (value, hidden) {
                (Some(value), false) => Some(format!("{name}={value}")),
                (None, false) if self.options.dialect == Dialect::BuildKit => {
                    Some(format!("{name}="))
                }
                _ => None,
            }
        });
        let mut args: Vec<String> = declared.collect();
        if self.options.dialect == Dialect::Classic {
            args.sort_unstable();
        }
        args
    }

    /// The words of a command in the stage's shell.
    pub(super) fn command_words(&self, now: &Current, line: &CommandLine) -> Vec<String> {
        config::words(&now.config, line)
    }
}
