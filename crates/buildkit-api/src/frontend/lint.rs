//! The rules of `--check`, as a request of its own and as warnings of every build; and
//! the other requests of `--call`, for which nothing is built.

use std::collections::BTreeSet;

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::lint::{self, Base, Report, Setting};
use gantry_dockerfile::{Dockerfile, Globals, Outline, Targets};
use gantry_types::Platform;

use super::load::Loaded;
use super::options::Options;
use super::solved::Solved;
use crate::BuildKit;
use crate::builds::Build;
use crate::progress::{Lines, Warning};
use crate::status::Status;

/// Checks the Dockerfile; a build that is to fail for it does.
pub(super) fn warn(
    service: &BuildKit,
    build: &Build,
    options: &Options,
    loaded: &Loaded,
    ignored: &[String],
) -> Result<(), Status> {
    let report = check(service, options, loaded, ignored)?;
    for finding in &report.findings {
        let span = finding.span;
        let line = |number: usize| u32::try_from(number).unwrap_or(0);
        let source = &loaded.source;
        let warning = Warning {
            short: format!(
                "{}: {} (line {})",
                finding.rule.name, finding.text, span.first_line
            ),
            detail: finding.rule.description.to_owned(),
            url: finding.rule.url().unwrap_or_default(),
            source: Some(Lines {
                name: source.name.clone(),
                text: source.text.clone(),
                first: line(span.first_line),
                last: line(span.last_line),
            }),
        };
        build.progress.warn(&loaded.vertex, &warning);
    }
    match report.violation() {
        Some(violation) => Err(loaded.source.wrong(&violation)),
        None => Ok(()),
    }
}

/// What `--call` asks for: `lint`, `outline` or `targets`.
///
/// # Errors
/// For what is wrong with the Dockerfile, and for other requests.
pub(super) fn answer(
    service: &BuildKit,
    options: &Options,
    loaded: &Loaded,
    ignored: &[String],
    request: &str,
) -> Result<Solved, Status> {
    let source = &loaded.source;
    let (text, json, code) = match request {
        "frontend.lint" => {
            let report = check(service, options, loaded, ignored)?;
            let failed = report.error.is_some() || !report.findings.is_empty();
            let text = report.text(&source.name, &source.text);
            let json = report.json(&source.name, &source.text);
            (text, json, Some(u8::from(failed)))
        }
        "frontend.outline" => {
            let outline = with_setting(service, options, ignored, |setting| {
                Outline::of(&source.text, setting)
            })?;
            let outline = outline.map_err(|error| source.wrong(&error))?;
            (outline.text(), outline.json(&source.text), None)
        }
        "frontend.targets" => {
            let file = gantry_dockerfile::parse(&source.text);
            let targets = Targets::of(&file.map_err(|error| source.wrong(&error))?);
            (targets.text(), targets.json(&source.text), None)
        }
        other => {
            return Err(Status::unsupported(format!("unsupported request {other}")));
        }
    };
    let mut texts = gantry_types::sort::map([
        ("result.json".to_owned(), format!("{json:#}").into_bytes()),
        ("result.txt".to_owned(), text.into_bytes()),
        ("version".to_owned(), b"1.0.0".to_vec()),
    ]);
    if let Some(code) = code {
        let code = code.to_string().into_bytes();
        texts.insert("result.statuscode".to_owned(), code);
    }
    Ok(Solved::texts(texts))
}

fn check(
    service: &BuildKit,
    options: &Options,
    loaded: &Loaded,
    ignored: &[String],
) -> Result<Report, Status> {
    with_setting(service, options, ignored, |setting| {
        lint::check(&loaded.source.text, setting)
    })
}

/// Looks at a Dockerfile with what it has to know of the build.
fn with_setting<T>(
    service: &BuildKit,
    options: &Options,
    ignored: &[String],
    look: impl FnOnce(&Setting<'_>) -> T,
) -> Result<T, Status> {
    let ignored = Patterns::new(ignored).map_err(|error| Status::invalid(error.to_string()))?;
    let predefined = predefined();
    let contexts: BTreeSet<String> = options.contexts.keys().cloned().collect();
    // An image that is not here is not got for a check.
    let image = |name: &str, _: Option<&str>| {
        let found = service.engine.images.inspect(name, None, false);
        Ok(found.map_or_else(|_| Base::default(), |image| base(&image)))
    };
    let target = (!options.target.is_empty()).then_some(options.target.as_str());
    let given = options.build_args.get("BUILDKIT_DOCKERFILE_CHECK");
    let setting = Setting {
        predefined: &predefined,
        build_args: &options.build_args,
        contexts: &contexts,
        ignored: &ignored,
        target,
        image: &image,
        options: given.map(String::as_str),
    };
    Ok(look(&setting))
}

fn base(image: &gantry_api::ImageInspect) -> Base {
    let env = image.config.env.as_ref();
    let pair = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Base {
        env: env
            .map(|env| env.iter().filter_map(pair).collect())
            .unwrap_or_default(),
        has_shell: false,
        triggers: Vec::new(),
        platform: Some(format!("{}/{}", image.os, image.architecture)),
    }
}

/// What arguments are before the first stage; what is wrong with them is said later.
pub(super) fn arguments(file: &Dockerfile, options: &Options) -> Globals {
    Globals::new(file, &predefined(), &options.build_args).unwrap_or_default()
}

/// The arguments that every build has.
fn predefined() -> Vec<(&'static str, String)> {
    let host = Platform::host();
    let whole = format!("{}/{}", host.os, host.architecture);
    let variant = host.variant.clone().unwrap_or_default();
    vec![
        ("BUILDPLATFORM", whole.clone()),
        ("BUILDOS", host.os.clone()),
        ("BUILDOSVERSION", String::new()),
        ("BUILDARCH", host.architecture.clone()),
        ("BUILDVARIANT", variant.clone()),
        ("TARGETPLATFORM", whole),
        ("TARGETOS", host.os),
        ("TARGETOSVERSION", String::new()),
        ("TARGETARCH", host.architecture),
        ("TARGETVARIANT", variant),
        ("TARGETSTAGE", "default".to_owned()),
    ]
}
