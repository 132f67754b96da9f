//! The one question: may this image come in?

use gantry_types::{Digest, Reference};

use crate::bundle::Envelope;
use crate::policy::{Ready, is_usual};
use crate::{Error, KeyId, Mode, Payload, Policy, Signature, SignatureManifest, tag_of};

/// Where the signatures of a repository are found. Whoever implements it bounds
/// what it reads: [`crate::MAX_MANIFEST`], and the given size of a blob.
pub trait Signatures {
    /// The manifest under a tag; `None` when there is none.
    ///
    /// # Errors
    /// Says why it cannot be known.
    fn manifest(&self, tag: &str) -> Result<Option<Vec<u8>>, String>;

    /// The bytes of a blob.
    ///
    /// # Errors
    /// Says why they cannot be had.
    fn blob(&self, digest: Digest, size: u64) -> Result<Vec<u8>, String>;

    /// The bundles that refer to an image; instead of one that cannot be had, why not.
    ///
    /// # Errors
    /// Says why they cannot be known.
    fn bundles(&self, image: Digest) -> Result<Vec<Result<Vec<u8>, String>>, String>;
}

/// Which key has signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The key.
    pub key: KeyId,
    /// What it has signed: the manifest, or the index that names it.
    pub digest: Digest,
}

/// What the policy says about an image that it does not refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody asks for signatures.
    NotAsked,
    /// A key of the policy has signed it.
    Signed(Seal),
    /// It comes in, but somebody is to be told why it is not trusted.
    Doubtful(String),
}

impl Policy {
    /// Whether an image may come in. `reference` is how it was asked for, and
    /// `digests` what that was found to be: the index, if it is one, and the
    /// manifest in it, by sha256. One of them must be signed.
    ///
    /// # Errors
    /// [`Error::Untrusted`] where signatures are required and no right one is
    /// found; [`Error::Policy`] when the policy cannot be understood.
    pub fn check(
        &self,
        signatures: &dyn Signatures,
        reference: &Reference,
        digests: &[Digest],
    ) -> Result<Verdict, Error> {
        let Some(rule) = self.rule(&reference.name())? else {
            return Ok(Verdict::NotAsked);
        };
        if rule.mode == Mode::Off {
            return Ok(Verdict::NotAsked);
        }
        let reason = match rule.seal(signatures, reference, digests) {
            Ok(seal) => return Ok(Verdict::Signed(seal)),
            Err(reason) => reason,
        };
        match rule.mode {
            Mode::Require => Err(Error::Untrusted {
                image: reference.familiar(),
                rule: rule.called(),
                reason,
            }),
            _ => Ok(Verdict::Doubtful(format!(
                "{} is not trusted: {reason}",
                reference.familiar()
            ))),
        }
    }
}

impl Ready {
    /// The first right signature; otherwise why there is none.
    fn seal(
        &self,
        signatures: &dyn Signatures,
        reference: &Reference,
        digests: &[Digest],
    ) -> Result<Seal, String> {
        if let Some(digest) = digests.iter().find(|digest| self.revoked.contains(digest)) {
            return Err(format!("the policy revokes {digest}"));
        }
        // What an image is called by another algorithm, no rule and no tag can name.
        if let Some(digest) = digests.iter().find(|digest| !is_usual(digest)) {
            return Err(format!("{digest} is not by sha256"));
        }
        let mut reason = "it has no signature".to_owned();
        let mut asked: Vec<Digest> = Vec::new();
        for &digest in digests {
            if asked.contains(&digest) {
                continue;
            }
            asked.push(digest);
            match self.seal_of(signatures, reference, digest) {
                Ok(Some(seal)) => return Ok(seal),
                Ok(None) => {}
                Err(other) => reason = other,
            }
        }
        Err(reason)
    }

    fn seal_of(
        &self,
        signatures: &dyn Signatures,
        reference: &Reference,
        digest: Digest,
    ) -> Result<Option<Seal>, String> {
        let found = self.seal_by_tag(signatures, reference, digest);
        if !self.bundles || matches!(found, Ok(Some(_))) {
            return found;
        }
        match self.seal_by_bundle(signatures, digest) {
            // What is wrong with the others is told first.
            Ok(None) | Err(_) if found.is_err() => found,
            other => other,
        }
    }

    fn seal_by_bundle(
        &self,
        signatures: &dyn Signatures,
        digest: Digest,
    ) -> Result<Option<Seal>, String> {
        let bundles = signatures
            .bundles(digest)
            .map_err(|reason| format!("its signatures cannot be read: {reason}"))?;
        let mut reason = None;
        for bundle in bundles {
            let other = match bundle.map(|bytes| Envelope::parse(&bytes)) {
                Ok(None) => continue,
                Ok(Some(envelope)) => {
                    let mut signers = envelope.signatures.iter();
                    let signer = signers.find_map(|bytes| self.signer(&envelope.signed, bytes));
                    match (signer, envelope.signs(digest)) {
                        (Some(key), Ok(())) => return Ok(Some(Seal { key, digest })),
                        (Some(_), Err(other)) => {
                            reason = Some(other);
                            continue;
                        }
                        (None, _) => "its signature is by no key of the policy".to_owned(),
                    }
                }
                Err(unread) => format!("one of its signatures cannot be read: {unread}"),
            };
            reason.get_or_insert(other);
        }
        reason.map_or(Ok(None), Err)
    }

    fn seal_by_tag(
        &self,
        signatures: &dyn Signatures,
        reference: &Reference,
        digest: Digest,
    ) -> Result<Option<Seal>, String> {
        let found = signatures
            .manifest(&tag_of(digest))
            .map_err(|reason| format!("its signatures cannot be read: {reason}"))?;
        let Some(bytes) = found else {
            return Ok(None);
        };
        let found = SignatureManifest::parse(&bytes).map_err(|error| error.to_string())?;
        let found = found.signatures();
        let mut reason = match found.len() {
            0 => return Ok(None),
            1 => "its signature is by no key of the policy".to_owned(),
            count => format!("none of its {count} signatures is by a key of the policy"),
        };
        for signature in &found {
            match self.judge(signatures, reference, digest, signature) {
                Ok(Some(key)) => return Ok(Some(Seal { key, digest })),
                Ok(None) => {}
                Err(other) => reason = other,
            }
        }
        Err(reason)
    }

    /// The key of the policy by which one signature is right; none, when it is
    /// somebody else's; an error when it is wrong.
    fn judge(
        &self,
        signatures: &dyn Signatures,
        reference: &Reference,
        digest: Digest,
        signature: &Signature,
    ) -> Result<Option<KeyId>, String> {
        let payload = signatures
            .blob(signature.payload, signature.size)
            .map_err(|reason| format!("a signed payload cannot be read: {reason}"))?;
        if payload.len() as u64 != signature.size
            || signature.payload.like(&payload) != signature.payload
        {
            return Err("a signed payload is not what its digest says".to_owned());
        }
        let Some(key) = self.signer(&payload, &signature.bytes) else {
            return Ok(None);
        };
        let payload = Payload::parse(&payload)?;
        if payload.digest != digest {
            return Err(format!(
                "its signature is that of another image ({})",
                payload.digest
            ));
        }
        let name = self.signed_name(&reference.name());
        if payload.repository != name {
            return Err(format!(
                "its signature is for the repository {}, not {name}",
                payload.repository
            ));
        }
        match (&payload.tag, reference.tag()) {
            (Some(signed), Some(wanted)) if signed != wanted => Err(format!(
                "its signature is for the tag {signed}, not {wanted}"
            )),
            _ => Ok(Some(key)),
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
