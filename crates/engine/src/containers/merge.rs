//! The client's wishes over the image's defaults, as Docker joins them.

use std::collections::BTreeMap;

use gantry_api::{Config, Empty, HealthCheck};
use gantry_types::ProcessConfig;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Fills `config` in from the image.
///
/// # Errors
/// `Invalid` when there is no command in the end.
pub(crate) fn with_image(config: &mut Config, image: Option<&ProcessConfig>) -> Result<()> {
    if let Some(image) = image {
        if config.user.is_empty() {
            config.user.clone_from(&image.user);
        }
        if config.working_dir.is_empty() {
            config.working_dir.clone_from(&image.working_dir);
        }
        if config.stop_signal.is_empty() {
            config.stop_signal = image.stop_signal.clone().unwrap_or_default();
        }
        ports(config, image);
        volumes(config, image);
        environment(config, image);
        labels(config, image);
        command(config, image);
        health(config, image)?;
        if config.shell.is_none() {
            config.shell = image.shell.clone().map(Into::into);
        }
        if config.on_build.is_none() {
            config.on_build.clone_from(&image.on_build);
        }
    }
    // `--entrypoint ""` sends one empty word, which takes the image's away.
    if config
        .entrypoint
        .as_ref()
        .is_some_and(|e| e.len() == 1 && e[0].is_empty())
    {
        config.entrypoint = None;
    }
    let words = |list: &Option<gantry_api::StrSlice>| list.as_ref().map_or(0, |list| list.len());
    if words(&config.entrypoint) == 0 && words(&config.cmd) == 0 {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    Ok(())
}

/// What the client says about the checks, over what the image says.
fn health(config: &mut Config, image: &ProcessConfig) -> Result<()> {
    let declared = image.healthcheck.as_ref().filter(|check| !check.is_null());
    let Some(declared) = declared else {
        return Ok(());
    };
    let theirs: HealthCheck = HealthCheck::deserialize(declared)
        .map_err(|error| Error::Corrupt(format!("health check of an image: {error}")))?;
    let Some(own) = &mut config.healthcheck else {
        config.healthcheck = Some(theirs);
        return Ok(());
    };
    if own.test.as_ref().is_none_or(Vec::is_empty) {
        own.test = theirs.test;
    }
    for (own, theirs) in [
        (&mut own.interval, theirs.interval),
        (&mut own.timeout, theirs.timeout),
        (&mut own.start_period, theirs.start_period),
        (&mut own.start_interval, theirs.start_interval),
        (&mut own.retries, theirs.retries),
    ] {
        if *own == 0 {
            *own = theirs;
        }
    }
    Ok(())
}

fn ports(config: &mut Config, image: &ProcessConfig) {
    for port in image.exposed_ports.iter().flat_map(BTreeMap::keys) {
        config
            .exposed_ports
            .get_or_insert_default()
            .entry(port.clone())
            .or_insert(Empty {});
    }
}

fn volumes(config: &mut Config, image: &ProcessConfig) {
    for path in image.volumes.iter().flatten().map(|(path, _)| path) {
        config
            .volumes
            .get_or_insert_default()
            .entry(path.clone())
            .or_insert(Empty {});
    }
}

/// The client's variables first, then the image's that it does not name.
fn environment(config: &mut Config, image: &ProcessConfig) {
    let inherited = image.env.iter().flatten();
    if config.env.as_ref().is_none_or(Vec::is_empty) {
        let all: Vec<String> = inherited.cloned().collect();
        if !all.is_empty() {
            config.env = Some(all);
        }
        return;
    }
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let own = config.env.get_or_insert_default();
    for variable in inherited {
        if !own.iter().any(|own| name(own) == name(variable)) {
            own.push(variable.clone());
        }
    }
}

fn labels(config: &mut Config, image: &ProcessConfig) {
    let labels = config.labels.get_or_insert_default();
    for (key, value) in image.labels.iter().flatten() {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// The image's command goes with the image's entry point only.
fn command(config: &mut Config, image: &ProcessConfig) {
    let absent = |list: &Option<gantry_api::StrSlice>| list.as_ref().is_none_or(|l| l.is_empty());
    if absent(&config.entrypoint) {
        if absent(&config.cmd) {
            config.cmd = image.cmd.clone().map(Into::into);
        }
        if config.entrypoint.is_none() {
            config.entrypoint = image.entrypoint.clone().map(Into::into);
        }
    }
}

/// The program and its arguments.
pub(crate) fn command_line(config: &Config) -> (String, Vec<String>) {
    let entrypoint = config.entrypoint.iter().flat_map(|list| list.iter());
    let cmd = config.cmd.iter().flat_map(|list| list.iter());
    let mut words = entrypoint.chain(cmd).cloned();
    (words.next().unwrap_or_default(), words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ProcessConfig {
        serde_json::from_str(
            r#"{"User":"bob","Env":["PATH=/bin","A=1"],"Cmd":["-c"],"Entrypoint":["/e"],
            "WorkingDir":"/w","Labels":{"a":"image","b":"image"},"StopSignal":"SIGINT",
            "ExposedPorts":{"80/tcp":{}}}"#,
        )
        .unwrap()
    }

    fn merged(json: &str) -> Config {
        let mut config: Config = serde_json::from_str(json).unwrap();
        with_image(&mut config, Some(&image())).unwrap();
        config
    }

    #[test]
    fn the_client_wins() {
        let config = merged(r#"{"Env":["A=2"],"Labels":{"a":"mine"},"User":"0"}"#);
        assert_eq!(config.env.unwrap(), ["A=2", "PATH=/bin"]);
        assert_eq!(config.labels.unwrap()["a"], "mine");
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("0", "/w")
        );
        assert!(config.exposed_ports.unwrap().contains_key("80/tcp"));
    }

    #[test]
    fn commands_follow_their_entry_point() {
        let line = |json: &str| {
            let (path, args) = command_line(&merged(json));
            format!("{path} {}", args.join(" "))
        };
        assert_eq!(line("{}"), "/e -c");
        assert_eq!(line(r#"{"Cmd":["x"]}"#), "/e x");
        assert_eq!(line(r#"{"Entrypoint":["y"]}"#), "y ");
        assert_eq!(line(r#"{"Entrypoint":[""],"Cmd":["z"]}"#), "z ");
    }

    #[test]
    fn nothing_to_run_is_an_error() {
        let error = with_image(&mut Config::default(), None).unwrap_err();
        assert_eq!(error.to_string(), "no command specified");
    }
}
