//! `--check` and `--call`: what a Dockerfile is like, without a daemon.

use gantry_types::sort::IntoMap;
use std::collections::{BTreeMap, BTreeSet};

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::lint::{self, Base, Setting};
use gantry_dockerfile::{Outline, Targets};
use gantry_types::Platform;

use super::super::Outcome;
use super::context::Source;
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;

/// What is wished instead of a build.
pub(super) fn wished(matches: &Matches) -> Option<&str> {
    match matches.text("call") {
        _ if matches.bool("check") => Some("check"),
        "" | "build" => None,
        what => Some(what),
    }
}

/// Looks at a Dockerfile; 1 when a rule is broken.
pub(super) fn run(session: &Session, matches: &Matches, source: &Source, what: &str) -> Outcome {
    let Some(text) = &source.text else {
        let text = format!("--call={what} needs a Dockerfile that is here");
        return Err(Error::message(text));
    };
    let none = Patterns::parse(b"").map_err(|error| Error::message(error.to_string()))?;
    let build_args: BTreeMap<String, String> = matches
        .list("build-arg")
        .iter()
        .filter_map(|arg| arg.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_map();
    let predefined = platform_args();
    let target = matches.text("target");
    let setting = Setting {
        predefined: &predefined,
        build_args: &build_args,
        contexts: &BTreeSet::new(),
        ignored: source.ignored().unwrap_or(&none),
        target: Some(target).filter(|target| !target.is_empty()),
        image: &|_, _| Ok(Base::default()),
        options: None,
    };
    let wrong = |error: &gantry_dockerfile::Error| {
        let excerpt = error.excerpt(source.shown_name(), text).unwrap_or_default();
        std::io::Write::write_all(&mut std::io::stderr(), excerpt.as_bytes()).ok();
        Error::message(format!("failed to solve: {error}"))
    };
    match what {
        "outline" => {
            let outline = Outline::of(text, &setting).map_err(|error| wrong(&error))?;
            session.printer.out(&outline.text());
            return Ok(0);
        }
        "targets" => {
            let file = gantry_dockerfile::parse(text).map_err(|error| wrong(&error))?;
            session.printer.out(&Targets::of(&file).text());
            return Ok(0);
        }
        _ => {}
    }
    let report = lint::check(text, &setting);
    if let Some(error) = &report.error {
        return Err(wrong(error));
    }
    match report.summary() {
        None => session.printer.line("Check complete, no warnings found."),
        Some(summary) => {
            session.printer.line(&summary);
            session.printer.out(&report.text(source.shown_name(), text));
        }
    }
    Ok(i32::from(!report.findings.is_empty()))
}

/// What every build knows of its platforms.
fn platform_args() -> Vec<(&'static str, String)> {
    let host = Platform::host();
    let value = |name: &str| match name
        .trim_start_matches("TARGET")
        .trim_start_matches("BUILD")
    {
        "PLATFORM" => host.to_string(),
        "OS" => host.os.clone(),
        "ARCH" => host.architecture.clone(),
        _ => String::new(),
    };
    let names = gantry_dockerfile::PLATFORM_ARGS.iter();
    names.map(|name| (*name, value(name))).collect()
}
