//! `trust`: signatures of images, made with the user's keys and kept beside the
//! images in their registries. Whether a signature is wanted is for the policy of
//! each daemon to say.

mod inspect;
mod keys;

use std::collections::BTreeMap;
use std::io::BufRead;

use futures_util::future::LocalBoxFuture;
use gantry_registry::Repository;
use gantry_trust::{
    MANIFEST_MEDIA_TYPE, Payload, PublicKey, Signature, SignatureManifest, Signatures,
    is_tag_of_signatures, tag_of,
};
use gantry_types::{Digest, Reference};

use self::keys::Keys;
use super::{Outcome, names, push};
use crate::args::Matches;
use crate::error::Error;
use crate::registry::{failed, is_absent, wanted};
use crate::session::Session;

pub(crate) use inspect::inspect;
pub(crate) use keys::{generate, import};

/// How often the list of signatures is written again when somebody else has
/// written it meanwhile.
const ATTEMPTS: usize = 4;

/// The image of a tag in its registry, and its signatures.
struct Signed {
    repository: Repository,
    digest: Digest,
    manifest: SignatureManifest,
}

fn told(error: impl std::fmt::Display) -> Error {
    Error::message(error.to_string())
}

impl Signed {
    fn find(session: &Session, reference: &Reference, insecure: bool) -> Result<Self, Error> {
        let repository = session.repository(reference, insecure)?;
        let document =
            repository
                .resolve(&wanted(reference))
                .map_err(|error| match is_absent(&error) {
                    true => Error::message(format!(
                        "no signatures or cannot access {}: no such image in its registry",
                        reference.familiar()
                    )),
                    false => failed(error),
                })?;
        let mut signed = Self {
            repository,
            // By sha256, whatever it was asked for by: so are tags of signatures.
            digest: Digest::of(&document.bytes),
            manifest: SignatureManifest::default(),
        };
        signed.read()?;
        Ok(signed)
    }

    fn read(&mut self) -> Result<(), Error> {
        let bytes = Signatures::manifest(&self.repository, &tag_of(self.digest)).map_err(told)?;
        self.manifest = match bytes {
            Some(bytes) => SignatureManifest::parse(&bytes).map_err(told)?,
            None => SignatureManifest::default(),
        };
        Ok(())
    }

    /// The signatures that say that this is this image of this repository, and
    /// are right by one of the keys; each with the index of its key.
    fn by(&self, reference: &Reference, keys: &[PublicKey]) -> Vec<(Signature, usize)> {
        let right = |signature: &Signature| {
            let source: &dyn Signatures = &self.repository;
            let payload = source.blob(signature.payload, signature.size).ok()?;
            if signature.payload.like(&payload) != signature.payload {
                return None;
            }
            let key = keys
                .iter()
                .position(|key| key.has_signed(&payload, &signature.bytes))?;
            let says = Payload::parse(&payload).ok()?;
            let is_this = says.digest == self.digest && says.repository == reference.name();
            is_this.then_some(key)
        };
        let all = self.manifest.signatures().into_iter();
        all.filter_map(|signature| {
            let key = right(&signature)?;
            Some((signature, key))
        })
        .collect()
    }

    /// Sends what the registry is to have from now on.
    fn write(&self) -> Result<(), Error> {
        self.send(&self.manifest.config())?;
        let bytes = self.manifest.to_bytes();
        self.repository
            .put_manifest(&tag_of(self.digest), MANIFEST_MEDIA_TYPE, &bytes)
            .map_err(failed)?;
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        let digest = Digest::of(bytes);
        if self.repository.head_blob(digest).map_err(failed)?.is_some() {
            return Ok(());
        }
        self.repository
            .upload(digest, bytes.len() as u64, &|offset| {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(Box::new(bytes.get(from..).unwrap_or_default()))
            })
            .map_err(failed)
    }
}

fn tagged(text: &str) -> Result<Reference, Error> {
    let reference = names::normalized(text).map_err(Error::Message)?;
    match reference.tag().is_some() || reference.digest().is_some() {
        true => Ok(reference),
        false => Err(Error::message(format!("no tag specified for {text}"))),
    }
}

/// `docker trust sign`.
pub(crate) fn sign<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let reference = tagged(&matches.operands[0])?;
        let insecure = matches.bool("insecure");
        let signer = Keys::new(session).signer(matches.text("key")).await?;
        if matches.bool("local") {
            push::send(session, &reference, "", false).await?;
        }
        let mut signed = Signed::find(session, &reference, insecure)?;
        let name = reference.familiar();
        let public = [signer.key.public()];
        if !signed.by(&reference, &public).is_empty() {
            session.printer.line(&format!(
                "{name} is already signed by {} ({})",
                signer.name,
                public[0].id().short()
            ));
            return Ok(0);
        }
        session
            .printer
            .line(&format!("Signing and pushing trust metadata for {name}"));
        let payload = Payload {
            repository: reference.name(),
            tag: None,
            digest: signed.digest,
        };
        let payload = payload.to_bytes(BTreeMap::new());
        let signature = signer.key.sign(&payload).map_err(told)?;
        signed.send(&payload)?;
        for _ in 0..ATTEMPTS {
            signed.manifest.add(&payload, &signature);
            signed.write()?;
            signed.read()?;
            if !signed.by(&reference, &public).is_empty() {
                session.printer.line(&format!("Successfully signed {name}"));
                return Ok(0);
            }
        }
        Err(Error::message(format!(
            "the signature of {name} does not stay in the registry"
        )))
    })
}

/// `docker trust revoke`.
pub(crate) fn revoke<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let text = &matches.operands[0];
        let insecure = matches.bool("insecure");
        let keys = Keys::new(session);
        let own: Vec<PublicKey> = match matches.text("key") {
            "" => keys.own().await.into_iter().map(|(_, key)| key).collect(),
            key => vec![keys.signer(key).await?.key.public()],
        };
        if own.is_empty() {
            return Err(Error::message(
                "there is no key whose signatures could be revoked: name one with --key",
            ));
        }
        let reference = names::normalized(text).map_err(Error::Message)?;
        let one_alone = reference.tag().is_some() || reference.digest().is_some();
        let revoked = match one_alone {
            true => revoke_one(session, &reference, &own, insecure)?,
            false if !matches.bool("yes") && !confirmed(session, text) => {
                return Err(Error::message("trust revoke has been cancelled"));
            }
            false => revoke_all(session, &reference, &own, insecure)?,
        };
        match revoked {
            0 => Err(Error::message(format!(
                "no signature by your keys on {text}"
            ))),
            _ => {
                let line = format!("Successfully deleted signature for {text}");
                session.printer.line(&line);
                Ok(0)
            }
        }
    })
}

/// Takes the own signatures out of all tags of a repository.
fn revoke_all(
    session: &Session,
    repository: &Reference,
    own: &[PublicKey],
    insecure: bool,
) -> Result<usize, Error> {
    let tags = session.repository(repository, insecure)?.tags();
    let mut revoked = 0;
    for tag in tags
        .map_err(failed)?
        .iter()
        .filter(|tag| !is_tag_of_signatures(tag))
    {
        let one = repository.with_tag(tag).map_err(told)?;
        revoked += revoke_one(session, &one, own, insecure)?;
    }
    Ok(revoked)
}

/// Takes the own signatures out, and answers how many there were.
fn revoke_one(
    session: &Session,
    reference: &Reference,
    own: &[PublicKey],
    insecure: bool,
) -> Result<usize, Error> {
    let mut signed = Signed::find(session, reference, insecure)?;
    let mine = signed.by(reference, own);
    if mine.is_empty() {
        return Ok(0);
    }
    let gone = |found: &Signature| mine.iter().any(|(signature, _)| signature == found);
    let count = signed.manifest.remove(gone);
    signed.write()?;
    Ok(count)
}

fn confirmed(session: &Session, name: &str) -> bool {
    session.printer.out(&format!(
        "Confirm you would like to delete all signature data for {name}? [y/N] "
    ));
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}
