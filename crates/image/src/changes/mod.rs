//! The Dockerfile instructions of `import --change`, which set an image's
//! configuration. Only those that need no file system.

mod command;
mod expose;
mod healthcheck;
mod words;

use std::collections::BTreeMap;

use gantry_types::ProcessConfig;

use crate::{Error, Result};
use words::Words;

/// Applies the changes, in order, to a configuration.
///
/// # Errors
/// `Invalid`, naming the instruction.
pub(crate) fn apply(config: ProcessConfig, changes: &[String]) -> Result<ProcessConfig> {
    let mut state = State {
        config,
        cmd_given: false,
    };
    let lines = lines(&changes.join("\n"));
    if lines.is_empty() && !changes.is_empty() {
        return Err(Error::Invalid("file with no instructions".to_owned()));
    }
    for line in lines {
        let (name, rest) = match line.split_once(char::is_whitespace) {
            Some((name, rest)) => (name, rest.trim()),
            None => (line.as_str(), ""),
        };
        state.instruction(name, rest)?;
    }
    Ok(state.config)
}

struct State {
    config: ProcessConfig,
    /// Whether there was a CMD before: an ENTRYPOINT does not undo it then.
    cmd_given: bool,
}

impl State {
    fn instruction(&mut self, name: &str, rest: &str) -> Result<()> {
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "CMD" => {
                self.config.cmd = Some(command::parse(rest, &self.shell()));
                self.cmd_given = true;
            }
            "ENTRYPOINT" => {
                let words = command::parse(rest, &self.shell());
                self.config.entrypoint = (!words.is_empty()).then_some(words);
                if !self.cmd_given {
                    self.config.cmd = None;
                }
            }
            "ENV" => self.env(rest)?,
            "EXPOSE" => self.expose(rest)?,
            "HEALTHCHECK" => self.config.healthcheck = Some(healthcheck::parse(rest)?),
            "LABEL" => self.label(rest)?,
            "ONBUILD" => self.on_build(rest)?,
            "STOPSIGNAL" => self.config.stop_signal = Some(self.signal(rest)?),
            "USER" => self.config.user = self.one("USER", rest)?,
            "VOLUME" => self.volume(rest)?,
            "WORKDIR" => self.workdir(rest)?,
            _ => {
                return Err(Error::Invalid(format!(
                    "{name} is not a valid change command"
                )));
            }
        }
        Ok(())
    }

    fn shell(&self) -> Vec<String> {
        let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        self.config.shell.clone().unwrap_or_else(default)
    }

    fn words(&self) -> Words<'_> {
        Words {
            env: self.config.env.as_deref().unwrap_or_default(),
        }
    }

    fn one(&self, name: &str, rest: &str) -> Result<String> {
        if rest.is_empty() {
            return Err(Error::Invalid(format!(
                "{name} requires exactly one argument"
            )));
        }
        self.words().expand(rest)
    }

    fn env(&mut self, rest: &str) -> Result<()> {
        let pairs = self.words().pairs("ENV", rest)?;
        let env = self.config.env.get_or_insert_default();
        for (key, value) in pairs {
            let prefix = format!("{key}=");
            let text = format!("{key}={value}");
            match env.iter_mut().find(|other| other.starts_with(&prefix)) {
                Some(other) => *other = text,
                None => env.push(text),
            }
        }
        Ok(())
    }

    fn label(&mut self, rest: &str) -> Result<()> {
        let pairs = self.words().pairs("LABEL", rest)?;
        self.config.labels.get_or_insert_default().extend(pairs);
        Ok(())
    }

    fn expose(&mut self, rest: &str) -> Result<()> {
        if rest.is_empty() {
            return Err(Error::Invalid(
                "EXPOSE requires at least one argument".to_owned(),
            ));
        }
        let mut ports = Vec::new();
        for word in rest.split_whitespace() {
            ports.extend(expose::parse(&self.words().expand(word)?)?);
        }
        extend(self.config.exposed_ports.get_or_insert_default(), ports);
        Ok(())
    }

    fn volume(&mut self, rest: &str) -> Result<()> {
        let paths = match command::json(rest) {
            Some(paths) => paths,
            None => rest.split_whitespace().map(str::to_owned).collect(),
        };
        if paths.is_empty() {
            return Err(Error::Invalid(
                "VOLUME requires at least one argument".to_owned(),
            ));
        }
        let expanded: Result<Vec<String>> =
            paths.iter().map(|path| self.words().expand(path)).collect();
        let expanded = expanded?;
        if expanded.iter().any(|path| path.trim().is_empty()) {
            let reason = "VOLUME specified can not be an empty string";
            return Err(Error::Invalid(reason.to_owned()));
        }
        extend(self.config.volumes.get_or_insert_default(), expanded);
        Ok(())
    }

    fn workdir(&mut self, rest: &str) -> Result<()> {
        let wanted = self.one("WORKDIR", rest)?;
        self.config.working_dir = clean(&self.config.working_dir, &wanted);
        Ok(())
    }

    fn on_build(&mut self, rest: &str) -> Result<()> {
        let trigger = rest.split_whitespace().next().unwrap_or_default();
        match trigger.to_ascii_uppercase().as_str() {
            "" => Err(Error::Invalid(
                "ONBUILD requires at least one argument".to_owned(),
            )),
            "ONBUILD" => Err(Error::Invalid(
                "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned(),
            )),
            name @ ("FROM" | "MAINTAINER") => Err(Error::Invalid(format!(
                "{name} isn't allowed as an ONBUILD trigger"
            ))),
            _ => {
                self.config
                    .on_build
                    .get_or_insert_default()
                    .push(rest.to_owned());
                Ok(())
            }
        }
    }

    fn signal(&self, rest: &str) -> Result<String> {
        let signal = self.one("STOPSIGNAL", rest)?;
        check_signal(&signal)?;
        Ok(signal)
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

/// The absolute path that `wanted` means in `current`, without `.` and `..`.
fn clean(current: &str, wanted: &str) -> String {
    let joined = if wanted.starts_with('/') {
        wanted.to_owned()
    } else {
        format!("{current}/{wanted}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Logical lines: comments and empty ones left out, those that end in a
/// backslash joined with the next.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match trimmed.strip_suffix('\\') {
            Some(start) => current.push_str(start),
            None => {
                current.push_str(trimmed);
                lines.push(std::mem::take(&mut current));
            }
        }
    }
    if !current.is_empty() {
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests;
