//! The configuration of an image that a container is committed to: the container's
//! own, under what the client gives and the Dockerfile instructions that it names.

use std::collections::BTreeMap;

use gantry_types::ProcessConfig;
use serde_json::Value;

use crate::{Result, changes};

/// The configuration that `changes` make of `given`, or of the container's own without
/// it; what is not said there is the container's.
///
/// # Errors
/// `Invalid`, naming the instruction.
pub fn committed_config(
    own: &ProcessConfig,
    given: Option<ProcessConfig>,
    changes: &[String],
) -> Result<ProcessConfig> {
    let begun = given.unwrap_or_else(|| own.clone());
    let mut config = match changes {
        [] => begun,
        changes => changes::apply(begun, changes)?,
    };
    if config.user.is_empty() {
        config.user.clone_from(&own.user);
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&own.working_dir);
    }
    config.stop_signal = config.stop_signal.or_else(|| own.stop_signal.clone());
    union(&mut config.exposed_ports, own.exposed_ports.as_ref());
    union(&mut config.volumes, own.volumes.as_ref());
    union(&mut config.labels, own.labels.as_ref());
    environment(&mut config, own);
    let absent = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if absent(&config.entrypoint) {
        if absent(&config.cmd) {
            config.cmd.clone_from(&own.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&own.entrypoint);
        }
    }
    healthcheck(&mut config, own);
    Ok(config)
}

fn union<V: Clone>(map: &mut Option<BTreeMap<String, V>>, other: Option<&BTreeMap<String, V>>) {
    for (key, value) in other.into_iter().flatten() {
        let map = map.get_or_insert_default();
        if !map.contains_key(key) {
            map.insert(key.clone(), value.clone());
        }
    }
}

fn environment(config: &mut ProcessConfig, own: &ProcessConfig) {
    let name = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
    for variable in own.env.iter().flatten() {
        let env = config.env.get_or_insert_default();
        if !env.iter().any(|other| name(other) == name(variable)) {
            env.push(variable.clone());
        }
    }
}

/// What the new check does not say is as the old one has it.
fn healthcheck(config: &mut ProcessConfig, own: &ProcessConfig) {
    let Some(Value::Object(own)) = &own.healthcheck else {
        return;
    };
    match &mut config.healthcheck {
        Some(Value::Object(check)) => {
            for (key, value) in own {
                check.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        check => *check = Some(Value::Object(own.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ProcessConfig {
        serde_json::from_str(
            r#"{"User":"0","Env":["A=1"],"Cmd":["sh"],"Labels":{"lab":"1"},"WorkingDir":"/root",
            "ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["CMD","x"],"Retries":3}}"#,
        )
        .unwrap()
    }

    fn made(given: Option<&str>, changes: &[&str]) -> ProcessConfig {
        let given = given.map(|json| serde_json::from_str(json).unwrap());
        let changes: Vec<String> = changes.iter().map(|&text| text.to_owned()).collect();
        committed_config(&own(), given, &changes).unwrap()
    }

    #[test]
    fn without_a_word_it_is_the_containers() {
        assert_eq!(made(None, &[]), own());
    }

    #[test]
    fn as_docker_joins_them() {
        let given = r#"{"Env":["Z=1"],"Cmd":["q"],"Labels":{"m":"n"}}"#;
        let config = made(Some(given), &[]);
        assert_eq!(config.env.unwrap(), ["Z=1", "A=1"]);
        assert_eq!(config.cmd.unwrap(), ["q"]);
        assert_eq!(config.labels.unwrap().len(), 2);
        assert_eq!((config.user.as_str(), &*config.working_dir), ("0", "/root"));
        let config = made(None, &["ENTRYPOINT e", "HEALTHCHECK CMD true"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "e"]);
        assert_eq!(config.cmd, None);
        let check = config.healthcheck.unwrap();
        assert_eq!(check["Test"][0], "CMD-SHELL");
        assert_eq!(check["Retries"], 3);
    }

    #[test]
    fn not_every_instruction_is_a_change() {
        let error = committed_config(&own(), None, &["RUN x".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "RUN is not a valid change command");
    }
}
