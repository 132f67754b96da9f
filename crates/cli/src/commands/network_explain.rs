//! `network explain`: which rule lets packets in by a port of the host, and to
//! which container; or why none does. The exit code tells whether one gets in.

use futures_util::future::LocalBoxFuture;
use gantry_api::{PortExplained, PortWay};

use super::{Outcome, names};
use crate::args::Matches;
use crate::session::Session;
use crate::transport::Call;

/// No packet gets in.
const CLOSED: i32 = 1;

/// `gantry network explain`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::get("/gantry/network/explain")
            .query("port", &matches.operands[0])
            .query_some("from", matches.text("from"));
        let told: PortExplained = session.client.json(&call).await?;
        session.printer.out(&text(&told));
        Ok(if told.admitted { 0 } else { CLOSED })
    })
}

fn text(told: &PortExplained) -> String {
    let from = match told.from.as_str() {
        "" => String::new(),
        from => format!(" from {from}"),
    };
    let outcome = match told.admitted {
        true => "open",
        false => "closed",
    };
    let mut text = format!("{}{from}: {outcome}\n", told.port);
    for way in &told.ways {
        text.push_str(&one(way));
    }
    for note in &told.notes {
        text.push_str(&format!("Note: {note}\n"));
    }
    text
}

fn one(way: &PortWay) -> String {
    let arrow = if way.admitted { "->" } else { "-x" };
    let mut text = format!(
        "{} {arrow} {} ({}), {}, network {}\n",
        way.host,
        way.name,
        names::short_id(&way.container),
        way.target,
        way.network
    );
    for step in &way.steps {
        text.push_str(&format!("  {step}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_and_what_decides_are_told() {
        let told = PortExplained {
            port: "8080/tcp".to_owned(),
            from: "192.0.2.2".to_owned(),
            ways: vec![PortWay {
                host: "0.0.0.0:8080".to_owned(),
                container: "0123456789abcdef".to_owned(),
                name: "web".to_owned(),
                network: "bridge".to_owned(),
                target: "172.17.0.2:80".to_owned(),
                admitted: false,
                steps: vec!["refused".to_owned()],
            }],
            notes: vec!["others".to_owned()],
            ..PortExplained::default()
        };
        assert_eq!(
            text(&told),
            "8080/tcp from 192.0.2.2: closed\n\
             0.0.0.0:8080 -x web (0123456789ab), 172.17.0.2:80, network bridge\n  refused\n\
             Note: others\n"
        );
    }
}
