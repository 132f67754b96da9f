//! Where an image came from, in the words of SLSA as BuildKit uses them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gantry_build::Op;
use gantry_build::graph::MountKind;
use gantry_git::redacted;
use gantry_image::package_url;
use gantry_types::{Platform, Reference};
use serde_json::{Map, Value, json};

use super::{Provenance, steps};
use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Image;

const BUILD_TYPE_02: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// Options that are this machine's business.
const OF_THE_HOST: &[&str] = &[
    "cgroup-parent",
    "image-resolve-mode",
    "platform",
    "cache-imports",
];

/// What is known, before it is put into the words of one version.
struct Known {
    materials: Vec<Value>,
    /// Whether these are all.
    complete: bool,
    source: Value,
    parameters: Value,
    /// Whether all options are told.
    told: bool,
    metadata: Map<String, Value>,
    config: Option<Value>,
    started: String,
    finished: String,
}

/// The predicate.
pub(super) fn tell(wanted: &Provenance, service: &BuildKit, build: &Build, image: &Image) -> Value {
    let known = Known::of(wanted, service, build, image);
    let platform = Platform::host().to_string();
    match wanted.slsa_1 {
        true => known.slsa_1(wanted, &build.id, &platform),
        false => known.slsa_02(wanted, &build.id, &platform),
    }
}

impl Known {
    fn of(wanted: &Provenance, service: &BuildKit, build: &Build, image: &Image) -> Self {
        let mut options = build.options();
        let key = options.get("contextkey").filter(|key| !key.is_empty());
        let key = key.cloned().unwrap_or_else(|| "context".to_owned());
        let context = options.remove(&key).filter(|value| !value.is_empty());
        let mut source = Map::new();
        if let Some(context) = &context {
            source.insert("uri".to_owned(), json!(redacted(context)));
        }
        if let Some(file) = options.remove("filename") {
            let name = if wanted.slsa_1 { "path" } else { "entryPoint" };
            source.insert(name.to_owned(), json!(file));
        }
        let (vcs, args, told) = sorted(options, wanted.min);
        let mut locals = Vec::new();
        if context.is_none() {
            let nodes = &image.built.plan.graph.nodes;
            if nodes.iter().any(|node| matches!(node.op, Op::Local(_))) {
                locals.push(json!({"name": "context"}));
            }
            locals.push(json!({"name": "dockerfile"}));
        }
        let complete = locals.is_empty();
        let mut parameters = json!({"frontend": "dockerfile.v0", "args": args});
        if !locals.is_empty() {
            parameters["locals"] = Value::Array(locals);
        }
        let mut metadata = Map::new();
        if !vcs.is_empty() {
            metadata.insert("vcs".to_owned(), json!(vcs));
        }
        let mut config = None;
        if !wanted.min {
            let secrets = secrets(image);
            if !secrets.is_empty() {
                parameters["secrets"] = Value::Array(secrets);
            }
            config = Some(steps::tell(image));
            metadata.insert("source".to_owned(), steps::source(image));
        }
        Self {
            materials: materials(service, image),
            complete,
            source: Value::Object(source),
            parameters,
            told,
            metadata,
            config,
            started: time(build.created),
            finished: time(SystemTime::now()),
        }
    }

    fn slsa_02(self, wanted: &Provenance, id: &str, platform: &str) -> Value {
        let mut metadata = json!({
            "buildInvocationID": id,
            "buildStartedOn": self.started,
            "buildFinishedOn": self.finished,
            "completeness": {
                "parameters": self.told,
                "environment": true,
                "materials": self.complete,
            },
            "reproducible": wanted.reproducible,
        });
        metadata["https://mobyproject.org/buildkit@v1#metadata"] = Value::Object(self.metadata);
        let mut predicate = json!({
            "builder": {"id": wanted.builder},
            "buildType": BUILD_TYPE_02,
            "materials": self.materials,
            "invocation": {
                "configSource": self.source,
                "parameters": self.parameters,
                "environment": {"platform": platform},
            },
            "metadata": metadata,
        });
        if let Some(config) = self.config {
            predicate["buildConfig"] = config;
        }
        predicate
    }

    fn slsa_1(self, wanted: &Provenance, id: &str, platform: &str) -> Value {
        let mut internal = json!({"builderPlatform": platform});
        if let Some(config) = self.config {
            internal["buildConfig"] = config;
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "resolvedDependencies": self.materials,
                "externalParameters": {
                    "configSource": self.source,
                    "request": self.parameters,
                },
                "internalParameters": internal,
            },
            "runDetails": {
                "builder": {"id": wanted.builder},
                "metadata": {
                    "invocationId": id,
                    "startedOn": self.started,
                    "finishedOn": self.finished,
                    "buildkit_metadata": self.metadata,
                    "buildkit_completeness": {
                        "request": self.told,
                        "resolvedDependencies": self.complete,
                    },
                    "buildkit_reproducible": wanted.reproducible,
                },
            },
        })
    }
}

type Texts = BTreeMap<String, String>;

/// Options by what they are: of the source's history, all others that may be told, and
/// whether these are all.
fn sorted(options: Texts, min: bool) -> (Texts, Texts, bool) {
    let (mut vcs, mut args, mut all) = (Texts::new(), Texts::new(), true);
    for (key, value) in options {
        if let Some(name) = key.strip_prefix("vcs:") {
            if !value.is_empty() {
                vcs.insert(name.to_owned(), redacted(&value));
            }
        } else if key.starts_with("attest:") || OF_THE_HOST.contains(&key.as_str()) {
        } else if min && (key.starts_with("build-arg:") || key.starts_with("label:")) {
            all = false;
        } else if key.starts_with("context:") {
            args.insert(key, redacted(&value));
        } else {
            args.insert(key, value);
        }
    }
    (vcs, args, all)
}

/// The images that it was made from.
fn materials(service: &BuildKit, image: &Image) -> Vec<Value> {
    let nodes = image.built.plan.graph.nodes.iter();
    let names = nodes.filter_map(|node| match node.op {
        Op::Layers(_) => node.label.strip_prefix("FROM "),
        _ => None,
    });
    let names: std::collections::BTreeSet<&str> = names.collect();
    let material = |name: &&str| {
        let reference: Reference = name.parse().ok()?;
        let uri = package_url("docker", &reference, Some(&image.platform));
        let full = reference.clone().or_latest();
        let mut distant = image.built.distant.iter();
        let distant = distant.find(|(other, _)| *other == full);
        let known = reference.digest().or(distant.map(|(_, digest)| *digest));
        let digest = known.or_else(|| {
            let here = service.engine.builds.store().resolve(name).ok()?;
            let mut names = here.references.iter();
            names
                .find(|one| one.digest().is_some() && one.name() == reference.name())?
                .digest()
        });
        Some(match digest {
            Some(digest) => json!({"uri": uri, "digest": {digest.algorithm(): digest.hex()}}),
            None => json!({ "uri": uri }),
        })
    };
    names.iter().filter_map(material).collect()
}

/// The names of secrets that commands may have seen.
fn secrets(image: &Image) -> Vec<Value> {
    let mut secrets = BTreeMap::new();
    for node in &image.built.plan.graph.nodes {
        let Op::Exec(exec) = &node.op else { continue };
        for mount in &exec.mounts {
            if let MountKind::Secret { id, required, .. } = &mount.kind {
                secrets.insert(id, !required);
            }
        }
    }
    let secret = |(id, optional)| match optional {
        true => json!({"id": id, "optional": true}),
        false => json!({ "id": id }),
    };
    secrets.into_iter().map(secret).collect()
}

fn time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    gantry_api::rfc3339_nano(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_told() {
        for (url, told) in [
            ("https://me:secret@host/x@y", "https://xxxxx:xxxxx@host/x@y"),
            ("https://token@host", "https://xxxxx@host"),
            ("https://host/a@b", "https://host/a@b"),
            ("local:context", "local:context"),
        ] {
            assert_eq!(redacted(url), told);
        }
        let options = [("build-arg:A", "1"), ("vcs:revision", "x"), ("target", "t")];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let (vcs, args, all) = sorted(options.clone().into(), true);
        assert_eq!((vcs.len(), args.len(), all), (1, 1, false));
        assert_eq!(sorted(options.into(), false).1.len(), 2);
    }
}
