//! `system check`: whether the daemon's records and its disk agree. The exit code
//! tells what came of it.

use std::path::Path;

use futures_util::future::LocalBoxFuture;
use gantry_api::{CheckFinding, CheckLine, CheckSummary, ProgressMessage};

use super::Outcome;
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// Something was wrong, and all of it is all right now.
const REPAIRED: i32 = 2;
/// Something is wrong.
const LEFT: i32 = 3;

/// `gantry system check`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        match matches.text("data-root") {
            "" => {}
            directory => return at_rest(session, directory, matches),
        }
        let call = Call::post("/gantry/system/check")
            .query_if("repair", matches.bool("repair"))
            .query_if("quick", matches.bool("quick"));
        let mut answer = session.client.send(&call).await?;
        let (mut rest, mut summary) = (Vec::new(), None);
        while let Some(piece) = answer.next().await? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = read(&line)?;
                if let Some(finding) = line.finding {
                    session.printer.out(&told(&finding));
                }
                summary = summary.or(line.summary);
            }
        }
        let summary = summary.ok_or_else(|| Error::message("the check ended before its end"))?;
        session.printer.out(&sum(&summary));
        Ok(code(&summary))
    })
}

/// The check of a data root without a daemon, by this very program.
fn at_rest(session: &Session, directory: &str, matches: &Matches) -> Outcome {
    let checker = session
        .checker
        .ok_or_else(|| Error::message("this client cannot check a data root by itself"))?;
    let (repair, quick) = (matches.bool("repair"), matches.bool("quick"));
    let checked = checker(Path::new(directory), repair, quick, &mut |finding| {
        session.printer.out(&told(&finding));
    });
    let summary = checked.map_err(Error::message)?;
    session.printer.out(&sum(&summary));
    Ok(code(&summary))
}

fn read(line: &[u8]) -> Result<CheckLine, Error> {
    let unreadable = |error| Error::message(format!("reading the answer: {error}"));
    let message: ProgressMessage = serde_json::from_slice(line).map_err(unreadable)?;
    match message.error.is_empty() {
        true => serde_json::from_value(message.aux.unwrap_or_default()).map_err(unreadable),
        false => Err(Error::message(message.error)),
    }
}

fn told(finding: &CheckFinding) -> String {
    let CheckFinding {
        kind,
        name,
        problem,
        ..
    } = finding;
    let done = match (&finding.repaired, &finding.advice) {
        (Some(done), _) => format!("  repaired: {done}\n"),
        (None, Some(advice)) => format!("  {advice}\n"),
        (None, None) => String::new(),
    };
    format!("{kind} {name}: {problem}\n{done}")
}

fn sum(summary: &CheckSummary) -> String {
    let count = |number: u64, one: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    };
    let looked = [
        count(summary.images, "image"),
        count(summary.layers, "layer"),
        count(summary.blobs, "blob"),
        count(summary.containers, "container"),
        count(summary.volumes, "volume"),
    ];
    let found = match (summary.found, summary.repaired) {
        (0, _) => "all is well".to_owned(),
        (found, 0) => format!("{} found", count(found, "problem")),
        (found, repaired) => format!("{} found, {repaired} repaired", count(found, "problem")),
    };
    format!("Checked {}: {found}\n", looked.join(", "))
}

fn code(summary: &CheckSummary) -> i32 {
    match summary.found {
        0 => 0,
        found if found == summary.repaired => REPAIRED,
        _ => LEFT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_tells_what_is_left() {
        let summary = |found, repaired| CheckSummary {
            images: 1,
            blobs: 2,
            found,
            repaired,
            ..CheckSummary::default()
        };
        assert_eq!(code(&summary(0, 0)), 0);
        assert_eq!(code(&summary(2, 2)), 2);
        assert_eq!(code(&summary(2, 1)), 3);
        let looked = "Checked 1 image, 0 layers, 2 blobs, 0 containers, 0 volumes";
        assert_eq!(sum(&summary(0, 0)), format!("{looked}: all is well\n"));
        assert_eq!(sum(&summary(1, 0)), format!("{looked}: 1 problem found\n"));
        let text = sum(&summary(3, 2));
        assert_eq!(text, format!("{looked}: 3 problems found, 2 repaired\n"));
    }

    #[test]
    fn lines_are_data_or_a_failure() {
        let line = br#"{"aux":{"Finding":{"Kind":"blob","Name":"x","Problem":"missing","Repaired":null,"Advice":"pull"},"Summary":null}}"#;
        let finding = read(line).ok().and_then(|line| line.finding).unwrap();
        assert_eq!(told(&finding), "blob x: missing\n  pull\n");
        assert!(read(br#"{"error":"no"}"#).is_err());
    }
}
