//! Right and wrong signatures, and registries that lie.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::{MAX_MANIFEST, PrivateKey, Rule};

/// A registry that has what it is given, and says what it is told to say.
#[derive(Default)]
struct Shelf {
    manifests: HashMap<String, Vec<u8>>,
    blobs: HashMap<Digest, Vec<u8>>,
    down: bool,
    bundles: Vec<Result<Vec<u8>, String>>,
}

impl Signatures for Shelf {
    fn manifest(&self, tag: &str) -> Result<Option<Vec<u8>>, String> {
        match self.down {
            true => Err("connection refused".to_owned()),
            false => Ok(self.manifests.get(tag).cloned()),
        }
    }

    fn blob(&self, digest: Digest, _: u64) -> Result<Vec<u8>, String> {
        self.blobs
            .get(&digest)
            .cloned()
            .ok_or_else(|| "blob unknown".to_owned())
    }

    fn bundles(&self, _: Digest) -> Result<Vec<Result<Vec<u8>, String>>, String> {
        Ok(self.bundles.clone())
    }
}

impl Shelf {
    fn sign(&mut self, key: &PrivateKey, image: Digest, says: &Payload) {
        let payload = says.to_bytes(BTreeMap::new());
        self.put(image, &payload, &key.sign(&payload).unwrap());
    }

    fn put(&mut self, image: Digest, payload: &[u8], signature: &[u8]) {
        let tag = tag_of(image);
        let mut manifest = match self.manifests.get(&tag) {
            Some(bytes) => SignatureManifest::parse(bytes).unwrap(),
            None => SignatureManifest::default(),
        };
        manifest.add(payload, signature);
        self.manifests.insert(tag, manifest.to_bytes());
        self.blobs.insert(Digest::of(payload), payload.to_vec());
    }
}

fn image() -> Digest {
    Digest::of(b"the image")
}

fn says(name: &str, tag: Option<&str>, digest: Digest) -> Payload {
    Payload {
        repository: name.to_owned(),
        tag: tag.map(str::to_owned),
        digest,
    }
}

fn right() -> Payload {
    says("r.example/team/app", None, image())
}

fn reference() -> Reference {
    "r.example/team/app:v1".parse().unwrap()
}

fn policy(mode: Mode, keys: &[&PrivateKey], edit: impl Fn(&mut Rule)) -> Policy {
    let mut rule = Rule {
        prefix: "r.example/team".to_owned(),
        mode,
        keys: keys.iter().map(|key| key.public().to_pem()).collect(),
        signed_as: None,
        revoked: Vec::new(),
        bundles: false,
    };
    edit(&mut rule);
    Policy::open(std::path::Path::new("/nonexistent"), &[rule]).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap().0
}

fn refusal(policy: &Policy, shelf: &Shelf) -> String {
    let error = policy.check(shelf, &reference(), &[image()]).unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }));
    error.to_string()
}

#[test]
fn a_right_signature_lets_an_image_in() {
    let (key, mut shelf) = (key(), Shelf::default());
    shelf.sign(&key, image(), &right());
    let policy = policy(Mode::Require, &[&key], |_| {});
    let seal = Seal {
        key: key.public().id(),
        digest: image(),
    };
    let verdict = policy.check(&shelf, &reference(), &[image()]).unwrap();
    assert_eq!(verdict, Verdict::Signed(seal.clone()));
    // The index is signed, and the manifest in it is what is wanted.
    let manifest = Digest::of(b"of one platform");
    for digests in [[image(), manifest], [manifest, image()]] {
        let verdict = policy.check(&shelf, &reference(), &digests).unwrap();
        assert_eq!(verdict, Verdict::Signed(seal.clone()));
    }
}

#[test]
fn one_right_signature_among_others_is_enough() {
    let (mine, other, mut shelf) = (key(), key(), Shelf::default());
    shelf.sign(&other, image(), &right());
    shelf.put(image(), b"junk", b"junk");
    shelf.sign(&mine, image(), &right());
    let of = |keys: &[&PrivateKey]| {
        policy(Mode::Require, keys, |_| {}).check(&shelf, &reference(), &[image()])
    };
    assert!(of(&[&mine]).is_ok());
    assert!(of(&[&other, &mine]).is_ok());
    assert!(
        of(&[&key()])
            .unwrap_err()
            .to_string()
            .contains("none of its 3 signatures")
    );
}

#[test]
fn a_missing_signature_is_refused_or_told_of() {
    let (key, shelf) = (key(), Shelf::default());
    let required = policy(Mode::Require, &[&key], |_| {});
    assert_eq!(
        refusal(&required, &shelf),
        "r.example/team/app:v1 is refused by the trust policy for r.example/team: it has no signature"
    );
    let warned = policy(Mode::Warn, &[&key], |_| {}).check(&shelf, &reference(), &[image()]);
    let text = "r.example/team/app:v1 is not trusted: it has no signature";
    assert_eq!(warned.unwrap(), Verdict::Doubtful(text.to_owned()));
    let off = policy(Mode::Off, &[&key], |_| {}).check(&shelf, &reference(), &[image()]);
    assert_eq!(off.unwrap(), Verdict::NotAsked);
    let elsewhere = "r.example/other".parse().unwrap();
    let other = required.check(&shelf, &elsewhere, &[image()]);
    assert_eq!(other.unwrap(), Verdict::NotAsked);
}

#[test]
fn signatures_of_something_else_are_refused() {
    let other_image = Digest::of(b"another image");
    for (payload, part) in [
        (
            says("r.example/team/app", None, other_image),
            "that of another image",
        ),
        (
            says("r.example/team/evil", None, image()),
            "for the repository r.example/team/evil",
        ),
        (
            says("r.example/team/app", Some("v0"), image()),
            "for the tag v0, not v1",
        ),
    ] {
        let (key, mut shelf) = (key(), Shelf::default());
        shelf.sign(&key, image(), &payload);
        let text = refusal(&policy(Mode::Require, &[&key], |_| {}), &shelf);
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn tampered_payloads_are_refused() {
    let (key, mut shelf) = (key(), Shelf::default());
    let required = policy(Mode::Require, &[&key], |_| {});
    let payload = right().to_bytes(BTreeMap::new());
    let signature = key.sign(&payload).unwrap();
    // Another text under the old signature.
    let lie = says("r.example/team/app", None, Digest::of(b"evil")).to_bytes(BTreeMap::new());
    shelf.put(image(), &lie, &signature);
    assert!(refusal(&required, &shelf).contains("by no key of the policy"));
    // Other bytes than the digest says.
    let mut shelf = Shelf::default();
    shelf.put(image(), &payload, &signature);
    shelf.blobs.insert(Digest::of(&payload), lie);
    assert!(refusal(&required, &shelf).contains("not what its digest says"));
    shelf.blobs.clear();
    assert!(refusal(&required, &shelf).contains("blob unknown"));
}

#[test]
fn revoked_and_unknown_keys_let_nothing_in() {
    let (key, mut shelf) = (key(), Shelf::default());
    shelf.sign(&key, image(), &right());
    let revoked = policy(Mode::Require, &[&key], |rule| {
        rule.revoked = vec![image().to_string()];
    });
    assert!(refusal(&revoked, &shelf).contains("the policy revokes sha256:"));
    let id = key.public().id().to_string();
    assert!(
        !revoked
            .still_trusts("r.example/team/app", &id, image())
            .unwrap()
    );
    let none = policy(Mode::Require, &[], |_| {});
    assert!(refusal(&none, &shelf).contains("by no key"));
    // A name by another algorithm is no way round.
    let long: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    let wide = policy(Mode::Require, &[&key], |_| {});
    let both = wide.check(&shelf, &reference(), &[long, image()]);
    assert!(both.unwrap_err().to_string().contains("not by sha256"));
    assert!(!wide.still_trusts("r.example/team/app", &id, long).unwrap());
}

#[test]
fn copied_images_are_known_by_the_name_that_was_signed() {
    let (key, mut shelf) = (key(), Shelf::default());
    shelf.sign(&key, image(), &says("up.example/team/app", None, image()));
    let copied = policy(Mode::Require, &[&key], |rule| {
        rule.signed_as = Some("up.example/team".to_owned());
    });
    assert!(copied.check(&shelf, &reference(), &[image()]).is_ok());
    assert!(refusal(&policy(Mode::Require, &[&key], |_| {}), &shelf).contains("up.example"));
}

#[test]
fn what_cannot_be_checked_is_not_trusted() {
    let (key, mut shelf) = (key(), Shelf::default());
    shelf.sign(&key, image(), &right());
    let required = policy(Mode::Require, &[&key], |_| {});
    for bytes in [
        b"{".to_vec(),
        b"null".to_vec(),
        vec![b' '; MAX_MANIFEST + 1],
        b"[".repeat(300_000),
    ] {
        shelf.manifests.insert(tag_of(image()), bytes);
        assert!(refusal(&required, &shelf).contains("invalid manifest"));
    }
    shelf.down = true;
    assert!(refusal(&required, &shelf).contains("connection refused"));
    let warned = policy(Mode::Warn, &[&key], |_| {}).check(&shelf, &reference(), &[image()]);
    assert!(matches!(warned.unwrap(), Verdict::Doubtful(_)));
}

#[test]
fn bundles_count_where_the_rule_says_so() {
    let (mine, other) = (key(), key());
    let signed = "https://sigstore.dev/cosign/sign/v1";
    let mut shelf = Shelf::default();
    let own = |key, kind, image: Digest| Ok(crate::bundle::bundle(key, kind, &image.hex()));
    let strict = policy(Mode::Require, &[&mine], |_| {});
    let wide = policy(Mode::Require, &[&mine], |rule| rule.bundles = true);
    assert!(refusal(&wide, &shelf).ends_with("it has no signature"));
    shelf.bundles = vec![Err("gone".to_owned())];
    assert!(refusal(&wide, &shelf).ends_with("one of its signatures cannot be read: gone"));
    shelf.bundles = vec![Ok(b"nonsense".to_vec()), own(&other, signed, image())];
    assert!(refusal(&wide, &shelf).contains("by no key of the policy"));
    shelf
        .bundles
        .push(own(&mine, signed, Digest::of(b"another")));
    assert!(refusal(&wide, &shelf).contains("that of another image"));
    shelf
        .bundles
        .push(own(&mine, "https://slsa.dev/provenance/v1", image()));
    assert!(refusal(&wide, &shelf).contains("a statement about it"));
    shelf.bundles.push(own(&mine, signed, image()));
    let verdict = wide.check(&shelf, &reference(), &[image()]).unwrap();
    let seal = Seal {
        key: mine.public().id(),
        digest: image(),
    };
    assert_eq!(verdict, Verdict::Signed(seal));
    assert!(refusal(&strict, &shelf).ends_with("it has no signature"));
    // What is wrong beside it does not matter, nor what cannot be read.
    shelf.bundles.insert(0, Err("gone".to_owned()));
    shelf.sign(&other, image(), &right());
    wide.check(&shelf, &reference(), &[image()]).unwrap();
}
