//! `--check`: the rules of Dockerfiles, without a daemon.

use std::collections::{BTreeMap, BTreeSet};

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::lint::{self, Base, Setting};
use gantry_types::Platform;

use super::super::Outcome;
use super::context::Source;
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;

/// Looks at a Dockerfile; 1 when a rule is broken.
pub(super) fn run(session: &Session, matches: &Matches, source: &Source) -> Outcome {
    let Some(text) = &source.text else {
        return Err(Error::message("--check needs a Dockerfile that is here"));
    };
    let none = Patterns::parse(b"").map_err(|error| Error::message(error.to_string()))?;
    let build_args: BTreeMap<String, String> = matches
        .list("build-arg")
        .iter()
        .filter_map(|arg| arg.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let predefined = platform_args();
    let target = matches.text("target");
    let report = lint::check(
        text,
        &Setting {
            predefined: &predefined,
            build_args: &build_args,
            contexts: &BTreeSet::new(),
            ignored: source.ignored().unwrap_or(&none),
            target: Some(target).filter(|target| !target.is_empty()),
            image: &|_, _| Ok(Base::default()),
            options: None,
        },
    );
    if let Some(error) = &report.error {
        return Err(Error::message(error.to_string()));
    }
    match report.summary() {
        None => session.printer.line("Check complete, no warnings found."),
        Some(summary) => {
            session.printer.line(&summary);
            session.printer.out(&report.text(&source.dockerfile, text));
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
