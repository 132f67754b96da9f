//! The Dockerfile instructions of `import --change` and `commit --change`, which set an
//! image's configuration: those that need no file system.

use std::collections::BTreeMap;

use gantry_dockerfile::config::{
    directory, env_value, healthcheck, set_entrypoint, set_env, words,
};
use gantry_dockerfile::{Command, Exposed, Pair, Word, expand, expansion};
use gantry_types::ProcessConfig;

use crate::{Error, Result};

/// Applies the changes, in order, to a configuration.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn apply(config: ProcessConfig, changes: &[String]) -> Result<ProcessConfig> {
    if changes.is_empty() {
        return Ok(config);
    }
    let read = gantry_dockerfile::parse_changes(&changes.join("\n"));
    let (instructions, escape) = read.map_err(invalid)?;
    let mut state = State {
        config,
        cmd_given: false,
        escape,
    };
    for instruction in &instructions {
        state.change(&instruction.command)?;
    }
    Ok(state.config)
}

fn invalid(error: gantry_dockerfile::Error) -> Error {
    Error::Invalid(error.to_string())
}

struct State {
    config: ProcessConfig,
    /// Whether there was a CMD before: an ENTRYPOINT does not undo it then.
    cmd_given: bool,
    escape: char,
}

impl State {
    fn change(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::Cmd(line) => {
                let words = words(&self.config, line);
                self.config.cmd = Some(words).filter(|words| !words.is_empty());
                self.cmd_given = true;
            }
            Command::Entrypoint(line) => {
                let words = words(&self.config, line);
                set_entrypoint(&mut self.config, words, self.cmd_given);
            }
            Command::Env(pairs) => {
                let pairs = self.pairs("ENV", pairs)?;
                let env = self.config.env.get_or_insert_default();
                for (name, value) in pairs {
                    set_env(env, &name, &value);
                }
            }
            Command::Label(pairs) => {
                let pairs = self.pairs("LABEL", pairs)?;
                self.config.labels.get_or_insert_default().extend(pairs);
            }
            Command::Expose(ports) => self.expose(ports)?,
            Command::Healthcheck(check) => self.config.healthcheck = Some(healthcheck(check)),
            Command::Onbuild(trigger) => {
                let triggers = self.config.on_build.get_or_insert_default();
                triggers.push(trigger.clone());
            }
            Command::Stopsignal(word) => {
                let signal = self.expand(word)?;
                check_signal(&signal)?;
                self.config.stop_signal = Some(signal);
            }
            Command::User(word) => self.config.user = self.expand(word)?,
            Command::Volume(paths) => self.volume(paths)?,
            Command::Workdir(word) => {
                let wanted = self.expand(word)?;
                self.config.working_dir = directory(&self.config.working_dir, &wanted);
            }
            other => {
                return Err(Error::Invalid(format!(
                    "{} is not a valid change command",
                    other.name()
                )));
            }
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Option<String> {
        env_value(self.config.env.as_deref().unwrap_or_default(), name)
    }

    fn expand(&self, word: &Word) -> Result<String> {
        expand(word, self.escape, &|name| self.lookup(name)).map_err(invalid)
    }

    /// Names and values of `instruction`.
    fn pairs(&self, instruction: &str, pairs: &[Pair]) -> Result<Vec<(String, String)>> {
        let pairs = pairs.iter().map(|pair| {
            let (name, value) = (self.expand(&pair.name)?, self.expand(&pair.value)?);
            match name.is_empty() {
                true => Err(Error::Invalid(format!(
                    "{instruction} names can not be blank"
                ))),
                false => Ok((name, value)),
            }
        });
        pairs.collect()
    }

    fn expose(&mut self, ports: &[Word]) -> Result<()> {
        let mut found = Vec::new();
        for word in ports {
            let expanded = expansion(word, self.escape, &|name| self.lookup(name));
            for word in expanded.map_err(invalid)?.words {
                let ports = Exposed::split(&word).and_then(|exposed| exposed.ports());
                found.extend(ports.map_err(invalid)?);
            }
        }
        extend(self.config.exposed_ports.get_or_insert_default(), found);
        Ok(())
    }

    fn volume(&mut self, paths: &[Word]) -> Result<()> {
        let paths = paths.iter().map(|path| self.expand(path));
        let paths = paths.collect::<Result<Vec<String>>>()?;
        if paths.iter().any(|path| path.trim().is_empty()) {
            let reason = "VOLUME specified can not be an empty string";
            return Err(Error::Invalid(reason.to_owned()));
        }
        extend(self.config.volumes.get_or_insert_default(), paths);
        Ok(())
    }
}

/// Whether `STOPSIGNAL` can say that.
///
/// # Errors
/// `Invalid`, naming the signal.
pub fn check_signal(signal: &str) -> Result<()> {
    let name = signal.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let known = match name.parse::<u32>() {
        Ok(number) => (1..=64).contains(&number),
        Err(_) => is_signal(name),
    };
    match known {
        true => Ok(()),
        false => Err(Error::Invalid(format!("invalid signal: {signal}"))),
    }
}

fn is_signal(name: &str) -> bool {
    const NAMES: &str = " ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF \
        PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU \
        XFSZ RTMIN RTMAX ";
    let real_time = |prefix, most| {
        let number: Option<u32> = name.strip_prefix(prefix).and_then(|n| n.parse().ok());
        number.is_some_and(|number| (1..=most).contains(&number))
    };
    (!name.contains(' ') && NAMES.contains(&format!(" {name} ")))
        || real_time("RTMIN+", 15)
        || real_time("RTMAX-", 14)
}

fn extend(set: &mut BTreeMap<String, serde_json::Value>, keys: Vec<String>) {
    let empty = || serde_json::Value::Object(serde_json::Map::new());
    set.extend(keys.into_iter().map(|key| (key, empty())));
}

#[cfg(test)]
mod tests;
