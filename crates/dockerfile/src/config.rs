//! What instructions mean for the configuration of an image, where that needs nothing but
//! the configuration.

use gantry_types::ProcessConfig;
use serde_json::{Map, Value, json};

use crate::{CommandLine, Healthcheck, clean};

/// The shell of commands that are no lists.
pub fn shell(config: &ProcessConfig) -> Vec<String> {
    let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
    config.shell.clone().unwrap_or_else(default)
}

/// The words of a command.
pub fn words(config: &ProcessConfig, line: &CommandLine) -> Vec<String> {
    match line {
        CommandLine::Exec(words) => words.clone(),
        CommandLine::Shell(text) if text.is_empty() => Vec::new(),
        CommandLine::Shell(text) => {
            let mut words = shell(config);
            words.push(text.clone());
            words
        }
    }
}

/// `ENTRYPOINT`; unless `cmd_given`, what was the command before is none of its.
pub fn set_entrypoint(config: &mut ProcessConfig, words: Vec<String>, cmd_given: bool) {
    config.entrypoint = (!words.is_empty()).then_some(words);
    if !cmd_given {
        config.cmd = None;
    }
}

/// The words of a check.
pub fn health_test(check: &Healthcheck) -> Vec<String> {
    match check {
        Healthcheck::None => vec!["NONE".to_owned()],
        Healthcheck::Check { line, .. } => match line {
            CommandLine::Exec(words) => std::iter::once("CMD".to_owned())
                .chain(words.iter().cloned())
                .collect(),
            CommandLine::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
        },
    }
}

/// `HEALTHCHECK` as the configuration keeps it: durations in nanoseconds.
pub fn healthcheck(check: &Healthcheck) -> Value {
    let mut object = Map::new();
    object.insert("Test".to_owned(), json!(health_test(check)));
    if let Healthcheck::Check {
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
        ..
    } = check
    {
        let times = [
            ("Interval", interval),
            ("Timeout", timeout),
            ("StartPeriod", start_period),
            ("StartInterval", start_interval),
        ];
        for (key, time) in times {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(0);
            if nanoseconds != 0 {
                object.insert(key.to_owned(), json!(nanoseconds));
            }
        }
        if *retries != 0 {
            object.insert("Retries".to_owned(), json!(retries));
        }
    }
    Value::Object(object)
}

/// The absolute path that `wanted` means in `current`, without `.` and `..`.
pub fn directory(current: &str, wanted: &str) -> String {
    match wanted.starts_with('/') {
        true => clean(wanted),
        false => clean(&format!("/{current}/{wanted}")),
    }
}

/// The value of a variable in `NAME=value`s.
pub fn env_value(env: &[String], name: &str) -> Option<String> {
    env.iter().find_map(|variable| {
        let (known, value) = variable.split_once('=')?;
        (known == name).then(|| value.to_owned())
    })
}

/// Sets a variable among `NAME=value`s.
pub fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let text = format!("{name}={value}");
    let prefix = format!("{name}=");
    match env.iter_mut().find(|known| known.starts_with(&prefix)) {
        Some(known) => *known = text,
        None => env.push(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_joined_by_words() {
        assert_eq!(directory("/a", "b/../c"), "/a/c");
        assert_eq!(directory("", "b"), "/b");
        assert_eq!(directory("/a", "/"), "/");
        assert_eq!(directory("/a", "../../.."), "/");
    }
}
