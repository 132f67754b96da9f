//! `trust inspect`: who has signed what.

use futures_util::future::LocalBoxFuture;
use gantry_trust::{PublicKey, is_tag_of_signatures};
use gantry_types::Reference;
use serde_json::{Value, json};

use super::Signed;
use super::keys::{self, Keys};
use crate::args::Matches;
use crate::commands::{Outcome, names};
use crate::error::Error;
use crate::output::{json as layout, table};
use crate::registry::failed;
use crate::session::Session;

/// How a signature is shown whose key has no name here.
const UNKNOWN: &str = "(unknown key)";

/// A tag that is signed.
struct Row {
    tag: String,
    digest: String,
    signers: Vec<String>,
}

/// `docker trust inspect`.
pub(crate) fn inspect<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let mut known = Keys::new(session).known().await;
        for file in matches.list("key") {
            known.push((file.clone(), keys::public(file.as_ref())?));
        }
        let insecure = matches.bool("insecure");
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        for text in &matches.operands {
            match rows(session, text, &known, insecure) {
                Ok(rows) if rows.is_empty() => failures.push(format!("no signatures for {text}")),
                Ok(rows) if matches.bool("pretty") => pretty(session, text, &rows, &known),
                Ok(rows) => all.push(document(text, &rows, &known)),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if !matches.bool("pretty") {
            let text = Value::Array(all).to_string();
            session.printer.line(&layout::indent(&text));
        }
        match failures.is_empty() {
            true => Ok(0),
            false => Err(Error::Several(failures)),
        }
    })
}

/// The signed tags of a name: its own, or all of the repository.
fn rows(
    session: &Session,
    text: &str,
    known: &[(String, PublicKey)],
    insecure: bool,
) -> Result<Vec<Row>, Error> {
    let reference = names::normalized(text).map_err(Error::Message)?;
    let mut wanted = Vec::new();
    if reference.tag().is_some() || reference.digest().is_some() {
        wanted.push(reference);
    } else {
        let tags = session.repository(&reference, insecure)?.tags();
        for tag in tags
            .map_err(failed)?
            .iter()
            .filter(|tag| !is_tag_of_signatures(tag))
        {
            wanted.extend(reference.with_tag(tag));
        }
    }
    let keys: Vec<PublicKey> = known.iter().map(|(_, key)| key.clone()).collect();
    let mut rows = Vec::new();
    for reference in wanted {
        let signed = Signed::find(session, &reference, insecure)?;
        let right = signed.by(&reference, &keys);
        let mut signers: Vec<String> = Vec::new();
        for signature in signed.manifest.signatures() {
            let by = right.iter().find(|(own, _)| *own == signature);
            let name = by.map_or(UNKNOWN, |(_, key)| known[*key].0.as_str());
            if !signers.iter().any(|other| other == name) {
                signers.push(name.to_owned());
            }
        }
        if !signers.is_empty() {
            rows.push(Row {
                tag: shown(&reference),
                digest: signed.digest.hex(),
                signers,
            });
        }
    }
    Ok(rows)
}

fn shown(reference: &Reference) -> String {
    let digest = reference.digest().map(|digest| digest.to_string());
    let tag = reference.tag().map(str::to_owned);
    tag.or(digest).unwrap_or_default()
}

/// The keys that have signed any of it, by name.
fn used<'a>(rows: &[Row], known: &'a [(String, PublicKey)]) -> Vec<&'a (String, PublicKey)> {
    let has = |name: &String| rows.iter().any(|row| row.signers.contains(name));
    known.iter().filter(|(name, _)| has(name)).collect()
}

fn document(text: &str, rows: &[Row], known: &[(String, PublicKey)]) -> Value {
    let tags: Vec<Value> = rows
        .iter()
        .map(|row| json!({"SignedTag": row.tag, "Digest": row.digest, "Signers": row.signers}))
        .collect();
    let signers: Vec<Value> = used(rows, known)
        .iter()
        .map(|(name, key)| json!({"Name": name, "Keys": [{"ID": key.id().to_string()}]}))
        .collect();
    json!({"Name": text, "SignedTags": tags, "Signers": signers, "AdministrativeKeys": []})
}

fn pretty(session: &Session, text: &str, rows: &[Row], known: &[(String, PublicKey)]) {
    let mut lines = vec!["SIGNED TAG\tDIGEST\tSIGNERS".to_owned()];
    for row in rows {
        lines.push(format!(
            "{}\t{}\t{}",
            row.tag,
            row.digest,
            row.signers.join(", ")
        ));
    }
    let mut out = format!("\nSignatures for {text}\n\n{}", table::align(&lines, 10, 3));
    let signers = used(rows, known);
    if !signers.is_empty() {
        let mut lines = vec!["SIGNER\tKEYS".to_owned()];
        for (name, key) in signers {
            lines.push(format!("{name}\t{}", key.id().short()));
        }
        out.push_str(&format!(
            "\nList of signers and their keys for {text}\n\n{}",
            table::align(&lines, 10, 3)
        ));
    }
    session.printer.out(&out);
}
