//! Pulls from a source that behaves as the test wants: what comes, what is shared,
//! what is left of what failed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gantry_archive::compression::Compression;
use gantry_image::{
    Admission, Error, LayerState, Limits, PullRequest, Pulled, Source, Step, Wanted,
};
use gantry_registry::{Cancel, Document};
use gantry_snapshot::DriverKind;
use gantry_types::{Digest, ErrorKind};
use serde_json::json;

use crate::archives::{Parts, compress, index, oci_image, tar};
use crate::fixture::{Fixture, require_root};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A repository in memory.
#[derive(Default)]
pub(crate) struct Fake {
    blobs: HashMap<Digest, Vec<u8>>,
    tags: HashMap<String, (String, Digest)>,
    /// What was asked for: each blob with its offset.
    asked: Mutex<Vec<(Digest, u64)>>,
    /// After so many bytes each answer ends with an error.
    pub(crate) cut: Option<usize>,
    /// Each answer comes in pieces of so many bytes.
    pub(crate) piece: Option<usize>,
    /// Told before each piece.
    pub(crate) hook: Option<Box<dyn Fn() + Send + Sync>>,
    failures: AtomicUsize,
}

impl Fake {
    /// A repository with an image of these layers under the tag `1`.
    pub(crate) fn of(layers: &[Vec<u8>], format: Compression) -> Self {
        let mut parts = Parts::default();
        let manifest = oci_image(&mut parts, layers, format);
        let mut fake = Self::default();
        fake.add(&parts);
        fake.tag("1", &manifest);
        fake
    }

    fn add(&mut self, parts: &Parts) {
        for (_, data) in &parts.0 {
            self.blobs.insert(Digest::of(data), data.clone());
        }
    }

    fn tag(&mut self, tag: &str, descriptor: &serde_json::Value) {
        let digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
        let media_type = descriptor["mediaType"].as_str().unwrap().to_owned();
        self.tags.insert(tag.to_owned(), (media_type, digest));
    }

    pub(crate) fn asked(&self) -> Vec<(Digest, u64)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn none() -> Error {
    gantry_registry::Error::BlobUnknown(Digest::of(b"none")).into()
}

struct Body {
    bytes: Vec<u8>,
    place: usize,
    fake: Arc<Fake>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(hook) = &self.fake.hook {
            hook();
        }
        if self.fake.cut.is_some_and(|cut| self.place >= cut) {
            return Err(io::Error::other("connection reset by peer"));
        }
        let most = self.fake.piece.unwrap_or(usize::MAX);
        let most = most.min(self.fake.cut.unwrap_or(usize::MAX) - self.place);
        let rest = &self.bytes[self.place..];
        let count = rest.len().min(buffer.len()).min(most);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.place += count;
        Ok(count)
    }
}

/// A [`Fake`] that is asked.
struct Asked(Arc<Fake>);

impl Source for Asked {
    fn tag(&self, tag: &str, cancel: &Cancel) -> Result<Document, Error> {
        let (_, digest) = self.0.tags.get(tag).ok_or_else(none)?;
        self.digest(*digest, cancel)
    }

    fn digest(&self, digest: Digest, _: &Cancel) -> Result<Document, Error> {
        let named = self.0.tags.values().find(|(_, other)| *other == digest);
        Ok(Document {
            media_type: named.map_or(MANIFEST.to_owned(), |(name, _)| name.clone()),
            digest,
            bytes: self.0.blobs.get(&digest).ok_or_else(none)?.clone(),
            from: String::new(),
            rate_limit: None,
        })
    }

    fn tags(&self, _: &Cancel) -> Result<Vec<String>, Error> {
        Ok(self.0.tags.keys().cloned().collect())
    }

    fn blob(
        &self,
        wanted: &Wanted,
        offset: u64,
        _: &Cancel,
    ) -> Result<Box<dyn Read + Send>, Error> {
        if wanted.skip > 0 {
            return Err(none());
        }
        let bytes = self.0.blobs.get(&wanted.digest).ok_or_else(none)?;
        // Configurations are neither counted nor cut.
        if bytes.first() != Some(&b'{') {
            self.0.asked.lock().unwrap().push((wanted.digest, offset));
            if self.0.failures.load(Ordering::Relaxed) > 0 {
                self.0.failures.fetch_sub(1, Ordering::Relaxed);
                return Err(none());
            }
        } else {
            return Ok(Box::new(io::Cursor::new(bytes.clone())));
        }
        Ok(Box::new(Body {
            bytes: bytes[offset as usize..].to_vec(),
            place: 0,
            fake: Arc::clone(&self.0),
        }))
    }
}

fn request(name: &str) -> PullRequest {
    PullRequest {
        reference: name.parse().unwrap(),
        platform: None,
        aside: false,
    }
}

pub(crate) fn pull(
    fixture: &Fixture,
    fake: &Arc<Fake>,
    name: &str,
) -> Result<(Pulled, Vec<Step>), Error> {
    let source: Arc<dyn Source> = Arc::new(Asked(Arc::clone(fake)));
    let mut steps = Vec::new();
    let mut tell = |step| steps.push(step);
    let pulled = fixture.images.pull(
        &source,
        &request(name),
        &anyone,
        &Cancel::default(),
        &mut tell,
    )?;
    Ok((pulled, steps))
}

fn anyone(_: &[Digest]) -> Result<Admission, Error> {
    Ok(Admission::default())
}

fn states(steps: &[Step]) -> Vec<LayerState> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Layer { state, .. } => Some(*state),
            _ => None,
        })
        .collect()
}

fn partials(fixture: &Fixture) -> u64 {
    fixture.content.partials().unwrap().blobs
}

fn two_layers() -> Vec<Vec<u8>> {
    vec![tar(&[("a", b"one"), ("b", b"two")]), tar(&[("b", b"new")])]
}

pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

pub(crate) fn with_each_driver(test: impl Fn(&Fixture)) {
    for kind in [DriverKind::Overlay, DriverKind::Vfs] {
        let (_root, fixture) = Fixture::with(kind);
        test(&fixture);
    }
}

#[test]
fn an_image_comes_in_every_packing() {
    require_root!();
    with_each_driver(|fixture| {
        let formats = [Compression::Gzip, Compression::Zstd, Compression::None];
        let mut ids = Vec::new();
        for format in formats {
            let fake = Arc::new(Fake::of(&two_layers(), format));
            let (pulled, steps) = pull(fixture, &fake, "r.example/x:1").unwrap();
            ids.push(pulled.id);
            assert_eq!(
                steps.last(),
                Some(&Step::Ended {
                    digest: pulled.digest
                })
            );
            let image = fixture.images.resolve("r.example/x:1").unwrap();
            assert_eq!(image.id, pulled.id);
            let wanted = format!("r.example/x@{}", pulled.digest);
            assert!(image.repo_digests().contains(&wanted), "{image:?}");
            assert_eq!(fixture.images.resolve(&wanted).unwrap().id, pulled.id);
            assert_eq!(image.size, 9);
            assert_eq!(partials(fixture), 0);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        fixture.assert_holds(1, 2, 3);
    });
}

#[test]
fn what_is_here_is_not_fetched() {
    require_root!();
    with_each_driver(|fixture| {
        let fake = Arc::new(Fake::of(&two_layers(), Compression::Gzip));
        assert!(pull(fixture, &fake, "x:1").unwrap().0.new);
        assert_eq!(fake.asked().len(), 2);
        let (again, steps) = pull(fixture, &fake, "x:1").unwrap();
        assert!(!again.new);
        assert_eq!(states(&steps), []);
        let mut layers = two_layers();
        layers.push(tar(&[("c", b"three")]));
        let more = Arc::new(Fake::of(&layers, Compression::Gzip));
        let (_, steps) = pull(fixture, &more, "y:1").unwrap();
        assert_eq!(more.asked().len(), 1);
        let states = states(&steps);
        let begin = [LayerState::Exists, LayerState::Exists, LayerState::Missing];
        assert_eq!(states[..3], begin);
        assert_eq!(states.last(), Some(&LayerState::Complete));
        // The same layers on top of others: unpacked again, not fetched again.
        layers.rotate_left(1);
        let turned = Arc::new(Fake::of(&layers, Compression::Gzip));
        pull(fixture, &turned, "z:1").unwrap();
        assert_eq!(turned.asked(), []);
    });
}

#[test]
fn a_layer_may_be_there_twice() {
    require_root!();
    with_each_driver(|fixture| {
        let layer = tar(&[("a", b"one")]);
        let layers = [layer.clone(), tar(&[("b", b"x")]), layer];
        let fake = Arc::new(Fake::of(&layers, Compression::Gzip));
        pull(fixture, &fake, "x:1").unwrap();
        assert_eq!(fake.asked().len(), 2);
        fixture.assert_holds(1, 3, 3);
    });
}

#[test]
fn a_cut_pull_goes_on_where_it_stopped() {
    require_root!();
    with_each_driver(|fixture| {
        let layers = [tar(&[("a", &noise(200_000))]), tar(&[("b", b"x")])];
        let mut fake = Fake::of(&layers, Compression::Gzip);
        fake.cut = Some(70_000);
        let fake = Arc::new(fake);
        let mut offsets = Vec::new();
        let error = loop {
            let Err(error) = pull(fixture, &fake, "x:1") else {
                break None;
            };
            assert!(error.to_string().contains("connection reset"), "{error}");
            fixture.assert_holds(0, 0, 0);
            offsets.extend(fake.asked().into_iter().map(|(_, offset)| offset));
            if offsets.len() > 20 {
                break Some(error);
            }
        };
        assert!(error.is_none(), "it never ends");
        assert!(
            offsets.contains(&70_000) && offsets.contains(&0),
            "{offsets:?}"
        );
        assert!(fake.asked().iter().any(|(_, offset)| *offset == 140_000));
        assert_eq!(partials(fixture), 0);
        fixture.assert_holds(1, 2, 3);
    });
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    require_root!();
    with_each_driver(|fixture| {
        let layers = [tar(&[("a", &noise(50_000))])];
        let right = Fake::of(&layers, Compression::Gzip);
        let mut wrong = Fake::of(&layers, Compression::Gzip);
        for bytes in wrong.blobs.values_mut().filter(|bytes| bytes[0] != b'{') {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        let error = pull(fixture, &Arc::new(wrong), "x:1").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("filesystem layer verification failed for digest sha256:"));
        assert_eq!(partials(fixture), 0);
        fixture.assert_holds(0, 0, 0);
        pull(fixture, &Arc::new(right), "x:1").unwrap();
    });
}

#[test]
fn a_spoilt_part_is_fetched_again() {
    require_root!();
    with_each_driver(|fixture| {
        let layers = [tar(&[("a", &noise(50_000))])];
        let fake = Arc::new(Fake::of(&layers, Compression::Gzip));
        let (digest, blob) = fake.blobs.iter().find(|(_, b)| b[0] != b'{').unwrap();
        let mut partial = fixture.content.partial(*digest, blob.len() as u64).unwrap();
        partial.append(&noise(9_000)).unwrap();
        drop(partial);
        pull(fixture, &fake, "x:1").unwrap();
        assert_eq!(fake.asked(), [(*digest, 9_000), (*digest, 0)]);
    });
}

#[test]
fn a_layer_must_be_what_the_configuration_says() {
    require_root!();
    with_each_driver(|fixture| {
        let mut parts = Parts::default();
        let layers = [tar(&[("a", b"x")])];
        let mut manifest = oci_image(&mut parts, &layers, Compression::Gzip);
        let document = Digest::of(&parts.0.last().unwrap().1);
        assert_eq!(manifest["digest"], json!(document));
        let other = compress(&tar(&[("other", b"y")]), Compression::Gzip);
        let layer = parts.blob("application/vnd.oci.image.layer.v1.tar+gzip", &other);
        let find = |parts: &Parts, digest: Digest| {
            let found = parts.0.iter().find(|(_, data)| Digest::of(data) == digest);
            found.unwrap().1.clone()
        };
        let mut text: serde_json::Value = serde_json::from_slice(&find(&parts, document)).unwrap();
        text["layers"] = json!([layer]);
        manifest = parts.blob(MANIFEST, text.to_string().as_bytes());
        let mut fake = Fake::default();
        fake.add(&parts);
        fake.tag("1", &manifest);
        let error = pull(fixture, &Arc::new(fake), "x:1")
            .unwrap_err()
            .to_string();
        let wanted = "layers from manifest don't match image configuration";
        assert!(error.starts_with(wanted), "{error}");
        assert_eq!(partials(fixture), 0);
        fixture.assert_holds(0, 0, 0);
    });
}

#[test]
fn a_bomb_is_refused() {
    require_root!();
    let limits = Limits {
        layer_bytes: 1 << 20,
        ..Limits::default()
    };
    let (_root, mut fixture) = Fixture::with(DriverKind::Overlay);
    fixture.limit(limits);
    let bomb = [tar(&[("zeros", &vec![0; 8 << 20])])];
    let fake = Arc::new(Fake::of(&bomb, Compression::Gzip));
    let error = pull(&fixture, &fake, "x:1").unwrap_err().to_string();
    assert!(error.contains("exceeds the limit"), "{error}");
    assert_eq!(partials(&fixture), 0);
    fixture.assert_holds(0, 0, 0);
}

#[test]
fn pulls_share_what_they_fetch() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let shared = tar(&[("a", &noise(100_000))]);
    let mut all = Parts::default();
    let mut fake = Fake::default();
    for n in 0..6u8 {
        let layers = [shared.clone(), tar(&[("own", &[n])])];
        let manifest = oci_image(&mut all, &layers, Compression::Gzip);
        fake.tag(&n.to_string(), &manifest);
    }
    fake.add(&all);
    fake.piece = Some(4096);
    fake.hook = Some(Box::new(|| {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }));
    let fake = Arc::new(fake);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (fixture, fake) = (&fixture, &fake);
            scope.spawn(move || pull(fixture, fake, &format!("x:{n}")).unwrap());
        }
    });
    let blob = Digest::of(&compress(&shared, Compression::Gzip));
    let asked = fake.asked();
    assert_eq!(
        asked.iter().filter(|(digest, _)| *digest == blob).count(),
        1
    );
    assert_eq!(partials(&fixture), 0);
    fixture.assert_holds(6, 7, 7 + 6);
}

#[test]
fn another_goes_on_when_the_first_fails() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let layers = [tar(&[("a", &noise(100_000))])];
    let mut bad = Fake::of(&layers, Compression::Gzip);
    let (begun, wait) = std::sync::mpsc::sync_channel(1);
    let begun = Mutex::new(begun);
    bad.cut = Some(8192);
    bad.piece = Some(4096);
    bad.hook = Some(Box::new(move || {
        let _ = begun.lock().unwrap().try_send(());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }));
    let good = Arc::new(Fake::of(&layers, Compression::Gzip));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| pull(&fixture, &Arc::new(bad), "x:1").map(drop));
        wait.recv().unwrap();
        pull(&fixture, &good, "y:1").unwrap();
        assert!(first.join().unwrap().is_err());
    });
    // What the first one got was not fetched again.
    assert_eq!(good.asked()[0].1, 8192);
    fixture.assert_holds(1, 1, 2);
}

#[test]
fn a_cancelled_pull_leaves_what_came() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let layers = [tar(&[("a", &noise(100_000))])];
    let mut fake = Fake::of(&layers, Compression::Gzip);
    fake.piece = Some(1000);
    let cancel = Cancel::default();
    let switch = cancel.clone();
    let count = AtomicUsize::new(0);
    fake.hook = Some(Box::new(move || {
        if count.fetch_add(1, Ordering::Relaxed) == 50 {
            switch.cancel();
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
    }));
    let fake = Arc::new(fake);
    let source: Arc<dyn Source> = Arc::new(Asked(Arc::clone(&fake)));
    let error = fixture
        .images
        .pull(&source, &request("x:1"), &anyone, &cancel, &mut |_| {})
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let again = pull(&fixture, &fake, "x:1");
    again.unwrap();
    let offsets: Vec<u64> = fake.asked().into_iter().map(|(_, offset)| offset).collect();
    assert!(offsets.len() == 2 && offsets[1] >= 50_000, "{offsets:?}");
    fixture.assert_holds(1, 1, 2);
}

#[test]
fn of_several_platforms_one_is_pulled() {
    require_root!();
    let (_root, fixture) = Fixture::with(DriverKind::Overlay);
    let mut parts = Parts::default();
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layers = [tar(&[("arch", architecture.as_bytes())])];
        let mut manifest = oci_image(&mut parts, &layers, Compression::Gzip);
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(manifest);
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let list = parts.blob(kind, index(&manifests).to_string().as_bytes());
    let mut fake = Fake::default();
    fake.add(&parts);
    fake.tag("1", &list);
    let fake = Arc::new(fake);
    let (pulled, _) = pull(&fixture, &fake, "x:1").unwrap();
    assert_eq!(json!(pulled.digest), list["digest"]);
    let source: Arc<dyn Source> = Arc::new(Asked(Arc::clone(&fake)));
    let wanted = PullRequest {
        platform: Some("linux/s390x".parse().unwrap()),
        ..request("x:1")
    };
    let refused = fixture
        .images
        .pull(&source, &wanted, &anyone, &Cancel::default(), &mut |_| {});
    assert_eq!(
        refused.unwrap_err().to_string(),
        "no matching manifest for linux/s390x in the manifest list entries"
    );
}

/// A [`Fake`] whose registry calls everything by sha512.
struct Long(Asked);

impl Source for Long {
    fn tag(&self, tag: &str, cancel: &Cancel) -> Result<Document, Error> {
        let mut document = self.0.tag(tag, cancel)?;
        let any: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        document.digest = any.like(&document.bytes);
        Ok(document)
    }

    fn digest(&self, digest: Digest, cancel: &Cancel) -> Result<Document, Error> {
        self.0.digest(digest, cancel)
    }

    fn tags(&self, cancel: &Cancel) -> Result<Vec<String>, Error> {
        self.0.tags(cancel)
    }

    fn blob(
        &self,
        wanted: &Wanted,
        offset: u64,
        cancel: &Cancel,
    ) -> Result<Box<dyn Read + Send>, Error> {
        self.0.blob(wanted, offset, cancel)
    }
}

#[test]
fn trust_is_asked_by_sha256_whatever_the_registry_calls_an_image() {
    let (_root, fixture) = Fixture::new();
    let fake = Fake::of(&[tar(&[("a", b"1")])], Compression::Gzip);
    let usual = fake.tags["1"].1;
    let source: Arc<dyn Source> = Arc::new(Long(Asked(Arc::new(fake))));
    let admit = |digests: &[Digest]| {
        assert_eq!(digests, [usual, usual]);
        Ok(Admission::default())
    };
    let cancel = Cancel::default();
    let found = fixture
        .images
        .find(&source, &request("x:1"), &admit, &cancel, &mut |_| {})
        .unwrap();
    assert_eq!(found.digest.algorithm(), "sha512");
}
