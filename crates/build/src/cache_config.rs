//! BuildKit's format of caches that travel (`cacheconfig.v0`), as far as the keys here
//! need it: which layers there are, and which result each key stands for. Keys of
//! BuildKit itself are no keys here: its records are never found, and do no harm.

use std::collections::BTreeMap;

use gantry_types::{Descriptor, DiffId, Digest};
use serde::{Deserialize, Serialize};

use crate::dockerfile::rfc3339;
use crate::{Error, Result};

/// How the format is called.
pub const MEDIA_TYPE: &str = "application/vnd.buildkit.cacheconfig.v0";
/// How a configuration of an image calls it.
pub const INLINE: &str = "moby.buildkit.cache.v0";
/// Most layers below each other.
const DEEPEST: usize = 127;

/// A cache.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheConfig {
    /// Its layers.
    #[serde(default)]
    layers: Vec<Layer>,
    /// Its results.
    #[serde(default)]
    records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Layer {
    #[serde(default)]
    blob: String,
    /// The layer below; -1 for none.
    #[serde(default)]
    parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    #[serde(default)]
    media_type: String,
    #[serde(default, rename = "diffID")]
    diff_id: String,
    #[serde(default)]
    size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    digest: String,
    #[serde(default)]
    layers: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    layer: usize,
    #[serde(default, rename = "createdAt")]
    created: String,
}

/// A result that travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portable {
    /// What stands for it.
    pub keys: Vec<String>,
    /// All its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

/// A result as somebody else has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its layers, bottom first: packed, and what they unpack to.
    pub layers: Vec<(Descriptor, DiffId)>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

impl CacheConfig {
    /// A cache of these results; `packed` says how layers are called where it goes.
    /// Results of which a layer is not there are left out.
    pub fn of(results: &[Portable], packed: &BTreeMap<DiffId, Descriptor>) -> Self {
        let mut config = Self::default();
        let mut known = BTreeMap::new();
        for result in results {
            let mut parent = -1;
            let mut chain = Vec::new();
            for diff_id in &result.diff_ids {
                let Some(packed) = packed.get(diff_id) else {
                    chain.clear();
                    break;
                };
                chain.push(*diff_id);
                parent = *known.entry(chain.clone()).or_insert_with(|| {
                    config.layers.push(Layer {
                        blob: packed.digest.to_string(),
                        parent,
                        annotations: Some(Annotations {
                            media_type: packed.media_type.clone(),
                            diff_id: diff_id.to_string(),
                            size: packed.size,
                        }),
                    });
                    config.layers.len() as i64 - 1
                });
            }
            let Some(layer) = usize::try_from(parent).ok().filter(|_| !chain.is_empty()) else {
                continue;
            };
            let records = result.keys.iter().map(|key| Record {
                digest: key.clone(),
                layers: vec![Place {
                    layer,
                    created: rfc3339(result.created),
                }],
            });
            config.records.extend(records);
        }
        config
    }

    /// From a document.
    ///
    /// # Errors
    /// `Invalid` for what is no cache.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        // A list would be taken for the values of the fields.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Error::Invalid("cache configuration: no object".to_owned()));
        }
        serde_json::from_slice(bytes)
            .map_err(|error| Error::Invalid(format!("cache configuration: {error}")))
    }

    /// The document.
    ///
    /// # Errors
    /// `Failed` when it cannot be written.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::Failed(format!("cache: {error}")))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What stands for which result, of those whose layers are all among `blobs`. What
    /// makes no sense is left out.
    pub fn offered(&self, blobs: &BTreeMap<Digest, Descriptor>) -> BTreeMap<String, Offered> {
        let mut offered = BTreeMap::new();
        for record in &self.records {
            let Some(place) = record.layers.first() else {
                continue;
            };
            let Some(layers) = self.chain(place.layer, blobs) else {
                continue;
            };
            let created = place.created.parse::<jiff::Timestamp>().ok();
            let created = created.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
            let one = Offered {
                layers,
                created: created.unwrap_or(0),
            };
            offered.insert(record.digest.clone(), one);
        }
        offered
    }

    fn chain(
        &self,
        top: usize,
        blobs: &BTreeMap<Digest, Descriptor>,
    ) -> Option<Vec<(Descriptor, DiffId)>> {
        let mut chain = Vec::new();
        let mut next = Some(top);
        while let Some(index) = next {
            let layer = self.layers.get(index)?;
            let annotations = layer.annotations.as_ref()?;
            let blob = blobs.get(&layer.blob.parse().ok()?)?;
            chain.push((blob.clone(), DiffId(annotations.diff_id.parse().ok()?)));
            if chain.len() > DEEPEST {
                return None;
            }
            next = usize::try_from(layer.parent).ok();
        }
        chain.reverse();
        Some(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(name: &str) -> (DiffId, Descriptor) {
        let descriptor = Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
            digest: Digest::of(format!("packed {name}").as_bytes()),
            size: 7,
            platform: None,
            annotations: None,
            urls: None,
        };
        (DiffId(Digest::of(name.as_bytes())), descriptor)
    }

    #[test]
    fn what_one_has_written_another_reads() {
        let packed: BTreeMap<_, _> = ["a", "b", "c"].map(packed).into();
        let diff = |name: &str| DiffId(Digest::of(name.as_bytes()));
        let result = |key: &str, layers: &[&str]| Portable {
            keys: vec![key.to_owned()],
            diff_ids: layers.iter().map(|name| diff(name)).collect(),
            created: 1_700_000_000_000_000_000,
        };
        let results = [
            result("one", &["a"]),
            result("two", &["a", "b"]),
            result("three", &["a", "c"]),
            result("lost", &["a", "x"]),
        ];
        let config = CacheConfig::of(&results, &packed);
        assert_eq!(config.layers.len(), 3);
        let config = CacheConfig::parse(&config.bytes().unwrap()).unwrap();
        let blobs = packed.values().map(|one| (one.digest, one.clone()));
        let offered = config.offered(&blobs.collect());
        assert_eq!(offered.len(), 3);
        let three: Vec<DiffId> = offered["three"].layers.iter().map(|(_, id)| *id).collect();
        assert_eq!(three, [diff("a"), diff("c")]);
        assert_eq!(offered["three"].created, results[2].created);
    }

    #[test]
    fn nonsense_offers_nothing() {
        let blobs: BTreeMap<_, _> = ["a"]
            .map(|name| (packed(name).1.digest, packed(name).1))
            .into();
        let (diff_id, blob) = packed("a");
        let annotations = format!(r#"{{"diffID":"{diff_id}"}}"#);
        let digest = blob.digest;
        for (layers, record) in [
            // Its own parent.
            (
                format!(r#"{{"blob":"{digest}","annotations":{annotations}}}"#),
                r#"{"layer":0}"#,
            ),
            (
                format!(r#"{{"blob":"{digest}","parent":-1}}"#),
                r#"{"layer":0}"#,
            ),
            (
                String::from(r#"{"blob":"x","parent":-1}"#),
                r#"{"layer":0}"#,
            ),
            (String::new(), r#"{"layer":9}"#),
        ] {
            let text = format!(
                r#"{{"layers":[{layers}],"records":[{{"digest":"k","layers":[{record}]}}]}}"#
            );
            let config = CacheConfig::parse(text.as_bytes()).unwrap();
            assert!(config.offered(&blobs).is_empty(), "{text}");
        }
        // As BuildKit writes it.
        let theirs = r#"{"layers":[{"blob":"sha256:00","parent":-1}],"records":[
            {"digest":"sha256:11","inputs":[[{"selector":"x","link":1}]]},{"digest":"r"}]}"#;
        assert!(
            CacheConfig::parse(theirs.as_bytes())
                .unwrap()
                .offered(&blobs)
                .is_empty()
        );
        assert!(CacheConfig::parse(b"[]").is_err());
    }
}
