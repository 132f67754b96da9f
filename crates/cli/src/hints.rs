//! What the user can do about an error. Hints stand on a line of their own:
//! the texts that tools match stay as they are.

use gantry_api::{ContainerSummary, ImageSummary};
use serde_json::Value;

use crate::error::Error;
use crate::help::distance;
use crate::session::Session;
use crate::transport::Call;

/// What to do about `error`, when that is known.
pub(crate) async fn find(session: &Session, error: &Error) -> Option<String> {
    let program = &session.program;
    match error {
        Error::Unreachable { host } if host.starts_with("unix://") => Some(format!(
            "Start a daemon with `{program} daemon`, or name another one with -H or DOCKER_HOST."
        )),
        Error::Unreachable { .. } => {
            Some("Check the address given by -H, DOCKER_HOST or the context.".to_owned())
        }
        Error::Refused { .. } => {
            Some("Run the command as root, or join the group that owns the socket.".to_owned())
        }
        Error::Daemon { .. } | Error::Several(_) | Error::Status { .. } | Error::Message(_) => {
            let text = error.to_string();
            match about(&text, program) {
                Some(hint) => Some(hint),
                None => near(session, &text).await,
            }
        }
        Error::Upgrade { message, .. } => Some(format!("the daemon says: {message}")),
        Error::Transport { .. } | Error::Unsupported(_) => None,
    }
}

/// The word after `start` in `text`.
fn word_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    let end = rest.find([' ', '\n', '"', ':', ',']).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|word| !word.is_empty())
}

/// Hints that the text alone gives.
fn about(text: &str, program: &str) -> Option<String> {
    if let Some(name) = word_after(text, "The container name \"/")
        && text.contains("is already in use by container")
    {
        return Some(format!(
            "Remove the other one with `{program} rm -f {name}`, or choose another --name."
        ));
    }
    if text.contains("port is already allocated") || text.contains("address already in use") {
        let port = text
            .split([' ', '/'])
            .filter_map(|word| word.trim_end_matches(':').rsplit_once(':'))
            .find_map(|(_, port)| port.parse::<u16>().ok());
        return Some(match port {
            Some(port) => format!(
                "Port {port} is in use: `{program} ps --filter publish={port}` or `ss -lntup` shows by whom; publish another one with -p."
            ),
            None => "Another program uses that port: publish another one with -p.".to_owned(),
        });
    }
    None
}

/// An object whose name is nearly the one that was not found.
async fn near(session: &Session, text: &str) -> Option<String> {
    let (wanted, names) = if let Some(wanted) = word_after(text, "No such container: ") {
        (wanted, containers(session).await?)
    } else if let Some(wanted) = word_after(text, "No such image: ") {
        let mut names = images(session).await?;
        if !wanted.contains(':') || wanted.ends_with(":latest") {
            let short = names.iter().filter_map(|name| name.strip_suffix(":latest"));
            let short: Vec<String> = short.map(str::to_owned).collect();
            names.extend(short);
        }
        (wanted.trim_end_matches(":latest"), names)
    } else if let Some(wanted) = word_after(text, "No such object: ") {
        let mut names = containers(session).await?;
        names.extend(images(session).await.unwrap_or_default());
        (wanted, names)
    } else if let Some((_, rest)) = text.split_once("get ")
        && let Some((wanted, _)) = rest.split_once(": no such volume")
    {
        (wanted, named(session, "/volumes", "Volumes").await?)
    } else if let Some((rest, _)) = text.split_once(" not found")
        && let Some((_, wanted)) = rest.rsplit_once("network ")
    {
        (wanted, named(session, "/networks", "").await?)
    } else {
        return None;
    };
    nearest(wanted, &names).map(|name| format!("Did you mean {name}?"))
}

async fn containers(session: &Session) -> Option<Vec<String>> {
    let call = Call::get("/containers/json").query("all", "1");
    let all: Vec<ContainerSummary> = session.client.json(&call).await.ok()?;
    let names = all.into_iter().flat_map(|container| container.names);
    Some(
        names
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect(),
    )
}

async fn images(session: &Session) -> Option<Vec<String>> {
    let all: Vec<ImageSummary> = session.client.json(&Call::get("/images/json")).await.ok()?;
    let names = all.into_iter().flat_map(|image| image.repo_tags);
    Some(names.filter(|name| !name.starts_with("<none>")).collect())
}

/// The names of a list, which may stand in a field of the answer.
async fn named(session: &Session, path: &str, field: &str) -> Option<Vec<String>> {
    let answer: Value = session.client.json(&Call::get(path)).await.ok()?;
    let list = match field {
        "" => &answer,
        field => &answer[field],
    };
    let names = list.as_array()?.iter();
    Some(
        names
            .filter_map(|item| item["Name"].as_str().map(str::to_owned))
            .collect(),
    )
}

/// The nearest name, when it is near: one typing error in three letters.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).min(2);
    names
        .iter()
        .map(|name| (distance(wanted, name), name.as_str()))
        .filter(|(far, _)| (1..=limit).contains(far))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_text() {
        let hint = |text: &str| about(text, "gantry").unwrap_or_default();
        assert!(
            hint("Conflict. The container name \"/web\" is already in use by container \"x\".")
                .contains("gantry rm -f web")
        );
        assert!(
            hint("Bind for 0.0.0.0:8080 failed: port is already allocated").contains("Port 8080")
        );
        assert!(hint("listen tcp4 0.0.0.0:80: bind: address already in use").contains("Port 80 "));
        assert_eq!(hint("something else"), "");
    }

    #[test]
    fn near_names() {
        let names = ["web".to_owned(), "database".to_owned()];
        assert_eq!(nearest("wep", &names), Some("web"));
        assert_eq!(nearest("databse", &names), Some("database"));
        assert_eq!(nearest("web", &names), None);
        assert_eq!(nearest("db", &names), None);
        assert_eq!(
            word_after("No such container: x y", "container: "),
            Some("x")
        );
    }
}
