//! `inspect`: all about objects, as the daemon tells it.

use futures_util::future::LocalBoxFuture;
use gantry_gotemplate::{Strict, Template};
use gantry_types::ErrorKind;
use serde_json::Value;

use super::{Outcome, container_path, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::json::indent;
use crate::session::Session;
use crate::transport::{Call, encode};

/// Kinds of objects, in the order they are looked for.
const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

/// The request for one object; `more` asks for sizes, or for a verbose answer.
fn call(kind: &str, name: &str, more: bool, platform: &str) -> Result<Call, Error> {
    Ok(match kind {
        "container" => Call::get(container_path(name, "/json")?).query_if("size", more),
        "image" => Call::get(format!("/images/{}/json", encode(name)))
            .query_some("platform", &typed::platform(platform)?),
        "network" => Call::get(format!("/networks/{}", encode(name)))
            .query_some("verbose", if more { "true" } else { "" }),
        _ => Call::get(format!("/volumes/{}", encode(name))),
    })
}

/// `docker container inspect`.
pub(crate) fn container<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(show(
        session,
        matches,
        &KINDS[..1],
        matches.bool("size"),
        "",
        true,
    ))
}

/// `docker image inspect`.
pub(crate) fn image<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(show(
        session,
        matches,
        &KINDS[1..2],
        false,
        matches.text("platform"),
        true,
    ))
}

/// `docker network inspect`.
pub(crate) fn network<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    let verbose = matches.bool("verbose");
    Box::pin(show(session, matches, &KINDS[2..3], verbose, "", true))
}

/// `docker volume inspect`.
pub(crate) fn volume<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(show(session, matches, &KINDS[3..4], false, "", true))
}

/// `docker inspect`.
pub(crate) fn any<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let kind = matches.text("type");
        if matches.changed("type") && kind.is_empty() {
            return Err(Error::message(
                "type is empty: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"",
            ));
        }
        let size = matches.bool("size");
        if kind.is_empty() {
            return show(session, matches, &KINDS, size, "", false).await;
        }
        match KINDS.iter().position(|known| *known == kind) {
            Some(at) => show(session, matches, &KINDS[at..=at], size, "", true).await,
            None if matches!(
                kind,
                "config" | "node" | "plugin" | "secret" | "service" | "task"
            ) =>
            {
                Err(Error::Unsupported(format!(
                    "inspect --type {kind} is not supported yet"
                )))
            }
            None => Err(Error::message(format!(
                "unknown type: {kind:?}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\""
            ))),
        }
    })
}

async fn find(
    session: &Session,
    name: &str,
    kinds: &[&str],
    size: bool,
    platform: &str,
    exact: bool,
) -> Result<String, Error> {
    for kind in kinds {
        match session
            .client
            .text(&call(kind, name, size, platform)?)
            .await
        {
            Err(error)
                if !exact
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => {}
            Err(error)
                if !exact && *kind == "container" && error.kind() == ErrorKind::InvalidArgument => {
            }
            other => return other,
        }
    }
    Err(Error::message(format!("Error: No such object: {name}")))
}

async fn show(
    session: &Session,
    matches: &Matches,
    kinds: &[&str],
    more: bool,
    platform: &str,
    exact: bool,
) -> Outcome {
    template(matches)?;
    let mut found = Vec::new();
    for name in &matches.operands {
        match find(session, name, kinds, more, platform, exact).await {
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => return Err(error),
            other => found.push(other),
        }
    }
    show_all(session, matches, found)
}

/// The template of `--format`, unless that is empty or `json`.
fn template(matches: &Matches) -> Result<Option<Template>, Error> {
    match matches.text("format") {
        "" | "json" => Ok(None),
        text => Template::parse(text)
            .map(Some)
            .map_err(|error| Error::Status {
                message: format!("template parsing error: {error}"),
                code: 64,
            }),
    }
}

/// Prints objects as `--format` says, and collects what failed.
pub(super) fn show_all(
    session: &Session,
    matches: &Matches,
    objects: Vec<Result<String, Error>>,
) -> Outcome {
    let template = template(matches)?;
    let mut found = Vec::new();
    let mut out = String::new();
    let mut failures = Vec::new();
    for object in objects {
        match (object, &template) {
            (Err(error), _) => failures.push(error.to_string()),
            (Ok(text), None) => found.push(text.trim().to_owned()),
            (Ok(text), Some(template)) => match rendered(template, &text) {
                Ok(line) => {
                    out.push_str(&line);
                    out.push('\n');
                }
                Err(reason) => failures.push(format!("template parsing error: {reason}")),
            },
        }
    }
    match (matches.text("format"), &template) {
        (_, Some(_)) if out.is_empty() => session.printer.out("\n"),
        (_, Some(_)) => session.printer.out(&out),
        ("json", None) => {
            session.printer.line(&format!("[{}]", found.join(",")));
        }
        _ => session
            .printer
            .line(&indent(&format!("[{}]", found.join(",")))),
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Error::Several(failures)),
    }
}

/// First as Go's types see the object, then, when that fails, as plain maps.
fn rendered(template: &Template, text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut typed = value.clone();
    if value.get("RootFS").is_some() {
        typed::image_config(&mut typed);
    }
    if let Ok(line) = template.render(&typed, &typed::Typed) {
        return Ok(line);
    }
    template
        .render(&value, &Strict)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_maps() {
        let text = r#"{"Id":"x","State":{"Pid":3},"HostConfig":{"CapAdd":null,"PidsLimit":null},"Config":{"Labels":null,"Cmd":["a","b"]}}"#;
        let table = [
            ("{{.State.Pid}} {{.Config.Cmd}}", Ok("3 [a b]")),
            (
                "{{.State.Health}}|{{.HostConfig.CapAdd}}|{{.Config.Labels}}",
                Ok("<nil>|[]|map[]"),
            ),
            (
                "{{json .HostConfig}}",
                Ok("{\"CapAdd\":null,\"PidsLimit\":null}"),
            ),
            (
                "{{.Foo}}",
                Err("template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
            ),
            (
                "{{.State.Health.Status}}",
                Err(
                    "template: :1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"",
                ),
            ),
        ];
        for (format, expected) in table {
            let template = Template::parse(format).unwrap();
            let shown = rendered(&template, text);
            assert_eq!(
                shown.as_deref().map_err(|e| e.as_str()),
                expected,
                "{format}"
            );
        }
    }
}
