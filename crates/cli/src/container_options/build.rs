//! Flags to the body of `POST /containers/create`.

use gantry_api::{Config, ContainerCreate, Empty, HealthCheck, StrSlice};

use super::{env, host_config, networks, ports::Ports, units::parse_duration};
use crate::args::Matches;
use crate::error::Error;
use crate::settings::ConfigFile;

/// The body, and what of it the client itself needs.
pub(crate) struct Built {
    pub(crate) body: ContainerCreate,
    pub(crate) name: String,
    pub(crate) platform: String,
}

/// Builds the body of a container from `IMAGE [COMMAND] [ARG...]` and flags.
///
/// Fails when options contradict each other or cannot be read.
pub(crate) fn build(matches: &Matches, settings: &ConfigFile, host: &str) -> Result<Built, Error> {
    let mut ports = Ports::default();
    for text in matches.list("publish") {
        ports.publish(&text).map_err(Error::Message)?;
    }
    for text in matches.list("expose") {
        ports.expose(&text).map_err(Error::Message)?;
    }
    let (network_mode, networking_config) = networks::build(matches)?;
    let mut config = config(matches, settings, host)?;
    config.exposed_ports = Some(ports.exposed).filter(|map| !map.is_empty());
    let (binds, volumes, tmpfs) = host_config::volumes(matches)?;
    config.volumes = Some(volumes);
    let mut host_config = host_config::build(matches)?;
    host_config.binds = Some(binds).filter(|list| !list.is_empty());
    host_config.tmpfs = Some(tmpfs).filter(|map| !map.is_empty());
    host_config.port_bindings = Some(ports.bindings);
    host_config.network_mode = network_mode;
    if host_config.auto_remove && !matches!(host_config.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::message(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    Ok(Built {
        body: ContainerCreate {
            config,
            host_config,
            networking_config,
        },
        name: matches.text("name").to_owned(),
        platform: platform(matches)?,
    })
}

fn platform(matches: &Matches) -> Result<String, Error> {
    let text = match matches.text("platform") {
        "" => std::env::var("DOCKER_DEFAULT_PLATFORM").unwrap_or_default(),
        text => text.to_owned(),
    };
    if text.contains('/') {
        let invalid = |reason: String| {
            Error::message(format!(
                "error parsing specified platform: {reason}: invalid argument"
            ))
        };
        if text.split('/').count() > 3 {
            return Err(invalid(format!(
                "{text:?}: cannot parse platform specifier"
            )));
        }
        let wrong = |part: &&str| {
            part.is_empty()
                || !part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        if let Some(part) = text.split('/').find(wrong) {
            return Err(invalid(format!(
                "{part:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\""
            )));
        }
    }
    Ok(text)
}

fn config(matches: &Matches, settings: &ConfigFile, host: &str) -> Result<Config, Error> {
    let attach: Vec<String> = matches
        .list("attach")
        .iter()
        .map(|stream| stream.to_lowercase())
        .collect();
    let open_stdin = matches.bool("interactive");
    let attached = |name: &str, default: bool| match attach.is_empty() {
        true => default,
        false => attach.iter().any(|stream| stream == name),
    };
    let attach_stdin = attached("stdin", open_stdin);
    let mut environment = env::environment(&matches.list("env-file"), &matches.list("env"))
        .map_err(Error::Message)?;
    let proxies: Vec<String> = settings
        .proxy_environment(host)
        .into_iter()
        .filter(|(name, _)| {
            !environment.iter().any(|entry| {
                entry
                    .split('=')
                    .next()
                    .is_some_and(|key| key.eq_ignore_ascii_case(name))
            })
        })
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    environment.extend(proxies);
    let command: Vec<String> = matches.operands.iter().skip(1).cloned().collect();
    Ok(Config {
        hostname: matches.text("hostname").to_owned(),
        domainname: matches.text("domainname").to_owned(),
        user: matches.text("user").to_owned(),
        attach_stdin,
        attach_stdout: attached("stdout", true),
        attach_stderr: attached("stderr", true),
        tty: matches.bool("tty"),
        open_stdin,
        stdin_once: open_stdin && attach_stdin,
        env: Some(environment).filter(|list| !list.is_empty()),
        cmd: Some(StrSlice(command)).filter(|list| !list.0.is_empty()),
        healthcheck: health(matches)?,
        image: matches.operands.first().cloned().unwrap_or_default(),
        working_dir: matches.text("workdir").to_owned(),
        entrypoint: matches
            .changed("entrypoint")
            .then(|| StrSlice(vec![matches.text("entrypoint").to_owned()])),
        labels: Some(
            env::labels(&matches.list("label-file"), &matches.list("label"))
                .map_err(Error::Message)?,
        ),
        stop_signal: matches.text("stop-signal").to_owned(),
        stop_timeout: matches.given_int("stop-timeout"),
        ..Config::default()
    })
}

fn health(matches: &Matches) -> Result<Option<HealthCheck>, Error> {
    let given = [
        "health-cmd",
        "health-interval",
        "health-retries",
        "health-start-interval",
        "health-start-period",
        "health-timeout",
    ]
    .iter()
    .any(|name| matches.changed(name));
    if matches.bool("no-healthcheck") {
        if given {
            return Err(Error::message(
                "--no-healthcheck conflicts with --health-* options",
            ));
        }
        return Ok(Some(HealthCheck {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthCheck::default()
        }));
    }
    if !given {
        return Ok(None);
    }
    let duration = |name: &str| match parse_duration(matches.text(name)).unwrap_or(0) {
        ..0 => Err(Error::message(format!("--{name} cannot be negative"))),
        nanos => Ok(nanos),
    };
    let retries = matches.int("health-retries");
    if retries < 0 {
        return Err(Error::message("--health-retries cannot be negative"));
    }
    let test = matches.changed("health-cmd").then(|| {
        vec![
            "CMD-SHELL".to_owned(),
            matches.text("health-cmd").to_owned(),
        ]
    });
    Ok(Some(HealthCheck {
        test,
        interval: duration("health-interval")?,
        timeout: duration("health-timeout")?,
        start_period: duration("health-start-period")?,
        start_interval: duration("health-start-interval")?,
        retries,
    }))
}

/// The volumes of `Config`: a path each, without a value.
pub(super) type Volumes = std::collections::BTreeMap<String, Empty>;
