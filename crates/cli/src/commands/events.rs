//! `events`: what happens in the daemon.

use futures_util::future::LocalBoxFuture;
use gantry_api::Event;
use gantry_gotemplate::{Absent, Scope, Template};
use serde_json::{Value, json};

use super::{Outcome, filters, typed};
use crate::args::Matches;
use crate::error::Error;
use crate::output::human;
use crate::output::json::escape_html;
use crate::session::Session;
use crate::transport::Call;

/// `docker events`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let format = matches.text("format");
        let template = match format {
            "" | "json" => None,
            text => Some(Template::parse(text).map_err(|error| Error::Status {
                message: format!("Error parsing format: {error}"),
                code: 64,
            })?),
        };
        let call = Call::get("/events")
            .query_some("filters", &filters::query(matches))
            .query_some("since", &moment(matches.text("since"))?)
            .query_some("until", &moment(matches.text("until"))?);
        let mut answer = session.client.send(&call).await?;
        let mut pending = Vec::new();
        while let Some(piece) = answer.next().await? {
            pending.extend_from_slice(&piece);
            let mut values = serde_json::Deserializer::from_slice(&pending).into_iter::<Value>();
            let mut lines = String::new();
            for value in values.by_ref() {
                match value {
                    Ok(value) => {
                        lines.push_str(&line(value, format, template.as_ref())?);
                        lines.push('\n');
                    }
                    Err(error) if error.is_eof() => break,
                    Err(error) => return Err(Error::message(format!("invalid event: {error}"))),
                }
            }
            let done = values.byte_offset();
            session.printer.out(&lines);
            pending.drain(..done);
        }
        Ok(0)
    })
}

/// A time of an event; the message of a wrong one does not name its flag.
fn moment(text: &str) -> Result<String, Error> {
    typed::moment("", text).map_err(|error| {
        let text = error.to_string();
        let (_, reason) = text.split_once(": ").unwrap_or(("", &text));
        Error::message(reason)
    })
}

fn line(value: Value, format: &str, template: Option<&Template>) -> Result<String, Error> {
    if format == "json" {
        return Ok(escape_html(&value.to_string()));
    }
    let event: Event = serde_json::from_value(value.clone())
        .map_err(|error| Error::message(format!("invalid event: {error}")))?;
    match template {
        Some(template) => template
            .render(&fields(&event), &EventScope(value))
            .map_err(|error| Error::message(error.to_string())),
        None => Ok(text(&event)),
    }
}

/// The fields of an event under the names of Go's type.
fn fields(event: &Event) -> Value {
    json!({
        "Status": event.status, "ID": event.id, "From": event.from,
        "Type": event.kind, "Action": event.action,
        "Actor": {"ID": event.actor.id, "Attributes": event.actor.attributes},
        "Scope": event.scope, "Time": event.time, "TimeNano": event.time_nano,
    })
}

/// The event as the daemon sent it, for `{{json .}}`.
struct EventScope(Value);

impl Scope for EventScope {
    fn wire(&self) -> Option<&Value> {
        Some(&self.0)
    }

    fn absent(&self, field: &str) -> Absent {
        // Go's fields begin with a capital letter, attributes do not.
        if !field.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Absent::NoValue;
        }
        Absent::Error(format!(
            "can't evaluate field {field} in type *events.Message"
        ))
    }
}

/// Time, kind, action, id, and the attributes in brackets.
fn text(event: &Event) -> String {
    let nanos = match event.time_nano {
        0 => event.time.saturating_mul(1_000_000_000),
        nanos => nanos,
    };
    let mut out = format!(
        "{} {} {} {}",
        human::event_time(nanos),
        event.kind,
        event.action,
        event.actor.id
    );
    if !event.actor.attributes.is_empty() {
        let pairs: Vec<String> = event
            .actor
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        out.push_str(&format!(" ({})", pairs.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let value = json!({"Type":"container","Action":"start","Actor":{"ID":"abc",
            "Attributes":{"name":"x","image":"bb"}},"scope":"local","time":1,"timeNano":1_500_000_000_i64});
        let shown = line(value.clone(), "", None).unwrap();
        assert!(
            shown.ends_with(" container start abc (image=bb, name=x)"),
            "{shown}"
        );
        let template = Template::parse("{{.Action}} {{.Actor.Attributes.name}}").unwrap();
        assert_eq!(line(value, "x", Some(&template)).unwrap(), "start x");
    }
}
