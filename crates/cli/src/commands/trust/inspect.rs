//! `trust inspect`: who has signed what.

use futures_util::future::LocalBoxFuture;
use gantry_trust::{Envelope, PublicKey, Signatures, is_tag_of_signatures};
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

/// How a bundle is shown that was signed by a certificate's key: it is not checked.
const CERTIFIED: &str = "(certificate, not checked)";

/// A tag that somebody has signed, or said something about.
struct Row {
    tag: String,
    digest: String,
    /// Whose signatures are under the tag of signatures.
    signers: Vec<String>,
    bundles: Vec<Bundle>,
}

/// A bundle that refers to the tag's image.
struct Bundle {
    kind: String,
    signer: String,
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
            let mut found = match rows(session, text, &known, insecure) {
                Ok(found) => found,
                Err(error) => {
                    failures.push(error.to_string());
                    continue;
                }
            };
            if found.rows.is_empty() && found.unread.is_empty() {
                failures.push(format!("no signatures for {text}"));
            } else if matches.bool("pretty") {
                pretty(session, text, &found.rows, &known);
            } else {
                all.push(document(text, &found.rows, &known));
            }
            failures.append(&mut found.unread);
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

/// The signed tags of a name, and why something about them is not known.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    unread: Vec<String>,
}

/// The signed tags of a name: its own, or all of the repository.
fn rows(
    session: &Session,
    text: &str,
    known: &[(String, PublicKey)],
    insecure: bool,
) -> Result<Found, Error> {
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
    let mut found = Found::default();
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
        let bundles = bundles(&signed, &shown(&reference), known, &mut found.unread);
        if !signers.is_empty() || !bundles.is_empty() {
            found.rows.push(Row {
                tag: shown(&reference),
                digest: signed.digest.hex(),
                signers,
                bundles,
            });
        }
    }
    Ok(found)
}

/// The bundles that refer to an image; `unread` gets to know of those that cannot be had.
fn bundles(
    signed: &Signed,
    tag: &str,
    known: &[(String, PublicKey)],
    unread: &mut Vec<String>,
) -> Vec<Bundle> {
    let keys: Vec<PublicKey> = known.iter().map(|(_, key)| key.clone()).collect();
    let mut found = Vec::new();
    let all = Signatures::bundles(&signed.repository, signed.digest);
    for bundle in all.unwrap_or_else(|error| vec![Err(error)]) {
        match bundle.map(|bytes| Envelope::parse(&bytes)) {
            Ok(None) => {}
            Ok(Some(envelope)) => {
                let signer = match envelope.signer(signed.digest, &keys) {
                    Some(key) => known[key].0.as_str(),
                    None if envelope.is_certified() => CERTIFIED,
                    None => UNKNOWN,
                };
                found.push(Bundle {
                    kind: envelope.kind(),
                    signer: signer.to_owned(),
                });
            }
            Err(error) => unread.push(format!("a bundle of {tag} cannot be read: {error}")),
        }
    }
    found
}

fn shown(reference: &Reference) -> String {
    let digest = reference.digest().map(|digest| digest.to_string());
    let tag = reference.tag().map(str::to_owned);
    tag.or(digest).unwrap_or_default()
}

/// The keys that have signed any of it, by name.
fn used<'a>(rows: &[Row], known: &'a [(String, PublicKey)]) -> Vec<&'a (String, PublicKey)> {
    let has = |name: &String| {
        let mut bundles = rows.iter().flat_map(|row| &row.bundles);
        rows.iter().any(|row| row.signers.contains(name))
            || bundles.any(|bundle| bundle.signer == *name)
    };
    known.iter().filter(|(name, _)| has(name)).collect()
}

fn document(text: &str, rows: &[Row], known: &[(String, PublicKey)]) -> Value {
    let tags: Vec<Value> = rows
        .iter()
        .filter(|row| !row.signers.is_empty())
        .map(|row| json!({"SignedTag": row.tag, "Digest": row.digest, "Signers": row.signers}))
        .collect();
    let bundles: Vec<Value> = each_bundle(rows)
        .map(|(row, bundle)| {
            json!({"Tag": row.tag, "Digest": row.digest, "Kind": bundle.kind, "Signer": bundle.signer})
        })
        .collect();
    let signers: Vec<Value> = used(rows, known)
        .iter()
        .map(|(name, key)| json!({"Name": name, "Keys": [{"ID": key.id().to_string()}]}))
        .collect();
    json!({"Name": text, "SignedTags": tags, "Bundles": bundles, "Signers": signers,
           "AdministrativeKeys": []})
}

fn each_bundle(rows: &[Row]) -> impl Iterator<Item = (&Row, &Bundle)> {
    let all = rows.iter();
    all.flat_map(|row| row.bundles.iter().map(move |bundle| (row, bundle)))
}

fn pretty(session: &Session, text: &str, rows: &[Row], known: &[(String, PublicKey)]) {
    let mut out = String::new();
    let mut show = |title: &str, head: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines = [vec![head.to_owned()], lines].concat();
            out.push_str(&format!(
                "\n{title} {text}\n\n{}",
                table::align(&lines, 10, 3)
            ));
        }
    };
    let signed = rows.iter().filter(|row| !row.signers.is_empty());
    let line = |row: &Row| format!("{}\t{}\t{}", row.tag, row.digest, row.signers.join(", "));
    let head = "SIGNED TAG\tDIGEST\tSIGNERS";
    show("Signatures for", head, signed.map(line).collect());
    let bundles = each_bundle(rows)
        .map(|(row, one)| format!("{}\t{}\t{}\t{}", row.tag, row.digest, one.kind, one.signer));
    let head = "TAG\tDIGEST\tKIND\tSIGNER";
    show("Bundles for", head, bundles.collect());
    let signers = used(rows, known).into_iter();
    let signers = signers.map(|(name, key)| format!("{name}\t{}", key.id().short()));
    let title = "List of signers and their keys for";
    show(title, "SIGNER\tKEYS", signers.collect());
    session.printer.out(&out);
}
